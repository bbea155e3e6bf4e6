import base64
import io

import pytest
from PIL import Image

from memtriggers.pipelines.images.thumbnails import LONG_SIDE, Thumbnail, make_thumbnail


def encode(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def decode(thumbnail: Thumbnail) -> Image.Image:
    kind, _, data = thumbnail.uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("size", "small"),
    [((960, 480), (96, 48)), ((300, 900), (32, 96)), ((40, 30), (40, 30)), ((1, 5000), (1, 96))],
)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_the_long_side_is_96_pixels_at_most(
    size: tuple[int, int], small: tuple[int, int], form: str
) -> None:
    thumbnail = make_thumbnail(encode(Image.new("RGB", size, "red"), form))
    assert (thumbnail.width, thumbnail.height) == small == decode(thumbnail).size
    assert max(small) <= LONG_SIDE


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_every_mode_that_is_stored_becomes_a_picture(mode: str) -> None:
    picture = decode(make_thumbnail(encode(Image.new(mode, (8, 8), 0), "PNG")))
    red, green, blue = picture.convert("RGB").getpixel((4, 4))  # type: ignore[misc]
    assert max(red, green, blue) < 10


def test_the_same_image_gives_the_same_bytes() -> None:
    data = encode(Image.effect_noise((200, 100), 40), "PNG")
    assert make_thumbnail(data) == make_thumbnail(data)
