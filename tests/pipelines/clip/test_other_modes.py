"""A lake of the version before: only the vectors of palettes and bitmaps are made again, once."""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import (
    MADE_BY,
    RGB_FIRST,
    LanceTable,
    caption_vectors_name,
    image_vectors_name,
)
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamped_tables import read_stamp, write_stamp
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.embed import recorded

MODES = ("RGB", "L", "P", "1", "RGB", "P")
Rows = dict[str, list[float]]


def picture(number: int, mode: str) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (60, 60, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Old:
    """A lake whose image vectors an earlier version made, all of them otherwise than now."""

    study: Study
    ids: list[str]
    right: Rows
    store: VectorStore
    images: str
    captions: str

    def read(self) -> Rows:
        rows = self.store.dataset(self.images).to_table().to_pylist()
        assert len({row["sample_id"] for row in rows}) == len(rows)
        return {row["sample_id"]: row["vector"] for row in rows}

    def versions(self) -> tuple[int, int]:
        return self.store.version(self.images), self.store.version(self.captions)


@pytest.fixture
def make_old(
    tmp_path: Path,
    lake: Lake,
    tiny_clip: Path,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> Callable[..., Old]:
    def make(modes: tuple[str, ...] = MODES) -> Old:
        (tmp_path / "images").mkdir()
        for number, mode in enumerate(modes):
            (tmp_path / "images" / f"{number}.png").write_bytes(picture(number, mode))
        ids = write_samples(*({} for _ in modes))
        study = make_study(data='image_root = "images"', sections=f'[clip]\nmodel = "{tiny_clip}"')
        run_stages(study, "fetch", "embed")
        clip_id, store = find_clip(study).clip_id, VectorStore(lake.vectors)
        images, captions = image_vectors_name(clip_id), caption_vectors_name(clip_id)
        old = Old(study, ids, {}, store, images, captions)
        made = replace(old, right=old.read())
        write_as_before(store, images)
        return made

    return make


def write_as_before(store: VectorStore, name: str) -> None:
    """The table as an earlier version left it: without the mark, every vector along an axis."""
    stamp, table = read_stamp(store, name), store.dataset(name).to_table()
    assert stamp is not None
    shutil.rmtree(store.path(name))
    axes = list(np.eye(16, dtype=np.float16)[: len(table)])
    vectors = pa.array(axes, table.schema.field("vector").type)
    schema = table.schema.with_metadata({MADE_BY: table.schema.metadata[MADE_BY]})
    store.append(LanceTable(name, schema), table.set_column(1, "vector", vectors))
    write_stamp(store, name, stamp)


def test_palettes_and_bitmaps_alone_are_made_again(
    make_old: Callable[..., Old], run_stages: Callable[..., None], lake: Lake
) -> None:
    old = make_old()
    before, captions = old.read(), old.store.dataset(old.captions).to_table()
    fingerprint = recorded(lake, old.study)
    run_stages(old.study, "embed")
    after = old.read()
    for sample_id, mode in zip(old.ids, MODES, strict=True):
        is_kept = mode in ("RGB", "L")
        expected = before[sample_id] if is_kept else old.right[sample_id]
        assert np.allclose(after[sample_id], expected, atol=0 if is_kept else 2e-3)
    assert old.store.dataset(old.captions).to_table().equals(captions)
    assert recorded(lake, old.study) not in (None, fingerprint)

    versions, fingerprint = old.versions(), recorded(lake, old.study)
    run_stages(old.study, "embed")
    assert (old.versions(), recorded(lake, old.study)) == (versions, fingerprint)


def test_a_run_that_was_killed_after_taking_out_is_ended_by_the_next(
    make_old: Callable[..., Old], run_stages: Callable[..., None]
) -> None:
    old = make_old()
    old.store.delete(old.images, f"sample_id in ('{old.ids[2]}', '{old.ids[3]}')")
    run_stages(old.study, "embed")
    after = old.read()
    assert set(after) == set(old.ids)
    for number in (2, 3, 5):
        assert np.allclose(after[old.ids[number]], old.right[old.ids[number]], atol=2e-3)


def test_without_them_nothing_is_new_for_the_stages_that_follow(
    make_old: Callable[..., Old], run_stages: Callable[..., None], lake: Lake
) -> None:
    old = make_old(("RGB", "L", "RGB"))
    before, said = old.read(), recorded(lake, old.study)
    clip = replace(old.study.clip, batch_size=old.study.clip.batch_size + 1)
    later = replace(old.study, clip=clip)  # stale, as after an upgrade
    run_stages(later, "embed")
    now = recorded(lake, later)
    assert said is not None and now is not None
    assert (now[0] != said[0], now[1]) == (True, said[1])
    assert old.read() == before
    assert old.store.read_metadata(old.images, RGB_FIRST.decode()) == "yes"


def test_a_table_that_is_made_now_is_never_searched(
    make_old: Callable[..., Old], run_stages: Callable[..., None], lake: Lake
) -> None:
    old = make_old()
    shutil.rmtree(old.store.path(old.images))
    run_stages(old.study, "embed")
    metadata: dict[bytes, Any] = old.store.dataset(old.images).schema.metadata
    assert metadata[RGB_FIRST] == b"yes"
    versions = old.versions()
    run_stages(old.study, "embed")
    assert old.versions() == versions
