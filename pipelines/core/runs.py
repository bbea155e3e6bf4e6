"""One run of a stage: what went in and what became of it, how it ended, with which versions."""

import json
import platform
from collections.abc import Mapping
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
_N_REASONS = 3


def installed_versions() -> dict[str, str]:
    """The versions of the packages that decide what comes out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


@dataclass(frozen=True)
class Standing:
    """All that a stage was asked for, in this run and before, and what is missing of it."""

    n_asked: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many by reason, the most common first."""

    @property
    def n_missing(self) -> int:
        """How many are missing for whatever reason."""
        return sum(self.missing.values())


@dataclass(frozen=True)
class Counts:
    """What went into one run of a stage, what came out and what was lost, in its own rows.

    A row that is neither out nor lost was never meant to come out: a caption that no keyword set
    matches, an image in no cluster.
    """

    n_in: int
    n_out: int
    lost: Mapping[str, int] = field(default_factory=dict)
    """How many by reason, the most common first."""
    standing: Standing = Standing()
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
    n_lost: int | None = None
    lost: dict[str, int] | None = None
    n_asked: int | None = None
    n_missing: int | None = None
    missing: dict[str, int] | None = None
    pair_recall: dict[float, float] | None = None
    versions: dict[str, str] = field(default_factory=installed_versions)

    @property
    def summary(self) -> str:
        """One line for a person: `fetch: 1,094 in, 1,090 out, 4 lost (not_found 3, timeout 1)`."""
        counts = f"{self.stage}: {self.n_in or 0:,} in, {self.n_out or 0:,} out"
        counts += f", {self.n_lost or 0:,} lost"
        if self.lost:
            counts += f" ({reasons(self.lost)})"
        if self.pair_recall is None:
            return counts
        recall = (f"{recall:.4f} at {at}" for at, recall in self.pair_recall.items())
        return f"{counts}, pair recall {', '.join(recall)}"

    def count(self, counts: Counts) -> None:
        """Take what the stage counted."""
        self.n_in, self.n_out, self.pair_recall = counts.n_in, counts.n_out, counts.pair_recall
        self.n_lost, self.lost = sum(counts.lost.values()), dict(counts.lost)
        self.n_asked, self.n_missing = counts.standing.n_asked, counts.standing.n_missing
        self.missing = dict(counts.standing.missing)

    def end(self, status: str, error: str | None) -> None:
        """Mark the run as ended now."""
        self.status, self.error = status, error
        self.finished_at = datetime.now(UTC).isoformat()


def reasons(lost: Mapping[str, int]) -> str:
    """The most common reasons in words: `not_found 580, timeout 20, 2 other reasons 3`."""
    most = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{reason} {n:,}" for reason, n in most[:_N_REASONS]]
    if rest := most[_N_REASONS:]:
        noun = "other reason" if len(rest) == 1 else "other reasons"
        said.append(f"{len(rest)} {noun} {sum(n for _, n in rest):,}")
    return ", ".join(said)


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
