"""The parts of `explore`: the pages, who may ask for them, and what they read."""
