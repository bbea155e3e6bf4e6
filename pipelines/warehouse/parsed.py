"""What dbt has read of the project, kept for the next build: to read it all again takes seconds."""

import hashlib
import logging
import os
import shutil
import stat
import sys
from importlib import metadata
from pathlib import Path

_KEPT = 4  # of different projects and versions

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """MEMTRIGGERS_CACHE, or memtriggers in the user's folder for caches."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MEMTRIGGERS_CACHE") or Path(user) / "memtriggers").absolute()


def parsed_file(project: Path) -> Path:
    """Where what dbt has read of exactly these files is kept; it need not exist."""
    versions = [sys.version, *map(metadata.version, ("dbt-core", "dbt-adapters", "dbt-duckdb"))]
    digest = hashlib.sha256("\0".join([str(project), *versions]).encode())
    for file in sorted(project.rglob("*")):
        if file.suffix in (".sql", ".yml"):
            digest.update(b"\0".join((str(file).encode(), file.read_bytes(), b"")))
    return cache_folder() / f"dbt-{digest.hexdigest()[:16]}.msgpack"


def is_ours(file: Path) -> bool:
    """Whether it is there, and nobody else may have written it: SQL that is run stands in it."""
    try:
        found = [path.lstat() for path in (file, file.parent)]
    except OSError:
        return False
    return all(
        f.st_uid == os.getuid() and not f.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for f in found
    )


def keep(parsed: Path, file: Path) -> None:
    """Keep what dbt wrote; a folder that cannot be written costs the next build seconds."""
    try:
        if is_ours(file):
            os.utime(file)  # of use again: it stays when others go
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")  # builds of two lakes may end together
        shutil.copyfile(parsed, unfinished)
        unfinished.replace(file)
        by_age = sorted(file.parent.glob("dbt-*.msgpack"), key=lambda f: f.stat().st_mtime)
        for old in by_age[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.info("build: what dbt has read is not kept: %s", error)
