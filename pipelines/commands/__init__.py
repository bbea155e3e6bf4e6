"""The commands: their options and help; what they do is in the module of the same name."""
