"""Distances between pictures, pixel by pixel: Carlini's l2, whole and by tiles, and Webster's.

Every picture is brought to 256 × 256 pixels of 0 to 255. These are whole numbers, and the products
and sums of them below are too, and less than 2⁵³: in float64 they are exact in whatever order a
matrix product adds them up, so that a copy has a distance of 0, not of what rounding leaves.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from ..core.cores import count_cores
from ..images.decode import open_rgb

PREPROCESSING = "short side to 256 (bicubic), centre 256 × 256, RGB"
SIDE = 256  # pixels
_TILES = 4  # a side: Carlini's 128 of 512 pixels
_TILE = SIDE // _TILES
_FULL = 255.0
N_VALUES = SIDE * SIDE * 3

# Webster's mask: of pairs whose sum of squared errors (values of 0 to 1) says that they are the
# same picture, but not the same file, the pixels whose channels differ by less than this together.
_PAIR_ERRORS = (100.0, 1000.0)
_PIXEL_DIFFERENCE = 0.03

Pixels = npt.NDArray[np.uint8]  # (n, 256, 256, 3)
Tiles = npt.NDArray[np.float64]  # (16, n, 64 * 64 * 3), whole numbers
Mask = npt.NDArray[np.bool_]  # (256, 256)
Distances = npt.NDArray[np.float64]


def read_pixels(encoded: list[bytes]) -> Pixels:
    """Decode pictures, on every core; (n, 256, 256, 3)."""
    with ThreadPoolExecutor(count_cores()) as threads:
        return np.stack(list(threads.map(_read, encoded)))


def _read(encoded: bytes) -> Pixels:
    rgb = open_rgb(encoded)
    scale = SIDE / min(rgb.size)
    if scale != 1:
        size = (max(SIDE, round(rgb.width * scale)), max(SIDE, round(rgb.height * scale)))
        rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    left, top = (rgb.width - SIDE) // 2, (rgb.height - SIDE) // 2
    return np.asarray(rgb.crop((left, top, left + SIDE, top + SIDE)))


def squared_errors(generated: Pixels, references: Pixels, mask: Mask | None = None) -> Distances:
    """The sum of squared differences of every pair in each of 16 tiles, (16, n, m), of 0 to 255.

    Where there is a mask, only its pixels count.
    """
    a, b = _tiled(generated, mask), _tiled(references, mask)
    norms = (a * a).sum(axis=2)[:, :, None] + (b * b).sum(axis=2)[:, None, :]
    errors: Distances = norms - 2 * a @ b.transpose(0, 2, 1)
    return errors


def _tiled(pixels: Pixels, mask: Mask | None) -> Tiles:
    shown = pixels if mask is None else pixels * mask[:, :, None]
    parts = shown.reshape(len(pixels), _TILES, _TILE, _TILES, _TILE, 3)
    tiles = parts.transpose(1, 3, 0, 2, 4, 5).reshape(_TILES**2, len(pixels), -1)
    return tiles.astype(np.float64)


def l2(errors: Distances) -> Distances:
    """The root of the mean squared difference of values of 0 to 1, (n, m); of 0 for a copy.

    N. Carlini et al., "Extracting Training Data from Diffusion Models" (2023).
    """
    distance: Distances = np.sqrt(errors.sum(axis=0) / N_VALUES) / _FULL
    return distance


def l2_tiles(errors: Distances) -> Distances:
    """The same of the tile that differs most, (n, m): a common background makes no copy."""
    distance: Distances = np.sqrt(errors.max(axis=0) * (_TILES**2 / N_VALUES)) / _FULL
    return distance


def webster(masked_errors: Distances, mask: Mask) -> Distances:
    """Webster's distance to a template: Σ(t∘m − g∘m)² / mean(m), of values of 0 to 1, (n, m).

    R. Webster, "A Reproducible Extraction of Training Data from Diffusion Models" (2023), whose
    template-verbatim copies are below 2500.
    """
    distance: Distances = masked_errors.sum(axis=0) / _FULL**2 / mask.mean()
    return distance


def template_mask(references: Pixels) -> Mask:
    """The pixels that a template shares with its near copies, the rest being what varies.

    Of every pair of references whose squared errors are between 100 and 1000, those pixels whose
    three channels differ by less than 0.03 together; kept where all such pairs agree, eroded by
    3 × 3 and dilated by 6 × 6 (3 × 3 for a single pair). Everything where no pair is of that kind,
    or nothing is shared.
    """
    total = squared_errors(references, references).sum(axis=0) / _FULL**2
    pairs = np.argwhere(np.triu((total > _PAIR_ERRORS[0]) & (total < _PAIR_ERRORS[1]), 1))
    if len(pairs) == 0:
        return np.ones((SIDE, SIDE), np.bool_)
    shared = np.logical_and.reduce(
        [_shared_pixels(references[first], references[second]) for first, second in pairs]
    )
    reach = 3 if len(pairs) == 1 else 6
    core = ndimage.binary_erosion(shared, np.ones((3, 3), np.bool_))
    mask: Mask = ndimage.binary_dilation(core, np.ones((reach, reach), np.bool_))
    return mask if mask.any() else np.ones((SIDE, SIDE), np.bool_)


def _shared_pixels(first: Pixels, second: Pixels) -> Mask:
    difference = np.abs(first.astype(np.int32) - second).sum(axis=2)
    shared: Mask = difference < _PIXEL_DIFFERENCE * _FULL
    return shared
