"""What reads rows at an address: an extension of DuckDB, and the package that brings it."""

from urllib.parse import urlsplit

import duckdb

from .errors import SourceError
from .packaged_extensions import find_extension, other_versions

_HTTPFS = ("s3", "s3a", "s3n", "gs", "gcs", "r2", "hf", "http", "https")


def load_extension(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Load what reads an address from the package that brings it, where that is installed.

    Elsewhere DuckDB loads what it has installed itself, or installs it.
    """
    file = find_extension("httpfs") if _scheme(path) in _HTTPFS else None
    if file is not None:
        connection.load_extension(str(file))


def require_known(path: str) -> None:
    """Raise SourceError where rows are not read from addresses of this kind."""
    if _scheme(path) not in _HTTPFS:
        known = ", ".join(f"{scheme}://" for scheme in _HTTPFS)
        raise SourceError(
            f"{path}: rows are not read from {_scheme(path)}://; they are from {known}"
        )


def explained(path: str, reason: str) -> str:
    """Why an address cannot be read, and what brings the extension that reads it."""
    if find_extension("httpfs") is not None or _has_it():
        return f"{path}: cannot be read: {reason}"
    if others := other_versions("httpfs"):
        return (
            f"{path}: cannot be read: the package duckdb-extension-httpfs is for DuckDB "
            f"{' and '.join(others)}, and DuckDB {duckdb.__version__} runs here; install two that "
            "fit: pip install --upgrade 'memtriggers[remote]'"
        )
    return (
        f"{path}: cannot be read without DuckDB's extension httpfs ({reason.rstrip(':')}); where "
        "DuckDB may download it, run: duckdb -c 'install httpfs'; where it may not, install the "
        "package duckdb-extension-httpfs, and the DuckDB that it fits: "
        "pip install 'memtriggers[remote]'"
    )


def _scheme(path: str) -> str:
    return urlsplit(path).scheme.lower()


def _has_it() -> bool:
    """Whether DuckDB has installed the extension itself."""
    find = "select installed or loaded from duckdb_extensions() where extension_name = 'httpfs'"
    row = duckdb.execute(find).fetchone()
    return bool(row and row[0])
