"""The LAION-shaped captions: which column is what, and what counts as a word or a token."""
