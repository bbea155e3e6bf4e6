"""The stages in the order of the flow: what each reads, when it is stale, and how it is run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from .errors import MissingExtra, StageError
from .lake import Lake
from .registry import tables_of
from .runs import Counts, Run
from .stamp import VERSION, Stamp, file_fingerprint, read_parquet_stamp
from .study import Study

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One stage. Its module has `run(study, lake, stamp) -> Counts`."""

    name: str
    help: str
    study_keys: tuple[str, ...]
    inputs: tuple[str, ...]
    read_recorded: Callable[[Lake, Study], tuple[Stamp, str] | None] | None = None
    extra: str | None = None
    sections: tuple[str, ...] = ()  # of the study: without all of them a refresh leaves it out
    version: int = 1  # raised when it computes something else of the same: old results are stale

    def recorded(self, lake: Lake, study: Study) -> tuple[Stamp, str] | None:
        """The stamp of what the stage wrote last, and a fingerprint of it; None when there is none.

        A stage that writes parquet alone is known by the stamp: its output follows from it.
        """
        if self.read_recorded is not None:
            return self.read_recorded(lake, study)
        files = [getattr(lake, t.name) for t in tables_of(self.name) if t.is_recorded]
        stamp = read_parquet_stamp(*files)
        return None if stamp is None else (stamp, stamp.digest)

    def is_wanted(self, study: Study) -> bool:
        """Whether the study has a section that the stage works for."""
        return not self.sections or any(getattr(study, name) for name in self.sections)

    def run(self, study: Study, lake: Lake) -> Run:
        """Run the stage now, whether it is stale or not; the caller holds the lake's lock."""
        stamp = expected_stamp(self, study, lake)
        with lake.run(self.name, stamp.digest) as run, one_line_errors(self.name, self.extra):
            counts: Counts = import_module(f".{self.name}", __package__).run(study, lake, stamp)
            run.count(counts)
        return run

    def why_stale(self, study: Study, lake: Lake) -> list[str]:
        """Why the stage has to run, in words; empty when there is nothing to do."""
        recorded = self.recorded(lake, study)
        if recorded is None:
            return ["never run"]
        return expected_stamp(self, study, lake).changes_since(recorded[0])


@contextmanager
def one_line_errors(name: str, extra: str | None) -> Iterator[None]:
    """What is not our own error becomes one: a missing package, damaged data, a full disk."""
    import duckdb

    from .database import first_line

    try:
        yield
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith("memtriggers"):
            raise
        raise MissingExtra(
            f"{name} needs the package {error.name}; install: pip install 'memtriggers[{extra}]'"
        ) from None
    except (duckdb.Error, OSError) as error:
        log.info("where %s stopped", name, exc_info=True)
        raise StageError(
            f"{name}: {first_line(error)}; what is finished is kept (-v shows more)"
        ) from None


def expected_stamp(stage: Stage, study: Study, lake: Lake) -> Stamp:
    """The stamp that the stage would write now."""
    inputs = {VERSION: str(stage.version)}
    inputs |= {name: _fingerprint(name, study, lake) for name in stage.inputs}
    return Stamp(study.hashes(stage.study_keys), inputs)


def _fingerprint(name: str, study: Study, lake: Lake) -> str:
    if name == "parquet":
        from .captions.source import find_files

        return file_fingerprint(find_files(study))
    if name == "clip":
        from .clip.model import find_clip

        return find_clip(study).clip_id
    if name == "follow_up_sets":
        from .clusters.follow_up import follow_up_sets

        return ", ".join(str(k) for k in follow_up_sets(study, lake)) or "none"
    if name == "copy_model":
        from .clip.copy_model import find_copy_model

        copies = find_copy_model(study)
        return "none" if copies is None else copies.copy_id
    if name == "thresholds":
        from .thresholds import resolve_thresholds

        return resolve_thresholds(study, lake).fingerprint
    if name == "generator":
        from .generation.model import generator_fingerprint

        return generator_fingerprint(study)
    if name == "prompt_file":
        from .generation.prompt_file import prompt_file_fingerprint

        return prompt_file_fingerprint(study)
    if name == "object_files":
        from .detection.catalog import object_files_fingerprint

        return object_files_fingerprint(study)
    if name in ("decided_thresholds", "cluster_marks"):
        from .decisions import decisions_fingerprint

        return decisions_fingerprint(lake, name)
    if name == "risk_fit":
        from .warehouse.risk_fit import risk_fit_fingerprint

        return risk_fit_fingerprint(study)
    recorded = STAGES[name].recorded(lake, study)
    return "none" if recorded is None else recorded[1]


def _images(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .fetch import recorded

    return recorded(lake)


def _vectors(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .embed import recorded

    return recorded(lake, study)


def _build(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .build import recorded

    return recorded(lake)


def _prompts(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .prompts import recorded

    return recorded(lake)


def _generated(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .generate import recorded

    return recorded(lake, study)


def _report(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    from .report import recorded

    return recorded(lake)


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "filter",
            "Find the captions that match the keyword sets, and the rows that are dirty.",
            ("data", "keyword_set"),
            ("parquet", "follow_up_sets"),
        ),
        Stage(
            "words",
            "Count every word and pair of adjacent words of the whole corpus.",
            ("data", "keyword_set", "words"),
            ("parquet",),
        ),
        Stage(
            "fetch",
            "Bring in the images of the samples.",
            ("data", "fetch"),
            ("filter",),
            _images,
            extra="embed",
        ),
        Stage(
            "embed",
            "Turn images and captions into CLIP vectors.",
            ("clip", "copy_model", "data"),
            ("filter", "fetch", "clip", "copy_model"),
            _vectors,
            extra="embed",
            version=2,  # every picture becomes RGB before it is made smaller
        ),
        Stage(
            "cluster",
            "Group nearly identical images, and find the words that come with them.",
            ("cluster", "data", "words", "follow_up"),
            ("parquet", "filter", "fetch", "embed", "thresholds"),
            extra="embed",
        ),
        Stage(
            "build",
            "Build, test and publish the tables.",
            ("cluster", "risk"),
            (
                *("filter", "words", "fetch", "embed", "cluster", "thresholds"),
                *("risk_fit", "prompts", "generate", "score", "objects"),
                *("decided_thresholds", "cluster_marks"),
            ),
            _build,
        ),
        Stage(
            "prompts",
            "Write the prompts that ask a generator for the largest clusters.",
            ("prompts", "score"),
            ("filter", "words", "embed", "cluster", "thresholds", "prompt_file", "copy_model"),
            _prompts,
            extra="embed",
            sections=("generator",),
        ),
        Stage(
            "generate",
            "Generate the images of every prompt and seed, and embed them.",
            ("generator",),
            ("prompts", "generator", "clip", "copy_model"),
            _generated,
            extra="generate",
            sections=("generator",),
        ),
        Stage(
            "score",
            "Compare every generation with the training images, and count the copies.",
            ("score", "generator"),
            (
                *("filter", "fetch", "embed", "cluster", "prompts", "generate", "copy_model"),
                "decided_thresholds",
            ),
            extra="generate",
            sections=("generator",),
        ),
        Stage(
            "objects",
            "Find objects that come with a keyword though no caption names them.",
            ("objects", "object", "data"),
            (
                *("parquet", "filter", "fetch", "cluster", "clip"),
                *("thresholds", "prompts", "generate", "object_files"),
            ),
            extra="embed",
            sections=("objects", "object"),
        ),
        Stage(
            "report",
            "Write the report, one HTML file.",
            ("report", "cluster"),
            ("build", "thresholds"),
            _report,
            extra="embed",
        ),
    )
}

# `prompts` reads the published tables, and what comes of it is published by a second build.
ORDER = (
    *("filter", "words", "fetch", "embed", "cluster", "build"),
    *("prompts", "generate", "score", "objects", "build", "report"),
)
