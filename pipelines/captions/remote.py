"""What reads rows at an address: the extension of DuckDB, and where it comes from."""

from urllib.parse import urlsplit

import duckdb

_EXTENSIONS = {"s3": "httpfs", "gs": "httpfs", "gcs": "httpfs", "r2": "httpfs", "hf": "httpfs"} | {
    "http": "httpfs",
    "https": "httpfs",
    "az": "azure",
    "azure": "azure",
    "abfss": "azure",
}


def explained(path: str, reason: str) -> str:
    """Why an address cannot be read, and what brings the extension that reads it."""
    extension = _EXTENSIONS.get(urlsplit(path).scheme.lower())
    if extension is None:
        known = ", ".join(f"{scheme}://" for scheme in _EXTENSIONS)
        return f"{path}: is no address that rows are read from (these are {known}): {reason}"
    if _is_loaded(extension):
        return f"{path}: cannot be read: {reason}"
    return (
        f"{path}: cannot be read without DuckDB's extension {extension}: {reason}; where DuckDB "
        f"may download it, run: duckdb -c 'install {extension}'; "
        f"where it may not, pip install 'memtriggers[remote]' brings it from PyPI as "
        f"duckdb-extension-{extension}, of the version of DuckDB ({duckdb.__version__})"
    )


def _is_loaded(extension: str) -> bool:
    find = "select installed or loaded from duckdb_extensions() where extension_name = ?"
    row = duckdb.execute(find, [extension]).fetchone()
    return bool(row and row[0])
