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
Files = Callable[[Study], list[str] | None]

INPUTS: dict[str, Fingerprint] = {}
_FILES: dict[str, Files] = {}


def _input(fingerprint: Fingerprint) -> Fingerprint:
    INPUTS[fingerprint.__name__] = fingerprint
    return fingerprint


def _files(files: Files) -> Files:
    """An input that is files: their paths, and what they hold; None: there is nothing to read."""

    def fingerprint(study: Study, lake: Lake) -> str:
        from ..core.contents import content_fingerprint

        found = files(study)
        return "none" if found is None else content_fingerprint(lake, found)

    _FILES[files.__name__], INPUTS[files.__name__] = files, fingerprint
    return files


@_files
def parquet(study: Study) -> list[str]:
    """The files of `[data] rows`."""
    from ..captions.files import files_to_hash

    return files_to_hash(study)


@_files
def vectors(study: Study) -> list[str] | None:
    """The files of vectors that are imported, and of their metadata."""
    from ..captions.files import glob_files

    data = study.data
    if data.vectors is None:
        return None
    patterns = filter(None, (data.vectors, data.caption_vectors, data.metadata))
    files = (sorted(glob_files(study.path(pattern))) for pattern in patterns)
    return list(chain.from_iterable(files))


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


@_files
def generator(study: Study) -> list[str] | None:
    """The files of the model of `[generator]`."""
    from ..generation.model import generator_files

    return generator_files(study)


@_files
def prompt_file(study: Study) -> list[str] | None:
    """The file of `[prompts]`."""
    from ..generation.prompt_file import prompt_files

    return prompt_files(study)


@_files
def object_files(study: Study) -> list[str]:
    """Labels, the vocabulary and the detector of `[[object]]` and `[objects]`."""
    from ..detection.catalog import object_files as files_of

    return files_of(study)


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


def in_recorded_words(stamp: Stamp, recorded: Stamp, study: Study, lake: Lake) -> Stamp:
    """A stamp with its inputs as an earlier version noted them, where they have not changed.

    They have not where that version would note the same today: 0.1 and 0.2 noted the paths of
    files, and the sizes and times of those on this machine.
    """
    inputs = dict(stamp.inputs)
    for name in _FILES.keys() & inputs:
        noted = recorded.inputs.get(name)
        if noted is None or noted == inputs[name]:
            continue
        if _by_time(_FILES[name](study)) == noted:
            inputs[name] = noted
    return replace(stamp, inputs=inputs)


def _by_time(files: list[str] | None) -> str | None:
    """What it noted; None where that says nothing: of an address it knew the name alone."""
    if files is None:
        return "none"
    return None if any("://" in file for file in files) else file_fingerprint(files)
