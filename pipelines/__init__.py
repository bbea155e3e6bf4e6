"""The stages, the study file and the command line."""
