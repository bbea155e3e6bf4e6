"""The old name of `upkeep/dagster_definitions.py`, until 0.3."""

import warnings

from .upkeep.dagster_definitions import definitions

__all__ = ["definitions"]

warnings.warn(
    "memtriggers.pipelines.schedule goes with 0.3; load "
    "memtriggers.pipelines.upkeep.dagster_definitions",
    DeprecationWarning,
    stacklevel=2,
)
