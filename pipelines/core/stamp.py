"""What a stage was made from: the hashes of its study keys and the fingerprints of its inputs."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

METADATA_KEY = "memtriggers_stamp"
VERSION = "version of the stage"


@dataclass(frozen=True)
class Stamp:
    """Written into everything that a stage writes; a stage is stale when its stamp differs."""

    study: dict[str, str]
    inputs: dict[str, str]

    @property
    def text(self) -> str:
        """The stamp as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def digest(self) -> str:
        """16 hex digits that stand for the whole stamp."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def changes_since(self, recorded: "Stamp") -> list[str]:
        """What differs, in words: `study key cluster`, `input images`, `version of the stage`."""
        return [
            name if name == VERSION else f"{kind} {name}"
            for kind, now, then in (
                ("study key", self.study, recorded.study),
                ("input", _with_version(self.inputs), _with_version(recorded.inputs)),
            )
            for name in sorted(now.keys() | then.keys())
            if now.get(name) != then.get(name)
        ]


def _with_version(inputs: dict[str, str]) -> dict[str, str]:
    """The inputs as they are stamped now; 0.1 stamped its own version, which made version 1."""
    others = {name: value for name, value in inputs.items() if name != "memtriggers"}
    return {VERSION: "1"} | others


def parse_stamp(text: str | bytes | None) -> Stamp | None:
    """The stamp in a file's metadata, or None where there is none."""
    return None if text is None else Stamp(**json.loads(text))


def read_parquet_stamp(*files: Path) -> Stamp | None:
    """The stamp that all these files carry; None if one is not there or damaged, or they differ."""
    if not all(file.exists() for file in files):
        return None
    metadata = [_read_metadata(file) for file in files]
    stamps = {None if found is None else found.get(METADATA_KEY.encode()) for found in metadata}
    return parse_stamp(stamps.pop()) if len(stamps) == 1 else None


def is_damaged(file: Path) -> bool:
    """Whether a parquet file is there that cannot be opened: its end is missing, or all of it."""
    return file.exists() and _read_metadata(file) is None


def _read_metadata(file: Path) -> dict[bytes, bytes] | None:
    """What a parquet file says of itself; None where it is no whole parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(file).metadata or {}
    except PermissionError:
        raise
    except (pa.ArrowInvalid, OSError):
        return None


def file_fingerprint(files: list[str]) -> str:
    """One fingerprint for a list of files: path, size and modification time of each local one."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.encode())
        if "://" not in file:
            stat = Path(file).stat()
            digest.update(f"\x1f{stat.st_size}\x1f{stat.st_mtime_ns}".encode())
        digest.update(b"\x1e")
    return digest.hexdigest()[:16]
