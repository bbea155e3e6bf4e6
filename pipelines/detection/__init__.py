"""Objects in images: what detectors see, how often, and how much more often than elsewhere."""
