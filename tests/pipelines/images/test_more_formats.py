"""HEIC and JPEG XL: in their colours with the extra `formats`, and named where it is not there."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from memtriggers.pipelines.core.study import Fetch
from memtriggers.pipelines.images.decode import StoredImage
from memtriggers.pipelines.images.decoders import Decoders, start_decoders
from memtriggers.pipelines.images.more_formats import further_format
from memtriggers.pipelines.images.rows import Refused

WIDTH, HEIGHT = 80, 40
HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(60)
BARE, BOXED = b"\xff\x0a" + bytes(60), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60)


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    with start_decoders(Fetch(), 1) as started:
        yield started


@pytest.fixture
def heif(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    plugin = pytest.importorskip("pillow_heif")
    plugin.register_heif_opener()
    return lambda picture, **options: encode(picture, "HEIF", **options)


@pytest.fixture
def jxl() -> Callable[..., bytes]:
    pytest.importorskip("pillow_jxl")
    return lambda picture, **options: encode(picture, "JXL", **options)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def halves() -> Image.Image:
    """Red on the left, blue on the right, with a green corner at the upper left."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (20, 30, 200))
    picture.paste((200, 30, 40), (0, 0, WIDTH // 2, HEIGHT))
    picture.paste((30, 200, 40), (0, 0, 16, 16))
    return picture


def pixels_of(stored: StoredImage) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(stored.image)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def are_halves(stored: StoredImage) -> bool:
    pixels, expected = pixels_of(stored), np.asarray(halves()).astype(int)
    return pixels.shape == expected.shape and bool(np.abs(pixels - expected).mean() < 6)


def test_heic_is_read_in_its_colours(decoders: Decoders, heif: Callable[..., bytes]) -> None:
    assert are_halves(decoders.store(heif(halves(), quality=95)))
    transparent = halves().convert("RGBA")
    transparent.putalpha(0)
    assert pixels_of(decoders.store(heif(transparent, quality=95))).min() > 250


def test_jpeg_xl_is_read_in_its_colours(decoders: Decoders, jxl: Callable[..., bytes]) -> None:
    for options in ({"lossless": True}, {"quality": 95}, {"use_container": True}):
        assert are_halves(decoders.store(jxl(halves(), **options)))
    transparent = halves().convert("RGBA")
    transparent.putalpha(0)
    assert pixels_of(decoders.store(jxl(transparent, lossless=True))).min() > 250
    values = np.tile(np.linspace(0, 65_535, WIDTH), (HEIGHT, 1)).astype("<u2")
    deep = Image.frombytes("I;16", (WIDTH, HEIGHT), values.tobytes())
    grey = pixels_of(decoders.store(jxl(deep, lossless=True)))
    assert np.abs(grey - np.linspace(0, 255, WIDTH)[None, :, None]).max() <= 4


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def test_pictures_that_lie_are_turned_once(
    decoders: Decoders, heif: Callable[..., bytes], jxl: Callable[..., bytes], tmp_path: Path
) -> None:
    lying = halves().transpose(Image.Transpose.ROTATE_90)  # by a quarter, to the left
    assert are_halves(decoders.store(heif(lying, quality=95, exif=exif(6))))
    # By its standard, a JPEG XL says in its own header how it lies, and EXIF counts for nothing.
    assert are_halves(decoders.store(jxl(halves(), quality=95, exif=exif(6))))
    lying.save(tmp_path / "lying.jpg", quality=95, exif=exif(6))
    with Image.open(tmp_path / "lying.jpg") as picture:
        within = jxl(picture, lossless_jpeg=True)
    assert are_halves(decoders.store(within))


def test_avif_is_pillow_s_own(decoders: Decoders) -> None:
    encoded = encode(halves(), "AVIF", quality=90)
    assert further_format(encoded) is None
    assert are_halves(decoders.store(encoded))


@pytest.mark.parametrize("start", [HEIC, BARE, BOXED])
def test_what_only_begins_so_is_damaged_or_no_image(start: bytes, decoders: Decoders) -> None:
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    with pytest.raises(Refused) as refused:
        decoders.store(start)
    assert refused.value.status in ("damaged", "not_an_image")


# On the path before everything else: the plugins are not there, for the children.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("pillow_heif", "pillow_jxl"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_without_the_plugins_the_row_names_the_format_and_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    kinds = [(HEIC.replace(b"heic", brand), "HEIC (HEIF)") for brand in BRANDS]
    with start_decoders(Fetch(), 1) as decoders:
        for start, name in [*kinds, (BARE, "JPEG XL"), (BOXED, "JPEG XL")]:
            with pytest.raises(Refused) as refused:
                decoders.store(start)
            assert refused.value.status == "unread_format"
            assert refused.value.reason == f"{name}; install: pip install 'memtriggers[formats]'"
        assert are_halves(decoders.store(encode(halves(), "AVIF", quality=90)))


BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def test_the_first_bytes_tell_formats_apart() -> None:
    assert [further_format(start) for start in (HEIC, BARE, BOXED)] == ["HEIF", "JXL", "JXL"]
    both = HEIC.replace(b"heicmiaf", b"avifmiaf").replace(b"ftypheic", b"ftypmif1")
    others = (both, HEIC.replace(b"heic", b"mp42").replace(b"mif1", b"isom"), b"", b"\xff\xd8\xff")
    assert [further_format(start) for start in others] == [None] * 4
