"""Find what a text-to-image model will memorize, before it is trained."""

__version__ = "0.1.0"

from .pipelines.core.lake import Lake

__all__ = ["Lake"]
