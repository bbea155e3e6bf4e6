"""What a worker does with images that objects are looked for in: the best box of each object."""

from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from dask.system import CPU_COUNT
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from ..core.errors import ModelError
from ..core.gpus import gpu_of_worker, half_precision
from ..images.decode import open_rgb
from .detect_job import OWL, DetectJob

_BATCH = 8  # images in one forward pass: a large detector takes some 3 GB for them

Picture = Image.Image
Best = tuple[torch.Tensor, torch.Tensor]  # scores (b, o), boxes (b, o, 4) as centre and size

_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once


class Loaded(NamedTuple):
    """A detector on one device, and what prepares its input."""

    model: Any
    processor: Any
    device: str


def detect(ids: list[str], row_offsets: list[int], job: DetectJob) -> pa.Table:
    """The rows (key, scores, boxes) of n images: of each object the best score and its box.

    Boxes are left, top, right, bottom, from 0 to 1, inside the image.

    Raises:
        ModelError: the detector cannot be loaded.
        LakeError: this worker cannot read the lake.

    """
    with _one_shard_at_a_time:
        torch.set_num_threads(max(1, CPU_COUNT // job.workers_per_host))
        loaded = _load(job.folder, job.detector_id, gpu_of_worker(job.device) or "cpu")
        pictures = [open_rgb(i) for i in job.images.read(row_offsets, ids)]
        scores, boxes = [], []
        for start in range(0, len(pictures), _BATCH):
            batch = pictures[start : start + _BATCH]
            found = _look(loaded, batch, job.texts)
            scores.append(found[0].float().cpu().numpy())
            boxes.append(_corners(found[1].float().cpu().numpy(), batch, loaded))
    columns = {
        job.images.key: pa.array(ids, pa.string()),
        "scores": _lists(np.concatenate(scores)),
        "boxes": _lists(np.concatenate(boxes).reshape(len(ids), -1)),
    }
    return pa.table(columns)


@lru_cache(maxsize=1)
def _load(folder: str, detector_id: str, device: str) -> Loaded:
    """The detector, loaded once in a process, from safetensors alone.

    A worker of a cluster that stays may have loaded what was in the folder before.
    """
    try:
        model = AutoModelForZeroShotObjectDetection.from_pretrained(
            folder, use_safetensors=True, local_files_only=True
        )
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a folder from elsewhere leads transformers into
        raise ModelError(
            f"objects: detector: {folder}: cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from None
    return Loaded(model.to(device).eval(), processor, device)


def _look(loaded: Loaded, batch: list[Picture], texts: tuple[tuple[str, ...], ...]) -> Best:
    is_owl = loaded.model.config.model_type in OWL
    with torch.inference_mode(), half_precision(loaded.device):
        return (_ask_owl if is_owl else _ask_dino)(loaded, batch, texts)


def _ask_owl(loaded: Loaded, batch: list[Picture], texts: tuple[tuple[str, ...], ...]) -> Best:
    """Every phrase in one pass: the logits of a box are one a phrase."""
    phrases = [phrase for of_object in texts for phrase in of_object]
    inputs = loaded.processor(
        text=[phrases] * len(batch), images=batch, return_tensors="pt", truncation=True
    ).to(loaded.device)
    output = loaded.model(**inputs)  # logits (b, boxes, phrases), pred_boxes (b, boxes, 4)
    best, start = [], 0
    for of_object in texts:
        logits = output.logits[:, :, start : start + len(of_object)].amax(dim=2)
        best.append(_best(logits, output.pred_boxes))
        start += len(of_object)
    return _stacked(best)


def _ask_dino(loaded: Loaded, batch: list[Picture], texts: tuple[tuple[str, ...], ...]) -> Best:
    """One object a pass: its logits are one a token, and phrases of others would mix in."""
    best = []
    for of_object in texts:
        said = " ".join(f"{phrase.lower()}." for phrase in of_object)
        inputs = loaded.processor(text=[said] * len(batch), images=batch, return_tensors="pt").to(
            loaded.device
        )
        output = loaded.model(**inputs)  # logits (b, boxes, tokens), -inf behind the text
        best.append(_best(output.logits.amax(dim=2), output.pred_boxes))
    return _stacked(best)


def _best(logits: torch.Tensor, boxes: torch.Tensor) -> Best:
    """The largest score, (b,), and its box, (b, 4)."""
    scores, places = torch.sigmoid(logits).max(dim=1)
    return scores, boxes[torch.arange(len(boxes), device=boxes.device), places]


def _stacked(best: list[Best]) -> Best:
    return torch.stack([b[0] for b in best], dim=1), torch.stack([b[1] for b in best], dim=1)


def _corners(boxes: Any, batch: list[Picture], loaded: Loaded) -> Any:
    """(b, o, 4) centres and sizes as left, top, right, bottom inside each picture."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    corners = np.concatenate([centre - half, centre + half], axis=-1)
    if loaded.model.config.model_type == "owlv2":  # it pads pictures to squares
        sides = np.array([picture.size for picture in batch], np.float32)  # width, height
        scale = sides.max(axis=1, keepdims=True) / sides
        corners = corners * np.tile(scale, 2)[:, None]
    return np.clip(corners, 0, 1).astype(np.float32)


def _lists(matrix: Any) -> pa.FixedSizeListArray:
    values = pa.array(matrix.astype(np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1])
