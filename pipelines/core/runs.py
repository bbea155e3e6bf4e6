"""One run of a stage: what went in, what came out, how it ended, and with which versions."""

import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("memtriggers", "duckdb", "dbt-duckdb", "lancedb", "open_clip_torch", "torch"),
    *("diffusers", "transformers"),
)


def installed_versions() -> dict[str, str]:
    """The versions of the packages that decide what comes out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


@dataclass(frozen=True)
class Counts:
    """What went into a stage and what came out, in the stage's own rows."""

    n_in: int
    n_out: int
    pair_recall: dict[float, float] | None = None  # by threshold, where it is not known to be 1


@dataclass
class Run:
    """One run of one stage."""

    run_id: str
    stage: str
    started_at: str
    study_hash: str
    finished_at: str | None = None
    status: str = "running"
    error: str | None = None
    n_in: int | None = None
    n_out: int | None = None
    pair_recall: dict[float, float] | None = None
    versions: dict[str, str] = field(default_factory=installed_versions)

    @property
    def summary(self) -> str:
        """One line for a person: `embed: 1,094 in, 1,094 out`."""
        counts = f"{self.stage}: {self.n_in or 0:,} in, {self.n_out or 0:,} out"
        if self.pair_recall is None:
            return counts
        recall = (f"{recall:.4f} at {at}" for at, recall in self.pair_recall.items())
        return f"{counts}, pair recall {', '.join(recall)}"

    def count(self, counts: Counts) -> None:
        """Take what the stage counted."""
        self.n_in, self.n_out, self.pair_recall = counts.n_in, counts.n_out, counts.pair_recall

    def end(self, status: str, error: str | None) -> None:
        """Mark the run as ended now."""
        self.status, self.error = status, error
        self.finished_at = datetime.now(UTC).isoformat()


def read_run(file: Path) -> dict[str, Any]:
    """The record of a run; of one that was cut off, what its name says: nobody noted its end."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        started, _, stage = file.stem.partition("-")
        moment = datetime.strptime(f"{started}+0000", "%Y%m%dT%H%M%S%f%z").isoformat()
        error = "the record of this run was cut off"
        return asdict(Run(file.stem, stage, moment, "", error=error, versions={}))
    return found
