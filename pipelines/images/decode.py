"""One image: from the bytes that came to the bytes that are kept, or why there are none.

Without NumPy: a process that decodes (`decoder.py`) is ready in half the time.
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import mul
from typing import cast

from PIL import Image, ImageMath, UnidentifiedImageError

from ..core.study import Fetch
from .machine import fault_of
from .more_formats import JXL, check_readable, further_format
from .rows import Refused

Image.init()
# Not every format that Pillow can read: its EPS reader starts Ghostscript, for example.
_FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
    if name in Image.OPEN  # AVIF came with Pillow 11.3
)
_KEPT_FORMATS = ("JPEG", "PNG", "WEBP")
_KEPT_MODES = ("RGB", "L", "P", "1")
_KEPT_OVERHEAD = 65_536  # bytes beyond 3 a pixel: more is metadata, or a file that hides another
_LONG_SIDE = 16_383  # pixels: many programs, and WebP, can hold no more
_LEVELS = range(256)  # of one colour of a pixel
_SQUARES = [level**2 for level in _LEVELS]
_GREY_BITS = (8, 10, 12, 16)  # that cameras and scanners give; no fewer: noise in black stays dark

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class StoredImage:
    """An image as it is kept: encoded bytes, its size, and the upright size of the original.

    `perceptual_hash` is its dHash, 16 hex digits: similar images differ in few of the 64 bits.
    `colour_stddev` is the largest standard deviation of its red, green and blue, of 0 to 255 each:
    that of an image of a single colour is 0.
    """

    image: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    perceptual_hash: str
    colour_stddev: float


@contextmanager
def image_limits(max_pixels: int | None) -> Iterator[None]:
    """Let Pillow refuse larger images, and keep its warnings about single images to itself.

    For the whole process, because that is what Pillow's limit and Python's warning filters are:
    enter it once around a pool of threads, not in each of them.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def store_image(data: bytes, settings: Fetch) -> StoredImage:
    """Decode an image and return what to keep; call it within `image_limits`.

    Small JPEG, PNG and WebP files that need nothing done are kept byte for byte. Everything else
    becomes an upright RGB JPEG, transparent pixels on white, only the first frame, with the short
    side at most `settings.short_side` pixels.

    Raises:
        Refused: empty, not_an_image, unread_format, too_many_pixels, too_large_for_memory,
            truncated or damaged.
        OSError: a fault of this machine.

    """
    if not data:
        raise Refused("empty", "0 bytes")
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data)) as picture:
            _check_pixels(picture, settings)
            return _store(picture, data, settings)
    except Refused:
        raise
    except UnidentifiedImageError:
        raise _not_readable(data, f"begins with {data[:24]!r}") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(settings) from None
    except MemoryError:  # would stop the stage at the same picture each time
        raise _too_large_for_memory() from None
    except Exception as error:  # Pillow's readers raise whatever bad bytes lead them into
        if fault_of(error):
            raise
        raise _not_decodable(data, error) from None


def open_rgb(encoded: bytes, size: tuple[int, int] | None = None) -> Image.Image:
    """The RGB pixels of a stored image, or of any that Pillow opens; transparent ones on white.

    Whatever makes pictures smaller takes them from here: colours of a palette cannot be averaged.
    Where a `size` in pixels is given, a JPEG may be decoded at a fraction that is no smaller.
    """
    with Image.open(io.BytesIO(encoded)) as picture:
        if size is not None:
            picture.draft("RGB", size)
        picture.load()
        return _rgb_on_white(picture)


def _formats(data: bytes) -> tuple[str, ...]:
    further = further_format(data)
    if further is None:
        return _FORMATS
    check_readable(further)
    return (further,)


def _check_pixels(picture: Image.Image, settings: Fetch) -> None:
    if picture.width * picture.height > settings.max_pixels:
        raise _too_many_pixels(settings)


def _too_many_pixels(settings: Fetch) -> Refused:
    return Refused("too_many_pixels", f"more than {settings.max_pixels:,}")


def _too_large_for_memory() -> Refused:
    return Refused("too_large_for_memory", "decoding it takes more memory than there was")


def _not_readable(data: bytes, reason: str) -> Refused:
    return Refused("truncated" if _ends_early(data) else "not_an_image", reason)


def _not_decodable(data: bytes, error: Exception) -> Refused:
    reason = f"{type(error).__name__}: {error}"
    if reason.startswith("OSError: out of memory"):  # as a decoder in C says it
        return _too_large_for_memory()
    early = "truncated" in reason.lower() or _ends_early(data)
    return Refused("truncated" if early else "damaged", reason)


def _ends_early(data: bytes) -> bool:
    # WebP says how long it is; its decoder only says that it can't be created.
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)


def _store(picture: Image.Image, data: bytes, settings: Fetch) -> StoredImage:
    width, height = picture.size
    scale = min(1, settings.short_side / min(width, height), _LONG_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale < 1:
        # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the size leaves the filter enough.
        picture.draft("RGB", (2 * size[0], 2 * size[1]))
    picture.load()  # first of all: what fails here must not fail unseen in looking for EXIF
    orientation = _orientation(picture)
    rgb = _rgb_on_white(picture)
    if scale == 1 and orientation == 1 and _is_plain(picture, data):
        return StoredImage(data, width, height, width, height, *_statistics(rgb))
    # First by whole factors, where they suffice: a half to a quarter of the time, and 40 dB from
    # what the filter alone makes of a photograph.
    small = rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0)
    upright = small if orientation == 1 else small.transpose(_UPRIGHT[orientation])
    original = (width, height) if orientation < 5 else (height, width)  # from 5 on it lies
    kept = _encode(upright, settings.quality)
    return StoredImage(kept, *upright.size, *original, *_statistics(upright))


def _statistics(picture: Image.Image) -> tuple[str, float]:
    return _difference_hash(picture), _colour_stddev(picture)


def _colour_stddev(picture: Image.Image) -> float:
    n, counts = picture.width * picture.height, picture.histogram()
    return math.sqrt(max(_spread(counts[start : start + 256], n) for start in (0, 256, 512))) / n


def _spread(counts: list[int], n: int) -> int:
    """n² times the variance of n values, from how many there are of each level."""
    squares: int = sum(map(mul, counts, _SQUARES))
    whole: int = sum(map(mul, counts, _LEVELS))
    return n * squares - whole**2


def _difference_hash(picture: Image.Image) -> str:
    """The dHash: whether each of 8 × 8 pixels of a 9 × 8 grey copy is darker than its right one."""
    pixels = picture.convert("L").resize((9, 8), Image.Resampling.BOX).tobytes()
    pairs = (pixels[i : i + 2] for row in range(0, 72, 9) for i in range(row, row + 8))
    bits = "".join("01"[left < right] for left, right in pairs)
    return f"{int(bits, 2):016x}"


def _is_plain(picture: Image.Image, data: bytes) -> bool:
    return (
        picture.format in _KEPT_FORMATS
        and picture.mode in _KEPT_MODES
        and not picture.has_transparency_data
        and not getattr(picture, "is_animated", False)
        and len(data) <= 3 * picture.width * picture.height + _KEPT_OVERHEAD
    )


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where it says nothing that can be read."""
    if picture.format == JXL and not getattr(picture, "jpeg", False):
        return 1  # as its own header says, it is upright by now; of a JPEG in it, EXIF says it
    try:
        orientation = picture.getexif().get(_ORIENTATION_TAG)
    except Exception:  # a broken EXIF block is no reason to refuse the pixels
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _rgb_on_white(picture: Image.Image) -> Image.Image:
    """RGB pixels of any mode; transparent ones lie on white."""
    if picture.mode.startswith("I;16"):
        return _deep_grey(picture).convert("RGB")
    if picture.mode in ("I", "F"):
        return _stretch(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _deep_grey(picture: Image.Image) -> Image.Image:
    """8-bit grey of one of 16 bits, of any byte order; many of them hold values of 10 or 12 bits.

    Its range is the smallest that holds the brightest value. What is transparent is white.
    """
    whole = picture.convert("I")  # Pillow scales the values of no big-endian picture
    transparent = picture.info.get("transparency")
    if transparent is None:
        return _scaled(whole)
    # Pillow's own way to RGBA looks at the low byte alone.
    mask = ImageMath.lambda_eval(lambda of: (of["whole"] == transparent) * 255, whole=whole)
    is_transparent = mask.convert("L")
    whole.paste(0, mask=is_transparent)
    grey = _scaled(whole)
    grey.paste(255, mask=is_transparent)
    return grey


def _scaled(whole: Image.Image) -> Image.Image:
    _, brightest = cast(tuple[float, float], whole.getextrema())
    bits = next(n for n in _GREY_BITS if brightest < 1 << n)
    scale = ((1 << bits) - 1) / 255
    return whole.point(lambda value: value / scale).convert("L")


def _stretch(picture: Image.Image) -> Image.Image:
    """8-bit grey of a mode without a range of its own: its darkest is 0, its brightest 255."""
    low, high = cast(tuple[float, float], picture.getextrema())  # one band
    scale = 255 / ((high - low) or 1)
    return picture.point(lambda value: value * scale - low * scale).convert("L")


def _encode(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # WebP saves a fifth of the space and takes 20 times as long: longer than everything else.
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
