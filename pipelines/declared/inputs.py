"""What stages read that no stage writes: a fingerprint of each, which differs when the input does.

Nothing is imported before it is asked for: `status` and `--help` ask for little.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

from ..core.lake import Lake
from ..core.stamp import Stamp, file_fingerprint
from ..core.study import Study

Fingerprint = Callable[[Study, Lake], str]

INPUTS: dict[str, Fingerprint] = {}


def _input(fingerprint: Fingerprint) -> Fingerprint:
    INPUTS[fingerprint.__name__] = fingerprint
    return fingerprint


@_input
def parquet(study: Study, lake: Lake) -> str:
    """The files of `[data] parquet`: paths, and what they hold."""
    from ..captions.source import find_files
    from ..core.contents import content_fingerprint

    return content_fingerprint(lake, find_files(study))


@_input
def vectors(study: Study, lake: Lake) -> str:
    """The files of vectors that are imported, and of their metadata."""
    from ..captions.source import glob_files
    from ..core.contents import content_fingerprint

    data = study.data
    if data.vectors is None:
        return "none"
    patterns = filter(None, (data.vectors, data.caption_vectors, data.metadata))
    files = (sorted(glob_files(study.path(pattern))) for pattern in patterns)
    return content_fingerprint(lake, chain.from_iterable(files))


@_input
def image_files(study: Study, lake: Lake) -> str:
    """The files beside the parquet in which the images of the samples lie."""
    from ..core.contents import fingerprint_of
    from ..images.places import image_places, lie_in_files, samples_of

    if study.data.vectors is not None or not lie_in_files(study):
        return "none"
    return fingerprint_of(image_places(study, lake, samples_of(lake)))


@_input
def clip(study: Study, lake: Lake) -> str:
    """The model of `[clip]`."""
    from ..clip.model import find_clip

    return find_clip(study).clip_id


@_input
def copy_model(study: Study, lake: Lake) -> str:
    """The descriptor of copies, where there is one."""
    from ..clip.copy_model import find_copy_model

    copies = find_copy_model(study)
    return "none" if copies is None else copies.copy_id


@_input
def thresholds(study: Study, lake: Lake) -> str:
    """Those named, or those recommended."""
    from ..clip.thresholds import resolve_thresholds

    return resolve_thresholds(study, lake).fingerprint


@_input
def follow_up_sets(study: Study, lake: Lake) -> str:
    """The word sets that `cluster` chose the last time."""
    from ..clusters import follow_up

    return ", ".join(str(k) for k in follow_up.follow_up_sets(study, lake)) or "none"


@_input
def generator(study: Study, lake: Lake) -> str:
    """The model of `[generator]`."""
    from ..generation.model import generator_fingerprint

    return generator_fingerprint(study)


@_input
def prompt_file(study: Study, lake: Lake) -> str:
    """The file of `[prompts]`."""
    from ..generation.prompt_file import prompt_file_fingerprint

    return prompt_file_fingerprint(study)


@_input
def object_files(study: Study, lake: Lake) -> str:
    """Labels, the vocabulary and the detector of `[[object]]` and `[objects]`."""
    from ..detection.catalog import object_files_fingerprint

    return object_files_fingerprint(study)


@_input
def risk_fit(study: Study, lake: Lake) -> str:
    """The fit of `[risk]`."""
    from ..warehouse.risk_fit import risk_fit_fingerprint

    return risk_fit_fingerprint(study)


@_input
def loss_limits(study: Study, lake: Lake) -> str:
    """The shares that may be lost without a warning."""
    from ..core.losses import limits

    return limits(study)


@_input
def decided_thresholds(study: Study, lake: Lake) -> str:
    """Replication thresholds that a person set in the explorer."""
    from ..core.decisions import decisions_fingerprint

    return decisions_fingerprint(lake, "decided_thresholds")


@_input
def cluster_marks(study: Study, lake: Lake) -> str:
    """Marks that a person set in the explorer."""
    from ..core.decisions import decisions_fingerprint

    return decisions_fingerprint(lake, "cluster_marks")


def _parquet_by_time(study: Study, lake: Lake) -> str | None:
    from ..captions.source import find_files

    return file_fingerprint(find_files(study))


def _nothing(study: Study, lake: Lake) -> None:
    return None


# What 0.1 and 0.2 noted of an input: of parquet paths, sizes and times, of others nothing. Where
# they would note the same today, the input is the same.
_EARLIER: dict[str, Callable[[Study, Lake], str | None]] = {
    "parquet": _parquet_by_time,
    "vectors": _nothing,
    "image_files": _nothing,
}


def in_recorded_words(stamp: Stamp, recorded: Stamp, study: Study, lake: Lake) -> Stamp:
    """A stamp with its inputs as an earlier version noted them, where they have not changed."""
    inputs: dict[str, str | None] = dict(stamp.inputs)
    for name in _EARLIER.keys() & inputs:
        noted = recorded.inputs.get(name)
        if noted != inputs[name] and _EARLIER[name](study, lake) == noted:
            inputs[name] = noted
    return replace(stamp, inputs={k: value for k, value in inputs.items() if value is not None})
