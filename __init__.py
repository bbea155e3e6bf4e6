"""Find what a text-to-image model will memorize, before it is trained."""

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if sys.platform == "win32":
    # Not an ImportError, which would end in a traceback: pip's program and `python -m` import the
    # package before any code of ours could catch it. This prints the line, with exit code 1.
    raise SystemExit(
        "memtriggers runs on Linux and macOS, not on Windows: use it inside WSL (wsl --install)"
    )

if TYPE_CHECKING:
    from .pipelines.core.lake import Lake

__all__ = ["Lake"]


def __getattr__(name: str) -> Any:
    # When it is asked for: processes that only decode pictures start sooner without it.
    if name == "Lake":
        from .pipelines.core.lake import Lake

        return Lake
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
