"""Makes copies of an image as the web does: cropped, padded, recoloured, blurred, re-encoded."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

WHITE = (255, 255, 255)


def crop(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Keep at least 1 - strength / 2 of the area, stretched by up to half at full strength."""
    area = rng.uniform(1 - 0.5 * strength, 1)
    stretch = np.exp(rng.uniform(-0.4, 0.4) * strength)
    width = min(1.0, np.sqrt(area * stretch)) * image.width
    height = min(1.0, np.sqrt(area / stretch)) * image.height
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def pad(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Put the image on a white, black or coloured margin of up to 15 % a side."""
    colour = [WHITE, (0, 0, 0), tuple(rng.integers(0, 256, 3).tolist())][rng.integers(3)]
    margins = rng.uniform(0, 0.15 * strength, 4) * image.width
    left, top, right, bottom = margins.astype(int).tolist()
    canvas = Image.new("RGB", image.size, colour)
    inner = (image.width - left - right, image.height - top - bottom)
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), (left, top))
    return canvas


def rotate(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Turn by up to 6 degrees."""
    angle = rng.uniform(-6, 6) * strength
    return image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=WHITE)


def recolour(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change brightness, contrast and saturation by up to 40 %, and the balance by up to 10 %."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(1 + rng.uniform(-0.4, 0.4) * strength)
    balance = 1 + rng.uniform(-0.1, 0.1, 3) * strength
    table = np.clip(np.arange(256) * balance[:, None], 0, 255).astype(int).ravel().tolist()
    return image.point(table)


def blur(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Blur with a radius of up to 1.5 pixels."""
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5) * strength))


def shrink(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Resize to a thumbnail, at full strength of a third of the side, and back."""
    scale = 1 - rng.uniform(0, 0.65) * strength
    thumbnail = (int(image.width * scale), int(image.height * scale))
    small = image.resize(thumbnail, Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BILINEAR)


def jpeg(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Encode as JPEG and decode, at full strength down to quality 20."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(95 - rng.uniform(0, 75) * strength))
    return Image.open(buffer).convert("RGB")


def grey(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Take the colour out, at full strength of every second image."""
    return image.convert("L").convert("RGB") if rng.random() < strength / 2 else image


CHANGES = [  # with the share of copies that each happens to
    (crop, 0.7),
    (pad, 0.25),
    (rotate, 0.25),
    (recolour, 0.7),
    (grey, 0.1),
    (blur, 0.3),
    (shrink, 0.5),
    (jpeg, 0.6),
]


def copy_of(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """A copy of the same size; strength 0.5 looks like the web, 1 is as hard as it gets.

    Never mirrored: a mirrored arrow, letter or flag is another picture.
    """
    for change, share in CHANGES:
        if rng.random() < share:
            image = change(image, rng, strength)
    return image


STRENGTH = 0.5
_SIDES = (32, 512)  # pixels: smaller ones vanish when shrunk, larger ones cost and gain nothing


def web_copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A copy of an RGB image of any shape, of its size, as the web makes them."""
    return _on_square(image, lambda square: copy_of(square, rng, STRENGTH))


def changed_alone(image: Image.Image, kind: str, rng: np.random.Generator) -> Image.Image:
    """One change and no other, by its name in `KINDS`, as strong as in a web copy."""
    # Of web copies one in forty is grey; asked for alone, all of them.
    strength = 2.0 if kind == grey.__name__ else STRENGTH
    return _on_square(image, lambda square: _CHANGE[kind](square, rng, strength))


_CHANGE = {change.__name__: change for change, _ in CHANGES}
KINDS = tuple(_CHANGE)


def _on_square(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Squash to a square, where margins and angles mean the same both ways, change, and back."""
    side = int(np.clip(max(image.size), *_SIDES))
    square = image.resize((side, side), Image.Resampling.BICUBIC)
    return change(square).resize(image.size, Image.Resampling.BICUBIC)
