"""What lies at an address such as s3://…: known by its ETag and size, which cost one request."""

from .addresses import explained, load_extension
from .errors import SourceError


def remote_content(address: str) -> str | None:
    """The ETag and size; where the store gives no ETag, size and time; None where nothing is.

    Raises:
        SourceError: nothing can be learned of it; names it.

    """
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
        with system.open_input_file(path) as file:
            said = {key.lower(): value for key, value in file.metadata().items()}
            size = file.size()
        if "etag" in said:
            return f"{said['etag']} {size}"
        return f"{size} {system.get_file_info(path).mtime_ns}"
    except FileNotFoundError:
        return None
    except (OSError, NotImplementedError, pa.ArrowException):
        return _as_duckdb_says(address)


def _as_duckdb_says(address: str) -> str | None:
    """Size and time: DuckDB reads addresses that pyarrow does not, such as https://…, or may."""
    import duckdb

    from .database import first_line

    find = "select size, epoch_us(last_modified) from read_blob($address)"
    try:
        with duckdb.connect() as own:  # others ask in threads beside this one
            load_extension(own, address)
            row = own.execute(find, {"address": address}).fetchone()
    except duckdb.Error as error:
        why = explained(address, first_line(error)).removeprefix(f"{address}: ")
        raise SourceError(
            f"{address}: cannot be looked at: {why}; or mend the address in [data] of the study"
        ) from None
    return None if row is None else f"{row[0]} {row[1]}"
