import io
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from memtriggers.pipelines.core.study import Fetch
from memtriggers.pipelines.images.decode import (
    Refused,
    StoredImage,
    _rgb_on_white,
    image_limits,
    store_image,
)

SETTINGS = Fetch(short_side=64)


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    with image_limits(SETTINGS.max_pixels):
        yield


@pytest.fixture
def noise() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    return Image.fromarray(pixels)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(stored: StoredImage) -> Image.Image:
    with Image.open(io.BytesIO(stored.image)) as picture:
        assert picture.size == (stored.width, stored.height)
        return picture.convert("RGB")


def refusal(data: bytes, settings: Fetch = SETTINGS) -> str:
    with pytest.raises(Refused) as refused:
        store_image(data, settings)
    assert refused.value.reason
    return refused.value.status


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_small_files_are_kept_byte_for_byte(noise: Image.Image, kind: str) -> None:
    data = encode(noise.crop((0, 0, 80, 64)), kind)
    stored = store_image(data, SETTINGS)
    assert stored == StoredImage(data, 80, 64, 80, 64, stored.perceptual_hash, stored.colour_stddev)


def test_a_small_file_that_hides_something_is_made_new(noise: Image.Image) -> None:
    data = encode(noise, "JPEG") + bytes(1_000_000)
    assert len(store_image(data, SETTINGS).image) < 50_000


def test_large_images_are_stored_at_the_short_side() -> None:
    data = encode(Image.new("RGB", (3000, 1000), "navy"), "JPEG")
    stored = store_image(data, SETTINGS)
    assert (stored.width, stored.height) == (192, 64)
    assert (stored.original_width, stored.original_height) == (3000, 1000)
    with Image.open(io.BytesIO(stored.image)) as picture:
        assert picture.format == "JPEG"


def test_a_single_colour_has_next_to_no_deviation_and_a_thin_line_has_some() -> None:
    blank, green = Image.new("RGB", (300, 300), (200, 30, 60)), Image.new("RGB", (300, 300), "lime")
    lined = blank.copy()
    lined.paste("white", (0, 150, 300, 151))
    left_red = green.copy()
    left_red.paste("red", (0, 0, 150, 300))
    deviations = [
        store_image(encode(picture, kind), SETTINGS).colour_stddev
        for picture in (blank, green, lined, left_red)
        for kind in ("PNG", "JPEG")
    ]
    assert max(deviations[:4]) < 1 < 4 < min(deviations[4:])
    assert deviations[6] == pytest.approx(127.5, abs=2)


def test_the_perceptual_hash_knows_an_image_again(noise: Image.Image) -> None:
    def bits(picture: Image.Image, kind: str) -> int:
        return int(store_image(encode(picture, kind), SETTINGS).perceptual_hash, 16)

    blurred = noise.resize((10, 8)).resize((320, 240))
    first = bits(blurred, "PNG")
    assert (first ^ bits(blurred.resize((160, 120)), "JPEG")).bit_count() <= 3
    assert (first ^ bits(blurred.transpose(Image.Transpose.ROTATE_180), "PNG")).bit_count() > 16
    ramp = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90)
    assert store_image(encode(ramp, "PNG"), SETTINGS).perceptual_hash in ("f" * 16, "0" * 16)


def test_the_quality_is_that_of_the_study(noise: Image.Image) -> None:
    data = encode(noise.resize((640, 640)), "PNG")
    sizes = [len(store_image(data, Fetch(quality=quality)).image) for quality in (20, 90)]
    assert sizes[0] < sizes[1]


def test_extremely_long_images_are_bounded_on_both_sides() -> None:
    stored = store_image(encode(Image.new("RGB", (40_000, 100)), "PNG"), SETTINGS)
    assert (stored.width, stored.height) == (16_383, 41)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
def test_other_formats_become_jpeg(kind: str) -> None:
    stored = store_image(encode(Image.new("RGB", (40, 30), (200, 30, 40)), kind), SETTINGS)
    assert np.allclose(pixels_of(stored).getpixel((20, 15)), (200, 30, 40), atol=8)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("LA", (0, 128), (127, 127, 127)),
        ("I;16", 40_000, (156, 156, 156)),
        ("L", 99, (99, 99, 99)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_modes_become_rgb_on_white(mode: str, color: Any, expected: tuple[int, ...]) -> None:
    stored = store_image(encode(Image.new(mode, (40, 30), color), "PNG"), SETTINGS)
    assert np.allclose(pixels_of(stored).getpixel((20, 15)), expected, atol=3)


def test_cmyk_becomes_rgb() -> None:
    stored = store_image(encode(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"), SETTINGS)
    assert np.allclose(pixels_of(stored).getpixel((20, 15)), (255, 0, 0), atol=8)


def test_a_transparent_palette_lies_on_white() -> None:
    palette = Image.new("P", (40, 30), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    stored = store_image(encode(palette, "PNG", transparency=1), SETTINGS)
    assert pixels_of(stored).getpixel((20, 15)) == (255, 255, 255)


CASES = Path(__file__).parents[2] / "cases" / "images"
DEEP_MODES = {"I;16": "<u2", "I;16B": ">u2", "I;16L": "<u2", "I;16N": "=u2"}


def deep(mode: str, brightest: int) -> Image.Image:
    """A ramp of 16-bit grey from black on the left to its brightest value on the right."""
    values = np.tile(np.linspace(0, brightest, 64), (64, 1)).astype(DEEP_MODES[mode])
    return Image.frombytes(mode, (64, 64), values.tobytes())


@pytest.mark.parametrize("mode", DEEP_MODES)
@pytest.mark.parametrize(
    ("brightest", "right"),
    [(0, 0), (9, 9), (255, 255), (1_023, 255), (4_095, 255), (4_096, 15), (65_535, 255)],
)
def test_grey_of_16_bits_has_the_range_that_holds_its_brightest_value(
    mode: str, brightest: int, right: int
) -> None:
    for lossless in ("PNG", "TIFF"):
        picture = deep(mode, brightest)
        read = [picture]
        if mode in ("I;16", "I;16B") or (mode, lossless) == ("I;16L", "TIFF"):  # what can be saved
            read.append(Image.open(io.BytesIO(encode(picture, lossless))))
        for one in read:
            rgb = np.asarray(_rgb_on_white(one))
            assert (rgb[:, 0] == 0).all() and (rgb[:, -1] == right).all()
            whole = np.linspace(0, brightest, 64).astype(int)
            expected = (whole * right / max(brightest, 1))[None, :, None]
            assert np.abs(rgb - expected).max() <= 1


def test_real_grey_of_16_bits_is_its_high_byte_or_nearly() -> None:
    values = np.arange(65_536, dtype="<u2").reshape(256, 256)
    rgb = np.asarray(_rgb_on_white(Image.frombytes("I;16", (256, 256), values.tobytes())))
    assert np.abs(rgb[..., 0] - values / 257).max() < 1


@pytest.mark.parametrize("mode", DEEP_MODES)
def test_transparent_grey_of_16_bits_is_white_and_sets_no_range(mode: str) -> None:
    picture = deep(mode, 4_095)
    picture.paste(65_535, (0, 0, 32, 64))
    picture.putpixel((40, 0), 255)  # the low byte of the other: not transparent
    picture.info["transparency"] = 65_535
    rgb = np.asarray(_rgb_on_white(picture))
    assert (rgb[:, :32] == 255).all() and (rgb[:, -1] == 255).all()
    assert np.abs(rgb[1:, 32:, 0] - np.linspace(0, 255, 64)[None, 32:]).max() <= 1
    assert rgb[0, 40, 0] == 15
    if mode == "I;16":
        encoded = encode(picture, "PNG", transparency=65_535)
        with Image.open(io.BytesIO(encoded)) as read:
            assert (np.asarray(_rgb_on_white(read)) == rgb).all()


def test_big_endian_grey_is_what_its_little_endian_twin_is() -> None:
    encoded = (CASES / "grey16_bigendian.tif").read_bytes()
    with Image.open(io.BytesIO(encoded)) as big:
        twin = Image.frombytes("I;16", big.size, np.asarray(big).astype("<u2").tobytes())
    assert big.mode == "I;16B"
    assert store_image(encoded, SETTINGS) == store_image(encode(twin, "TIFF"), SETTINGS)


def test_wide_grey_is_stretched_between_its_extremes() -> None:
    ramp = Image.fromarray(np.linspace(-5, 5, 900, dtype=np.float32).reshape(30, 30))
    pixels = pixels_of(store_image(encode(ramp, "TIFF"), SETTINGS))
    assert pixels.getpixel((0, 0))[0] < 10 and pixels.getpixel((29, 29))[0] > 245  # type: ignore[index]


def test_only_the_first_frame_of_an_animation_is_stored() -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        stored = store_image(data, SETTINGS)
        assert np.allclose(pixels_of(stored).getpixel((20, 15)), (255, 0, 0), atol=8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation: int) -> None:
    lying = Image.new("RGB", (80, 40), "white")
    lying.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = store_image(encode(lying, "JPEG", exif=exif, quality=95), SETTINGS)

    size = (80, 40) if orientation < 5 else (40, 80)
    assert (stored.width, stored.height) == size
    assert (stored.original_width, stored.original_height) == size
    corner = np.asarray(pixels_of(stored).convert("L")) < 128
    top, left = corner[: size[1] // 2].any(), corner[:, : size[0] // 2].any()
    assert (top, left) == {
        1: (True, True),
        2: (True, False),
        3: (False, False),
        4: (False, True),
        5: (True, True),
        6: (True, False),
        7: (False, False),
        8: (False, True),
    }[orientation]


def test_a_broken_exif_block_does_not_cost_the_image(noise: Image.Image) -> None:
    data = encode(noise, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09broken")
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("error")
        with image_limits(SETTINGS.max_pixels):
            assert store_image(data, SETTINGS).width == 80
    assert not leaked


def test_what_is_not_an_image_says_how_it_begins() -> None:
    for data in (b"just text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!DOCTYPE html>"):
        with pytest.raises(Refused) as refused:
            store_image(data, SETTINGS)
        assert refused.value.status == "not_an_image"
        assert data[:9].decode() in refused.value.reason


def test_postscript_is_not_run() -> None:
    assert refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not_an_image"


def test_empty() -> None:
    assert refusal(b"") == "empty"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated(noise: Image.Image, kind: str, kept: float) -> None:
    data = encode(noise, kind)
    assert refusal(data[: int(len(data) * kept)]) == "truncated"


def test_damaged(noise: Image.Image) -> None:
    data = bytearray(encode(noise, "PNG"))
    data[41] ^= 0xFF  # where the compressed pixels begin
    assert refusal(bytes(data)) == "damaged"


def test_too_many_pixels_are_refused_from_the_header(png_bomb: bytes) -> None:
    assert len(png_bomb) < 60_000
    assert refusal(png_bomb) == "too_many_pixels"


def test_the_pixel_limit_is_that_of_the_study(png_of: Callable[[int, int], bytes]) -> None:
    settings = Fetch(max_pixels=100_000)
    with image_limits(settings.max_pixels):
        assert refusal(png_of(400, 300), settings) == "too_many_pixels"
        assert store_image(png_of(400, 250), settings).original_width == 400


def test_any_prefix_and_any_flipped_byte_is_stored_or_refused(noise: Image.Image) -> None:
    random = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        data = encode(noise, kind)
        for place in random.integers(0, len(data), 60):
            flipped = bytearray(data)
            flipped[place] ^= 1 << random.integers(0, 8)
            for candidate in (data[:place], bytes(flipped)):
                try:
                    store_image(candidate, SETTINGS)
                except Refused:
                    continue


# Of the address space, which is what Linux lets one limit.
DECODE_WITH_LITTLE_MEMORY = """
import resource, sys
from memtriggers.pipelines.images.decode import Refused, store_image
from memtriggers.pipelines.core.study import Fetch

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000,) * 2)
try:
    store_image(sys.stdin.buffer.read(), Fetch())
except Refused as refused:
    print(refused.status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_a_picture_that_is_too_large_for_the_memory_is_not_damaged(
    png_of: Callable[[int, int], bytes],
) -> None:
    command = [sys.executable, "-c", DECODE_WITH_LITTLE_MEMORY]
    done = subprocess.run(command, input=png_of(9000, 9000), capture_output=True)
    assert (done.stdout, done.stderr) == (b"too_large_for_memory\n", b"")
