"""Three nights of datasets that change by chance, and whether a difference would be seen."""

import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from memtriggers.benchmarks.changing import CHANGES
from memtriggers.benchmarks.kinds import KINDS
from memtriggers.benchmarks.nights import run_nights
from memtriggers.benchmarks.same_lakes import differences
from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.captions.files import find_files
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study

VECTORS = image_vectors("tiny-00000000", 2)


def write_lake(root: Path, n_rows: int, build: str, cosine: float) -> Lake:
    """A lake of two samples with a vector each, as far as it is compared."""
    lake = Lake(root)
    lake.builds.mkdir(parents=True)
    with duckdb.connect(str(lake.builds / "1.duckdb")) as connection:
        connection.execute("create table samples as select unnest(['a', 'b']) as sample_id")
        connection.execute(f"alter table samples add column n_rows integer default {n_rows}")
        connection.execute(f"create table build_info as select '{build}' as build")
    lake.current.symlink_to(lake.builds / "1.duckdb")
    halves = pa.array([[1, 0], [cosine, 0], [9, 9]], pa.list_(pa.float16(), 2))
    rows = {"sample_id": ["a", "b", "gone"], "vector": halves, "status": ["ok"] * 3}
    VectorStore(lake.vectors).append(VECTORS, pa.table(rows))
    return lake


def test_a_difference_is_named_with_its_table_columns_and_rows(tmp_path: Path) -> None:
    ours = write_lake(tmp_path / "1", 1, "first", 0.5)
    VectorStore(ours.vectors).delete(VECTORS.name, "sample_id = 'gone'")
    assert differences(ours, write_lake(tmp_path / "2", 1, "second", 0.5)) == []
    vectors, samples = differences(ours, write_lake(tmp_path / "3", 2, "third", 0.25))
    assert samples.splitlines() == [
        "  samples, in n_rows:",
        "    2 in this lake alone, the first are",
        "      sample_id 'a', n_rows 1",
        "      sample_id 'b', n_rows 1",
        "    2 in a new one alone, the first are",
        "      sample_id 'a', n_rows 2",
        "      sample_id 'b', n_rows 2",
    ]
    assert vectors.splitlines()[:3] == [
        "  lance: image_vectors-tiny-00000000, in vector:",
        "    1 in this lake alone, the first are",
        "      sample_id 'b', vector (0.5, 0.0), status 'ok'",
    ]


@pytest.mark.parametrize("kind", list(KINDS))
def test_whatever_happens_the_files_are_those_of_the_shards(kind: str, tmp_path: Path) -> None:
    dataset = KINDS[kind](tmp_path, random.Random(0))
    for _ in range(8):
        for change in CHANGES:
            assert change(dataset)
        study = load_study(tmp_path / "study.toml")
        assert [Path(file).stem for file in find_files(study)] == sorted(dataset.shards)
        assert all(file.exists() for shard in dataset.shards for file in dataset.files(shard))


@pytest.mark.slow
def test_three_nights_say_what_a_new_lake_says(tmp_path: Path) -> None:
    assert list(run_nights(tmp_path, 3, 0, ("column", "folder", "vectors"))) == [[], [], []]
