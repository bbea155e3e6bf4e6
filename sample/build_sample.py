"""Builds the bundled sample, LAION-400M-shaped, from renderings of openclipart."""

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = Path(__file__).resolve().parent
LAION_400M = pa.schema(
    [
        ("SAMPLE_ID", pa.int64()),
        ("URL", pa.string()),  # relative to the image root
        ("TEXT", pa.string()),
        ("HEIGHT", pa.int32()),
        ("WIDTH", pa.int32()),
        ("LICENSE", pa.string()),
        ("NSFW", pa.string()),
        ("similarity", pa.float64()),
    ]
)


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


def write_webp(image: Image.Image, path: Path) -> None:
    """Write losslessly: on flat colour that is smaller than quality 90, and has no halos."""
    image.save(path, "WEBP", lossless=True, method=6)


def write_images(archive: Path, folder: Path) -> dict[str, tuple[int, int]]:
    """Write every image as <key>.webp and return {key: (width, height)}."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for key, png in read_images(archive):
        image = on_white(png)
        write_webp(image, folder / f"{key}.webp")
        sizes[key] = image.size
    return sizes


def laion_table(metadata: pa.Table, sizes: dict[str, tuple[int, int]]) -> pa.Table:
    """One row per image in the order of its key; captions and licences as they came."""
    rows = sorted(metadata.select(["key", "TEXT", "LICENSE"]).to_pylist(), key=lambda r: r["key"])
    keys = [row["key"] for row in rows]
    if set(keys) != set(sizes) or len(keys) != len(sizes):
        raise SourceError(
            f"{len(keys)} rows of metadata for {len(sizes)} images; rebuild the source"
        )
    columns = [
        [int(key) for key in keys],
        [f"{key}.webp" for key in keys],
        [row["TEXT"] for row in rows],
        [sizes[key][1] for key in keys],
        [sizes[key][0] for key in keys],
        [row["LICENSE"] for row in rows],
        [None] * len(keys),
        [None] * len(keys),
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, LAION_400M, strict=True)]
    return pa.Table.from_arrays(arrays, schema=LAION_400M)


def build(source: Path, out: Path) -> None:
    """Write out/images/*.webp and out/openclipart.parquet."""
    sizes = write_images(source / "images.tar", out / "images")
    table = laion_table(pq.read_table(source / "metadata.parquet"), sizes)
    pq.write_table(table, out / "openclipart.parquet", compression="zstd")
    total = sum(p.stat().st_size for p in [*out.glob("images/*.webp"), out / "openclipart.parquet"])
    print(f"{table.num_rows} images, {total / 1e6:.2f} MB in {out}")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with images.tar and metadata.parquet")
    parser.add_argument("out", type=Path, nargs="?", default=HERE, help="default: this folder")
    arguments = parser.parse_args()
    build(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
