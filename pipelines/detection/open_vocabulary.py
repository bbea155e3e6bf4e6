"""An open-vocabulary detector of transformers: scores and boxes, made on the workers and kept."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from ...lance.store import VectorStore
from ..clip.model import hash_files
from ..core.errors import MissingExtra, ModelError
from ..core.lake import Lake
from ..core.pinned import pin_images
from ..core.stored_work import StoredWork
from ..core.study import Study
from ..replication.compared import as_matrix
from .catalog import Sought
from .detect_job import DINO, OWL, DetectJob
from .images import Looked
from .kept import kept_parts, missing_from
from .seen import Seen

_PICTURES = 32  # in one task and one transaction: what a kill can lose
_FILES = ("*.json", "*.txt", "*.safetensors")  # never a pickle


class OpenVocabulary:
    """OWL-ViT, OWLv2 or Grounding DINO; the score of an image is that of its best box."""

    def __init__(self, study: Study, lake: Lake, sought: Sequence[Sought]) -> None:
        self._study, self._lake = study, lake
        self._store = VectorStore(lake.vectors)
        self._folder = find_detector(study)
        self._texts = tuple(one.looks_like for one in sought)
        self.detector_id = _detector_id(self._folder)

    def look(self, looked: Looked) -> Iterator[tuple[Looked, Seen]]:
        """What it sees, a part of the images at a time, in their order."""
        name = self._name(looked)
        self._add_missing(looked, name)
        columns = ["scores", "boxes"]
        for part, rows in kept_parts(self._store, name, looked, columns, 4 * _PICTURES):
            scores, boxes = (as_matrix(rows[column].chunk(0)) for column in columns)
            yield part, Seen(scores, boxes.reshape(*scores.shape, 4))

    def _name(self, looked: Looked) -> str:
        texts = hashlib.sha256(json.dumps(self._texts).encode()).hexdigest()[:8]
        return f"object_boxes-{looked.key}-{self.detector_id}-{texts}"

    def _add_missing(self, looked: Looked, name: str) -> None:
        missing = missing_from(self._store, name, looked)
        if len(missing) == 0:
            return
        job = DetectJob(
            pin_images(self._store, looked.table.name, looked.key),
            str(self._folder),
            self.detector_id,
            self._texts,
            self._study.resources.device,
        )
        StoredWork(
            "objects",
            "detect objects",
            _detect,
            job,
            [name],
            made="scores",
            way_out="use a smaller detector",
        ).run(self._study, self._lake, len(missing), lambda _: missing.parts(_PICTURES))


def find_detector(study: Study) -> Path:
    """The folder of `[objects] detector`; what is on a hub is downloaded.

    Raises:
        ModelError: it cannot be found, has no safetensors, or is another kind of model.
        MissingExtra: transformers is not installed.

    """
    settings = study.objects
    assert settings is not None and settings.detector is not None  # whoever asks has looked
    if find_spec("transformers") is None:
        raise MissingExtra(
            "objects: detector: it needs the package transformers; install: "
            "pip install 'memtriggers[generate]'"
        )
    folder = Path(study.path(settings.detector))
    if not folder.is_dir():
        folder = _download(settings.detector, settings.revision)
    config = folder / "config.json"
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        raise ModelError(f"objects: detector: {config}: cannot be read: {error}") from None
    if kind not in (*OWL, *DINO):
        raise ModelError(
            f"objects: detector: {folder}: is of type {kind!r}; known are "
            + ", ".join((*OWL, *DINO))
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"objects: detector: {folder}: has no .safetensors file; pickles are not loaded: "
            "save it again with save_pretrained"
        )
    return folder


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_FILES)))
    except Exception as error:  # whatever the hub's client makes of it
        raise ModelError(
            f"objects: detector: {name!r}: no such folder, and it does not come from the hub: look "
            f"at its name, its revision and the network ({' '.join(str(error).split())[:200]})"
        ) from None


def _detector_id(folder: Path) -> str:
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    files = sorted(file for pattern in _FILES for file in folder.glob(pattern))
    return f"{kind}-{hash_files(*files)[:8]}"


def _detect(shard: Looked, job: DetectJob) -> list[pa.Table]:
    from .open_vocabulary_worker import detect  # in the worker: it imports torch

    return [detect(shard.ids.to_pylist(), shard.offsets.tolist(), job)]
