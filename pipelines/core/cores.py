"""How many cores this process may use, on any system."""

import os
import sys


def count_cores() -> int:
    """The cores that this process may use, at least one; macOS knows only those of the machine."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
