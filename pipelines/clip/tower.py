"""Networks of images without a text side: the descriptor of copies, and peers of a model."""

import hashlib
import io
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from ..core.errors import ModelError
from ..images.decode import image_limits, open_rgb
from .batches import Batches
from .copy_model import CopyChoice

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean, standard deviation


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes pixels: `resize` is a short side, or both sides without a crop."""

    resize: tuple[int, ...]
    crop: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def transform(self) -> v2.Compose:
        """From an RGB image to (3, height, width) float32."""
        return v2.Compose(
            [
                v2.Resize(list(self.resize), v2.InterpolationMode(self.interpolation)),
                *([] if self.crop is None else [v2.CenterCrop(self.crop)]),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(list(self.mean), list(self.std)),
            ]
        )

    @property
    def keeps_shape(self) -> bool:
        """Whether images of different shapes stay so, and cannot share a batch."""
        return len(self.resize) == 1 and self.crop is None


# Scores of two of these do not compare. sscd320 and sscd288 are what SSCD's authors advise, dcr224
# is that of DCR's retrieval (Somepalli et al.), imagenet224 that of its embedding search.
PREPROCESSINGS = {
    "sscd320": Preprocessing((320, 320), None, *_IMAGENET),
    "sscd288": Preprocessing((288,), None, *_IMAGENET),
    "dcr224": Preprocessing((256,), 224, _HALF, _HALF),
    "imagenet224": Preprocessing((256,), 224, *_IMAGENET),
}


class Tower:
    """A network that makes vectors of images, on one device."""

    def __init__(self, network: Any, preprocessing: Preprocessing, batches: Batches) -> None:
        self._network = network.eval().to(batches.device, memory_format=torch.channels_last)
        self._transform = preprocessing.transform()
        self._size = 1 if preprocessing.keeps_shape else None
        self._batches = batches

    def images(self, images: list[bytes]) -> NDArray[np.float32]:
        """The vectors of n encoded images, (n, d) as they leave the network: not unit norm."""
        with image_limits(None):
            return self._batches.run(images, self._batch, blank_image(), self._size)

    def _batch(self, images: list[bytes]) -> NDArray[np.float32]:
        pixels = torch.stack([self._transform(open_rgb(image)) for image in images])
        return self._batches.forward(
            self._network, pixels.contiguous(memory_format=torch.channels_last)
        )


def load_copy_model(choice: CopyChoice, batches: Batches) -> Tower:
    """Load the descriptor of copies. This runs the program in its file.

    Raises:
        ModelError: the file is another one than was chosen, or no TorchScript.

    """
    try:
        content = Path(choice.path).read_bytes()
    except OSError as error:
        raise ModelError(f"{choice.path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != choice.sha256:  # what is run is what was hashed
        raise ModelError(f"{choice.path}: another file here: its sha256 is not {choice.sha256}")
    return Tower(_load(content, choice, batches.device), _preprocessing(choice), batches)


def describe_copy_model(choice: CopyChoice) -> str:
    """What made the vectors, as JSON: the file's name and hash, and the preprocessing."""
    named = {"name": choice.preprocessing, **asdict(_preprocessing(choice))}
    said = {"model": Path(choice.path).name, "sha256": choice.sha256, "preprocessing": named}
    return json.dumps(said, sort_keys=True)


def _preprocessing(choice: CopyChoice) -> Preprocessing:
    return PREPROCESSINGS[choice.preprocessing]


def _load(content: bytes, choice: CopyChoice, device: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            # torch has newer formats; SSCD is published in this one alone.
            return torch.jit.load(io.BytesIO(content), device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition(". ")[0].partition("\n")[0]
        raise ModelError(f"{choice.path}: not a TorchScript file: {reason}") from None


def blank_image() -> bytes:
    """A small encoded image, for the length of what a network makes of one."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()
