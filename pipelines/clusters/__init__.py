"""Nearly identical images: their forest, their medoids and their word sets."""
