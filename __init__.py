"""Find what a text-to-image model will memorize, before it is trained: duplication statistics in SQL."""

__version__ = "0.1.0"
