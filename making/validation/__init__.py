"""Whether the data predicts the copies: models whose training data is known whole, measured."""
