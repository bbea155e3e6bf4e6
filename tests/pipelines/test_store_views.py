"""The vector store can be asked in SQL, whichever of the two ways there is."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import IMAGES, image_vectors
from memtriggers.pipelines.clip.vectors import vector_table
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.packaged_extensions import find_extension
from memtriggers.pipelines.core.store_views import show_tables

VECTORS = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a published table and, in the store, images and five vectors, the last null."""
    lake = Lake(tmp_path / "it's a lake")
    store, vectors = VectorStore(lake.vectors), VECTORS.copy()
    vectors[4] = np.nan
    store.append(image_vectors("tiny-1", 8), vector_table(list("abcde"), vectors))
    store.create(IMAGES)
    lake.builds.mkdir()
    with duckdb.connect(str(lake.builds / "1.duckdb")) as connection:
        connection.execute("create table samples as from (values ('a', 'red'), ('b', 'blue'))")
    lake.current.symlink_to(lake.builds / "1.duckdb")
    return lake


@pytest.fixture(params=["installed", "arrow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With the extension where it is installed, and as if it were not."""
    if request.param == "arrow":
        monkeypatch.setattr(
            "memtriggers.pipelines.core.store_views.find_extension", lambda name: None
        )
    elif find_extension("lance") is None:
        pytest.skip("needs memtriggers[lance-sql]")
    yield request.param


def test_vectors_are_32_bit_floats_and_join_published_tables(lake: Lake, way: str) -> None:
    rows = lake.sql(
        'select col1, vector from "image_vectors-tiny-1" join samples on sample_id = col0 '
        "order by sample_id"
    )
    assert str(rows.types[1]) == "FLOAT[8]"
    expected = VECTORS[:2] / np.linalg.norm(VECTORS[:2], axis=1, keepdims=True)
    found = rows.fetchall()
    assert [colour for colour, _ in found] == ["red", "blue"]
    assert np.array([vector for _, vector in found]) == pytest.approx(expected, abs=1e-3)


def test_a_table_can_be_read_more_than_once_in_part_and_filtered(lake: Lake, way: str) -> None:
    found = lake.sql(
        """
        select one.sample_id, other.sample_id, array_cosine_similarity(one.vector, other.vector)
        from "image_vectors-tiny-1" as one
        join "image_vectors-tiny-1" as other on one.sample_id < other.sample_id
        where one.status = $ok and other.status = $ok
        """,
        {"ok": "ok"},
    ).fetchall()
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert len(found) == 6
    for one, other, cosine in found:
        expected = cosines["abcde".index(one), "abcde".index(other)]
        assert cosine == pytest.approx(expected, abs=2e-3)
    nulls = lake.sql('select sample_id from "image_vectors-tiny-1" where vector is null')
    assert nulls.fetchall() == [("e",)]
    assert lake.sql("select count(*) from images").fetchall() == [(0,)]


def test_only_what_a_query_names_is_opened(lake: Lake) -> None:
    with duckdb.connect() as connection:
        store = VectorStore(lake.vectors)
        show_tables(connection, store, 'from n_images, "image_vectors-tiny-12", my-images')
        assert connection.sql("show tables").fetchall() == []
        show_tables(connection, store, 'from images, "image_vectors-tiny-1"')
        names = {name for (name,) in connection.sql("show tables").fetchall()}
        assert names == {"images", "image_vectors-tiny-1"}


def test_rows_appended_later_are_seen_by_the_next_query(lake: Lake, way: str) -> None:
    ask = 'select count(*) from "image_vectors-tiny-1"'
    assert lake.sql(ask).fetchall() == [(5,)]
    rows: pa.Table = vector_table(["f"], VECTORS[:1])
    VectorStore(lake.vectors).append(image_vectors("tiny-1", 8), rows)
    assert lake.sql(ask).fetchall() == [(6,)]
