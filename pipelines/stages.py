"""The stages in the order of the flow: what each reads, when it is stale, and how it is run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from .core.command_options import Option
from .core.errors import MissingExtra, StageError, store_errors
from .core.lake import Lake
from .core.registry import tables_of
from .core.runs import Counts, Run
from .core.stamp import VERSION, Stamp, read_parquet_stamp
from .core.study import Study
from .declared.inputs import INPUTS, in_recorded_words
from .declared.stage_options import (
    BUILD,
    EMBED,
    FETCH,
    OBJECTS,
    PROMPTS,
    READS_CAPTIONS,
    RUNS_A_MODEL,
    print_objects,
)

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
    options: tuple[Option, ...] = ()  # of its command
    shows: Callable[[Study, Lake], None] | None = None  # what its command prints of the results
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
        from .core.damage import require_whole

        require_whole(lake)
        stamp = expected_stamp(self, study, lake)
        with lake.run(self.name, stamp.digest) as run, one_line_errors(self.name, self.extra):
            counts: Counts = import_module(f".{self.name}", __package__).run(study, lake, stamp)
            run.count(counts)
        return run

    def why_stale(self, study: Study, lake: Lake) -> list[str]:
        """Why the stage has to run, in words; empty when there is nothing to do."""
        recorded = self.recorded(lake, study)
        if recorded is None:
            from .core.damage import damaged_tables

            return [f"{file.name} is damaged" for file in damaged_tables(lake, self.name)] or [
                "never run"
            ]
        expected = expected_stamp(self, study, lake)
        return in_recorded_words(expected, recorded[0], study, lake).changes_since(recorded[0])


@contextmanager
def one_line_errors(name: str, extra: str | None) -> Iterator[None]:
    """What is not our own error becomes one: a missing package, damaged data, a full disk."""
    import duckdb

    from .core.database import first_line

    try:
        with store_errors():
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
    """That of an input, or of what the stage of that name has written."""
    if name in INPUTS:
        return INPUTS[name](study, lake)
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
            options=READS_CAPTIONS,
            version=2,  # a list of captions is one sample each; counts what cannot be read
        ),
        Stage(
            "words",
            "Count every word and pair of adjacent words of the whole corpus.",
            ("data", "keyword_set", "words"),
            ("parquet",),
            options=READS_CAPTIONS,
            version=2,  # full-width forms and ligatures are plain ones, soft hyphens gone
        ),
        Stage(
            "fetch",
            "Bring in the images of the samples.",
            ("data", "fetch"),
            ("filter", "image_files"),
            _images,
            extra="embed",
            options=FETCH,
            version=2,  # counts what is lost, and compares the images that lie on this machine
        ),
        Stage(
            "embed",
            "Turn images and captions into CLIP vectors.",
            ("clip", "copy_model", "data"),
            ("filter", "fetch", "vectors", "clip", "copy_model"),
            _vectors,
            extra="embed",
            options=EMBED,
            version=3,  # 2: every picture becomes RGB first; 3: compares imported vectors, counts
        ),
        Stage(
            "cluster",
            "Group nearly identical images, and find the words that come with them.",
            ("cluster", "data", "words", "follow_up"),
            ("parquet", "filter", "fetch", "embed", "thresholds"),
            extra="embed",
            options=RUNS_A_MODEL,
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
            options=BUILD,
            version=3,  # not_judged in removal_list; what runs lost
        ),
        Stage(
            "prompts",
            "Write the prompts that ask a generator for the largest clusters.",
            ("prompts", "score"),
            ("filter", "words", "embed", "cluster", "thresholds", "prompt_file", "copy_model"),
            _prompts,
            extra="embed",
            sections=("generator",),
            options=PROMPTS,
        ),
        Stage(
            "generate",
            "Generate the images of every prompt and seed, and embed them.",
            ("generator",),
            ("prompts", "generator", "clip", "copy_model"),
            _generated,
            extra="generate",
            sections=("generator",),
            options=RUNS_A_MODEL,
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
            options=RUNS_A_MODEL,
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
            options=OBJECTS,
            shows=print_objects,
        ),
        Stage(
            "report",
            "Write the report, one HTML file.",
            ("report", "cluster"),
            ("build", "thresholds", "loss_limits"),
            _report,
            extra="embed",
            version=2,  # what was lost and what was not judged stands in it
        ),
    )
}

# `prompts` reads the published tables, and what comes of it is published by a second build.
ORDER = (
    *("filter", "words", "fetch", "embed", "cluster", "build"),
    *("prompts", "generate", "score", "objects", "build", "report"),
)
