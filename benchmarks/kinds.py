"""How a dataset of `changing.py` lies on the disk: pictures in a column, files, tars; vectors."""

import io
import random
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from memtriggers.benchmarks.changing import BROKEN, Dataset, Row
from memtriggers.making import bundled

_SIDE = 128  # pixels
_DIMENSIONS = 16


class Column(Dataset):
    """Pictures in a column of the parquet."""

    data = 'image_column = "jpg"'

    def write(self, shard: str) -> list[Path]:
        images = [self._encoded(row) for row in self.shards[shard]]
        return [self.write_rows(self.parquet(shard), shard, jpg=pa.array(images, pa.binary()))]

    def _encoded(self, row: Row) -> bytes:
        return picture(self.pictures[row.url]) if row.url else b""

    def files(self, shard: str) -> list[Path]:
        return [self.parquet(shard)]


class Folder(Dataset):
    """Pictures in files below a folder."""

    data = 'image_root = "pictures"'

    def address(self, number: int) -> str:
        return f"{number % 3}/{number}.jpg"

    def write(self, shard: str) -> list[Path]:
        files = [self.write_rows(self.parquet(shard), shard)]
        for row in self.shards[shard]:
            if row.url:
                files.append(self.folder / "pictures" / row.url)
                files[-1].parent.mkdir(parents=True, exist_ok=True)
                files[-1].write_bytes(picture(self.pictures[row.url]))
        return files

    def files(self, shard: str) -> list[Path]:
        return [self.parquet(shard)]  # others may name its pictures


class Tars(Dataset):
    """Pictures in img2dataset's tars."""

    data = "image_tars = true"

    def write(self, shard: str) -> list[Path]:
        rows = self.shards[shard]
        keys = [f"{shard}{place:04}" for place in range(len(rows))]
        numbers = [self.pictures[row.url] if row.url else BROKEN for row in rows]
        tar = self.parquet(shard).with_suffix(".tar")
        tar.parent.mkdir(exist_ok=True)
        with tarfile.open(tar, "w") as file:
            for key, number in zip(keys, numbers, strict=True):
                member, data = tarfile.TarInfo(f"{key}.jpg"), picture(number)
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))
        columns = {
            "key": keys,
            "status": ["success"] * len(rows),
            "error_message": pa.nulls(len(rows), pa.string()),
        }
        return [self.write_rows(self.parquet(shard), shard, **columns), tar]

    def files(self, shard: str) -> list[Path]:
        return [self.parquet(shard), self.parquet(shard).with_suffix(".tar")]


class Vectors(Dataset):
    """No pictures: vectors that were made of them, in clip-retrieval's layout."""

    data = 'vectors = "emb/img_emb_*.npy"\nmetadata = "emb/metadata_*.parquet"'
    clip = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"'

    def write(self, shard: str) -> list[Path]:
        rows, metadata, vectors = self.files(shard)
        numbers = [self.pictures[row.url] if row.url else BROKEN for row in self.shards[shard]]
        self.write_rows(metadata, shard)
        np.save(vectors, np.stack([vector(number) for number in numbers]))
        return [self.write_rows(rows, shard), metadata, vectors]

    def files(self, shard: str) -> list[Path]:
        emb = self.folder / "emb"
        named = emb / f"metadata_{shard}.parquet", emb / f"img_emb_{shard}.npy"
        return [self.parquet(shard), *named]


KINDS: dict[str, Callable[[Path, random.Random], Dataset]] = {
    "column": Column,
    "folder": Folder,
    "tars": Tars,
    "vectors": Vectors,
}


@cache
def picture(number: int) -> bytes:
    """The JPEG of a number; no picture for one that is broken."""
    if number == BROKEN:
        return b"this is no picture"
    images = list(bundled.read_images().values())
    opened = Image.open(io.BytesIO(images[number // 3 % len(images)])).convert("RGB")
    file = io.BytesIO()
    opened.resize((_SIDE, _SIDE)).save(file, "JPEG", quality=95 - 20 * (number % 3))
    return file.getvalue()


def vector(number: int) -> np.ndarray:
    """The (16,) float16 vector of a number; not finite for one that is broken."""
    if number == BROKEN:
        return np.full(_DIMENSIONS, np.nan, np.float16)
    design = np.random.default_rng(number // 3).standard_normal(_DIMENSIONS)
    noise = np.random.default_rng(10_000 + number).standard_normal(_DIMENSIONS)
    return (design + 0.1 * noise).astype(np.float16)
