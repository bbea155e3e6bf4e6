"""Makes copies of an image as the web does: cropped, padded, recoloured, blurred, re-encoded."""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter


def crop(image: Image.Image, rng: np.random.Generator, smallest: float) -> Image.Image:
    """Keep a rectangle of at least `smallest` of the area, with its sides up to 1.5 to 1 apart."""
    area, stretch = rng.uniform(smallest, 1.0), np.exp(rng.uniform(-0.4, 0.4))
    width = min(1.0, np.sqrt(area * stretch)) * image.width
    height = min(1.0, np.sqrt(area / stretch)) * image.height
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def pad(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Put the image on a white, black or coloured margin of up to 15 % a side."""
    colour = [(255, 255, 255), (0, 0, 0), tuple(rng.integers(0, 256, 3).tolist())][rng.integers(3)]
    left, top, right, bottom = (rng.uniform(0, 0.15, 4) * image.width).astype(int).tolist()
    canvas = Image.new("RGB", image.size, colour)
    inner = (image.width - left - right, image.height - top - bottom)
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), (left, top))
    return canvas


def recolour(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change brightness, contrast and saturation by up to `strength`, and the balance a little."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(1 - strength, 1 + strength))
    balance = rng.uniform(1 - strength / 4, 1 + strength / 4, 3)
    table = np.clip(np.arange(256) * balance[:, None], 0, 255).astype(int).ravel().tolist()
    return image.point(table)


def shrink(image: Image.Image, rng: np.random.Generator, smallest: float) -> Image.Image:
    """Resize to a thumbnail and back, which loses what a thumbnail loses."""
    scale = rng.uniform(smallest, 1.0)
    thumbnail = (max(8, int(image.width * scale)), max(8, int(image.height * scale)))
    return image.resize(thumbnail, Image.Resampling.BICUBIC).resize(
        image.size, Image.Resampling.BILINEAR
    )


def jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Encode as JPEG at quality 20 to 95 and decode."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(20, 96)))
    return Image.open(buffer).convert("RGB")


def copy_of(
    image: Image.Image,
    rng: np.random.Generator,
    *,
    smallest_crop: float = 0.6,
    colour: float = 0.3,
) -> Image.Image:
    """A copy of the same size: each change happens with its own probability.

    Never mirrored: a mirrored arrow, letter or flag is another picture.
    """
    if rng.random() < 0.7:
        image = crop(image, rng, smallest_crop)
    if rng.random() < 0.25:
        image = pad(image, rng)
    if rng.random() < 0.3:
        white = (255, 255, 255)
        image = image.rotate(rng.uniform(-6, 6), Image.Resampling.BILINEAR, fillcolor=white)
    if rng.random() < 0.7:
        image = recolour(image, rng, colour)
    if rng.random() < 0.08:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.5:
        image = shrink(image, rng, 0.35)
    if rng.random() < 0.6:
        image = jpeg(image, rng)
    return image
