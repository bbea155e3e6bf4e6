"""A table of the vector store is stamped last, and known by what its rows were made from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import LanceTable, image_vectors
from memtriggers.pipelines.clip.vectors import vector_table
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.stamped_tables import (
    read_recorded,
    read_stamp,
    write_mark,
    write_stamp,
)

VECTORS = image_vectors("tiny-00000000", 4)
STAMP = Stamp({"clip": "1"}, {"fetch": "2"})


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    return VectorStore(tmp_path / "lance")


def rows(sample_id: str) -> pa.Table:
    return vector_table([sample_id], np.float32([[1, 0, 0, 0]]))


def test_a_table_that_is_not_there_has_no_stamp(store: VectorStore) -> None:
    assert read_recorded(store, "images") is None and read_stamp(store, "images") is None


def test_the_stamp_is_the_last_thing_that_a_table_gets(store: VectorStore) -> None:
    store.append(VECTORS, rows("a"))
    assert read_recorded(store, VECTORS.name) is None
    write_stamp(store, VECTORS.name, STAMP)
    recorded = read_recorded(store, VECTORS.name)
    assert recorded is not None and recorded[0] == STAMP

    write_stamp(store, VECTORS.name, STAMP)
    assert read_recorded(store, VECTORS.name) == recorded, "stamping again changes nothing"

    store.append(VECTORS, rows("b"))
    changed = read_recorded(store, VECTORS.name)
    assert changed is not None and changed[1] != recorded[1], "new rows change the fingerprint"


def test_metadata_and_a_stamp_over_the_same_rows_leave_the_fingerprint(store: VectorStore) -> None:
    store.append(VECTORS, rows("a"))
    write_stamp(store, VECTORS.name, STAMP)
    before = read_recorded(store, VECTORS.name)
    later = Stamp({"clip": "2"}, {"fetch": "2"})
    write_mark(store, VECTORS.name, "a mark", "yes")
    write_stamp(store, VECTORS.name, later)
    assert before is not None and read_recorded(store, VECTORS.name) == (later, before[1])

    store.append(VECTORS, rows("b"))  # and is then killed, before it is stamped
    appended = read_recorded(store, VECTORS.name)
    write_stamp(store, VECTORS.name, STAMP)
    ended = read_recorded(store, VECTORS.name)
    assert appended is not None and appended[1] != before[1]
    assert ended == (STAMP, appended[1])


def test_two_tables_are_recorded_only_when_they_agree(store: VectorStore) -> None:
    other = LanceTable("other", VECTORS.schema)
    store.append(VECTORS, rows("a"))
    store.append(other, rows("a"))
    write_stamp(store, VECTORS.name, STAMP)
    assert read_recorded(store, VECTORS.name, "other") is None
    write_stamp(store, "other", Stamp({}, {}))
    assert read_recorded(store, VECTORS.name, "other") is None
    write_stamp(store, "other", STAMP)
    assert read_recorded(store, VECTORS.name, "other") is not None


def test_fingerprints_are_those_of_lakes_that_are_there(store: VectorStore) -> None:
    """Stages have stamped them: with another text every lake would be stale."""
    store.append(VECTORS, rows("a"))
    write_stamp(store, VECTORS.name, STAMP)
    assert read_recorded(store, VECTORS.name) == (STAMP, "734dd6513a0969f2-2")
    write_mark(store, VECTORS.name, "a mark", "yes")
    assert read_recorded(store, VECTORS.name) == (STAMP, "734dd6513a0969f2-2")
    assert store.read_metadata(VECTORS.name, "memtriggers_stamp") == STAMP.text
    assert store.read_metadata(VECTORS.name, "memtriggers_rows") == "3 734dd6513a0969f2 2"
