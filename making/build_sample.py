"""Builds the bundled sample, LAION-400M-shaped, from renderings of openclipart."""

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from .bundled import IMAGE_COLUMN, ROWS

LAION_400M = pa.schema(
    [
        ("SAMPLE_ID", pa.int64()),
        ("URL", pa.string()),  # the image's name
        ("TEXT", pa.string()),
        ("HEIGHT", pa.int32()),
        ("WIDTH", pa.int32()),
        ("LICENSE", pa.string()),
        ("NSFW", pa.string()),
        ("similarity", pa.float64()),
    ]
)
WITH_IMAGES = LAION_400M.append(pa.field(IMAGE_COLUMN, pa.binary()))
_ROWS_A_GROUP = 500  # what a reader of images has to go through for one of them, some 0.9 MB


class SourceError(Exception):
    """The source folder does not hold what SOURCE.md says it holds."""


def read_images(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (key, PNG bytes) for every image of the archive, in its order."""
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is None:
                raise SourceError(f"{archive}: {member.name} is not a file")
            yield Path(member.name).stem, content.read()


def on_white(png: bytes) -> Image.Image:
    """Decode to RGB, transparent pixels onto white."""
    rgba = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def as_webp(image: Image.Image) -> bytes:
    """Encode losslessly: on flat colour that is smaller than quality 90, and has no halos."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=6)
    return buffer.getvalue()


def laion_table(metadata: pa.Table, images: dict[str, Image.Image]) -> pa.Table:
    """One row per image in the order of its key; captions and licences as they came."""
    rows = sorted(metadata.select(["key", "TEXT", "LICENSE"]).to_pylist(), key=lambda r: r["key"])
    keys = [row["key"] for row in rows]
    if set(keys) != set(images) or len(keys) != len(images):
        raise SourceError(
            f"{len(keys)} rows of metadata for {len(images)} images; rebuild the source"
        )
    columns = [
        [int(key) for key in keys],
        [f"{key}.webp" for key in keys],
        [row["TEXT"] for row in rows],
        [images[key].height for key in keys],
        [images[key].width for key in keys],
        [row["LICENSE"] for row in rows],
        [None] * len(keys),
        [None] * len(keys),
        [as_webp(images[key]) for key in keys],
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, WITH_IMAGES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=WITH_IMAGES)


def write_rows(table: pa.Table, path: Path) -> None:
    """Write the sample so that a few images are read without the others; WebP does not compress."""
    pq.write_table(
        table,
        path,
        row_group_size=_ROWS_A_GROUP,
        compression=dict.fromkeys(LAION_400M.names, "zstd") | {IMAGE_COLUMN: "none"},
        use_dictionary=LAION_400M.names,
        write_statistics=LAION_400M.names,
    )


def build(source: Path, path: Path) -> None:
    """Write the rows and their images as one parquet file."""
    images = {key: on_white(png) for key, png in read_images(source / "images.tar")}
    table = laion_table(pq.read_table(source / "metadata.parquet"), images)
    write_rows(table, path)
    print(f"{table.num_rows} images, {path.stat().st_size / 1e6:.2f} MB in {path}")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with images.tar and metadata.parquet")
    parser.add_argument("--out", type=Path, default=ROWS)
    arguments = parser.parse_args()
    build(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
