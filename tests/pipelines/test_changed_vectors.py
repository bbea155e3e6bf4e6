"""Vectors in files that change: what is stored is what a new lake would have, whatever happened."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import LanceTable, caption_vectors_name, image_vectors_name
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import VERSION, Stamp
from memtriggers.pipelines.core.stamped_tables import read_stamp, write_stamp
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.killed import killed_at

CLIP = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'
DATA = (
    'vectors = "emb/img_emb_*.npy"\ncaption_vectors = "emb/text_emb_*.npy"\n'
    'metadata = "emb/metadata_*.parquet"\n'
)
N = 12  # samples

Stored = dict[str, tuple[str, tuple[float, ...] | None]]


def write_shard(folder: Path, shard: int, numbers: Sequence[int], shift: int = 0) -> None:
    """The metadata of these rows of laion.parquet, and vectors that are others for each shift."""
    rows = [
        {"url": f"https://host{n}.example/{n}.jpg", "caption": f"a picture of thing {n}"}
        for n in numbers
    ]
    made = [np.random.default_rng((n, shift)).standard_normal(8) for n in numbers]
    vectors = np.array(made, np.float16).reshape(-1, 8)
    (folder / "emb").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"emb/metadata_{shard}.parquet")
    np.save(folder / f"emb/img_emb_{shard}.npy", vectors)
    np.save(folder / f"emb/text_emb_{shard}.npy", -vectors)


def remove_shard(folder: Path, shard: int) -> None:
    for file in (folder / "emb").glob(f"*_{shard}.*"):
        file.unlink()


def run(study: Study, lake: Lake, *stages: str) -> None:
    with lake.lock():
        for name in stages:
            STAGES[name].run(study, lake)


def names(study: Study) -> tuple[str, str]:
    clip_id = find_clip(study).clip_id
    return image_vectors_name(clip_id), caption_vectors_name(clip_id)


def read(study: Study, lake: Lake) -> list[Stored]:
    tables = [VectorStore(lake.vectors).dataset(name).to_table() for name in names(study)]
    found = [
        {r["sample_id"]: (r["status"], r["vector"] and tuple(r["vector"])) for r in t.to_pylist()}
        for t in tables
    ]
    assert [len(one) for one in found] == [len(table) for table in tables], "each once"
    return found


def of_a_new_lake(study: Study, tmp_path: Path) -> list[Stored]:
    lake = Lake(tmp_path / "new lake")
    run(study, lake, "filter", "fetch", "embed")
    stored = read(study, lake)
    shutil.rmtree(lake.root)
    return stored


def why(study: Study, lake: Lake) -> list[str]:
    return STAGES["embed"].why_stale(study, lake)


@pytest.fixture
def imported(
    tmp_path: Path,
    write_laion: Callable[..., Path],
    make_study: Callable[..., Study],
    lake: Lake,
) -> Study:
    """Three shards of four samples, of which the second has one more row of the first."""
    write_laion(*({} for _ in range(N)))
    for shard, numbers in enumerate(([0, 1, 2, 3], [4, 5, 6, 7, 0], [8, 9, 10, 11])):
        write_shard(tmp_path, shard, numbers)
    study = make_study("laion.parquet", DATA, CLIP)
    run(study, lake, "filter", "fetch", "embed")
    return study


def test_a_touch_and_the_same_vectors_again_run_nothing(
    imported: Study, tmp_path: Path, lake: Lake
) -> None:
    for file in (tmp_path / "emb").iterdir():
        os.utime(file, ns=(0, 0))
    assert why(imported, lake) == []
    write_shard(tmp_path, 1, [4, 5, 6, 7, 0])
    assert why(imported, lake) == []


def test_new_files_under_the_same_glob_are_seen(
    imported: Study, tmp_path: Path, write_laion: Callable[..., Path], lake: Lake
) -> None:
    write_laion(*({} for _ in range(N + 1)))
    run(imported, lake, "filter", "fetch", "embed")
    assert len(read(imported, lake)[0]) == N
    write_shard(tmp_path, 7, [N])
    assert why(imported, lake) == ["input vectors"]
    run(imported, lake, "embed")
    assert len(read(imported, lake)[0]) == N + 1 and why(imported, lake) == []


def test_corrected_vectors_replace_those_that_differ_and_no_others(
    imported: Study, tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "emb/img_emb_1.npy"
    vectors = np.load(file)
    vectors[1], vectors[2] = -vectors[1], np.nan
    np.save(file, vectors)
    appended = count_appended(monkeypatch)
    run(imported, lake, "embed")
    assert appended == {names(imported)[0]: 2}
    assert read(imported, lake) == of_a_new_lake(imported, tmp_path)


def count_appended(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    counted: dict[str, int] = {}
    append = VectorStore.append

    def counting(store: VectorStore, table: LanceTable, rows: pa.Table) -> None:
        if len(rows):
            counted[table.name] = counted.get(table.name, 0) + len(rows)
        append(store, table, rows)

    monkeypatch.setattr(VectorStore, "append", counting)
    return counted


def test_the_same_vectors_in_other_files_change_nothing(
    imported: Study, tmp_path: Path, lake: Lake
) -> None:
    before, recorded = read(imported, lake), STAGES["embed"].recorded(lake, imported)
    for shard in range(3):
        remove_shard(tmp_path, shard)
    write_shard(tmp_path, 5, [*range(N)][::-1])
    assert why(imported, lake) == ["input vectors"]
    run(imported, lake, "embed")
    after = STAGES["embed"].recorded(lake, imported)
    assert read(imported, lake) == before and why(imported, lake) == []
    assert recorded is not None and after is not None
    assert after[1] == recorded[1], "what comes after has nothing to do"


def test_removed_files_take_their_vectors_along(
    imported: Study, tmp_path: Path, lake: Lake
) -> None:
    remove_shard(tmp_path, 0)
    assert why(imported, lake) == ["input vectors"]
    run(imported, lake, "embed")
    stored = read(imported, lake)
    assert len(stored[0]) == N - 3, "one of the four is in the second file, too"
    assert stored == of_a_new_lake(imported, tmp_path)


def test_caption_vectors_that_are_not_named_any_more_leave(
    imported: Study, tmp_path: Path, lake: Lake, make_study: Callable[..., Study]
) -> None:
    study = make_study("laion.parquet", DATA.replace("caption_vectors", "# "), CLIP)
    run(study, lake, "embed")
    assert [len(stored) for stored in read(study, lake)] == [N, 0]


def test_a_sample_that_comes_back_gets_the_vector_of_today(
    imported: Study, tmp_path: Path, lake: Lake, write_laion: Callable[..., Path]
) -> None:
    write_laion(*({} for _ in range(N - 4)))
    run(imported, lake, "filter", "embed")
    write_shard(tmp_path, 2, [8, 9, 10], shift=1)
    run(imported, lake, "embed")
    write_laion(*({} for _ in range(N)))
    run(imported, lake, "filter", "embed")
    assert read(imported, lake) == of_a_new_lake(imported, tmp_path)


@pytest.mark.parametrize("commit", range(6))
def test_a_run_that_was_killed_ends_the_same_when_it_is_repeated(
    imported: Study, tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    write_shard(tmp_path, 1, [4, 5, 6], shift=1)
    remove_shard(tmp_path, 2)
    with killed_at(commit, monkeypatch):
        run(imported, lake, "embed")
    assert why(imported, lake)
    write_shard(tmp_path, 1, [4, 5, 6, 7, 0])  # and now what was there before
    write_shard(tmp_path, 2, [8, 9, 10, 11])
    assert why(imported, lake) or read(imported, lake) == of_a_new_lake(imported, tmp_path)
    run(imported, lake, "embed")
    assert read(imported, lake) == of_a_new_lake(imported, tmp_path)


@pytest.fixture
def of_last_version(imported: Study, lake: Lake) -> Study:
    """The lake as 0.2 left it: nothing is noted of the files of vectors."""
    shutil.rmtree(lake.root / "origins")
    store = VectorStore(lake.vectors)
    for name in names(imported):
        stamp = read_stamp(store, name)
        assert stamp is not None
        inputs = {key: value for key, value in stamp.inputs.items() if key != "vectors"}
        inputs[VERSION] = "2"
        write_stamp(store, name, Stamp(stamp.study, inputs))
    return imported


def test_an_upgrade_compares_what_is_there_and_changes_nothing(
    of_last_version: Study, tmp_path: Path, lake: Lake
) -> None:
    embed = STAGES["embed"]
    recorded = embed.recorded(lake, of_last_version)
    assert why(of_last_version, lake) == ["input vectors", "version of the stage"]
    run(of_last_version, lake, "embed")
    noted = embed.recorded(lake, of_last_version)
    assert recorded is not None and noted is not None and noted[1] == recorded[1]
    assert why(of_last_version, lake) == []
    remove_shard(tmp_path, 0)
    assert why(of_last_version, lake) == ["input vectors"]
    run(of_last_version, lake, "embed")
    assert read(of_last_version, lake) == of_a_new_lake(of_last_version, tmp_path)


def test_what_changed_before_anything_was_noted_is_compared(
    of_last_version: Study, tmp_path: Path, lake: Lake
) -> None:
    write_shard(tmp_path, 1, [4, 5, 6, 7, 0], shift=1)
    run(of_last_version, lake, "embed")
    assert read(of_last_version, lake) == of_a_new_lake(of_last_version, tmp_path)
