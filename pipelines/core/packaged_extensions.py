"""DuckDB's extensions as packages of PyPI, which hold them for one version of DuckDB."""

from importlib.util import find_spec
from pathlib import Path

import duckdb


def find_extension(name: str) -> Path | None:
    """The file of an extension, None unless one for the DuckDB that runs here is installed."""
    file = _extensions(name) / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return file if file.is_file() else None


def other_versions(name: str) -> list[str]:
    """The versions of DuckDB that the installed package of an extension is for."""
    files = _extensions(name).glob(f"v*/{name}.duckdb_extension")
    return sorted(file.parent.name.removeprefix("v") for file in files)


def _extensions(name: str) -> Path:
    package = find_spec(f"duckdb_extension_{name}")
    origin = None if package is None else package.origin
    return Path("/nowhere") if origin is None else Path(origin).parent / "extensions"
