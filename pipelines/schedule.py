"""The old name of `upkeep.dagster.py`, until 0.3."""

import warnings

from .upkeep.dagster import definitions

__all__ = ["definitions"]

warnings.warn(
    "memtriggers.pipelines.schedule goes with 0.3; load memtriggers.pipelines.upkeep.dagster",
    DeprecationWarning,
    stacklevel=2,
)
