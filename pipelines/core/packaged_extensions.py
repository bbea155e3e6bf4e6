"""DuckDB's extensions as packages of PyPI, which hold them for one version of DuckDB."""

from importlib.util import find_spec
from pathlib import Path

import duckdb


def find_extension(name: str) -> Path | None:
    """The file of an extension, None unless one for the DuckDB that runs here is installed."""
    package = find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    return file if file.is_file() else None
