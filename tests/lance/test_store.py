import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from memtriggers.lance.errors import StoreError
from memtriggers.lance.store import COMMITS_PER_COMPACTION, VectorStore
from memtriggers.lance.tables import IMAGES, LanceTable, image_vectors
from memtriggers.pipelines.clip.vectors import vector_table
from memtriggers.pipelines.clusters.edges import renormalised

VECTORS = image_vectors("tiny-00000000", 4)


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    return VectorStore(tmp_path / "lance")


def rows(sample_ids: Sequence[str]) -> pa.Table:
    vectors = np.tile(np.float16([1, 0, 0, 0]), len(sample_ids))
    return pa.table(
        {
            "sample_id": list(sample_ids),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), 4),
            "status": ["ok"] * len(sample_ids),
        }
    )


def test_import_lance_from_the_root_finds_pylance() -> None:
    root = Path(__file__).resolve().parents[2]
    code = "import lance; lance.dataset"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_a_missing_table_is_answered_without_importing_lance(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memtriggers.lance.store import VectorStore;"
        f"store = VectorStore(Path({str(tmp_path)!r}));"
        "assert store.read_metadata('images', 'x') is None and store.count('images') == 0;"
        "assert store.sample_ids('images').read_all().num_rows == 0;"
        "assert 'lance' not in sys.modules and 'lancedb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reading_a_missing_table_says_what_to_do(store: VectorStore) -> None:
    with pytest.raises(StoreError, match=r"images\.lance: no such table; run: memtriggers refresh"):
        store.reader("images", ["sample_id"])


def test_a_table_of_an_earlier_version_is_one_line(store: VectorStore) -> None:
    later = LanceTable(VECTORS.name, VECTORS.schema.append(pa.field("colour", pa.string())))
    store.append(VECTORS, rows(["a"]))
    message = r"tiny-00000000\.lance: has no column colour: .*; remove it and run: memtriggers refr"
    with pytest.raises(StoreError, match=message):
        store.reader(VECTORS.name, ["sample_id", "colour"])
    with pytest.raises(StoreError, match=message):
        store.append(later, rows(["b"]).append_column("colour", pa.array(["red"])))
    assert store.count(VECTORS.name) == 1


def test_a_damaged_table_is_one_line(store: VectorStore) -> None:
    store.append(VECTORS, rows(["a"]))
    for manifest in (store.path(VECTORS.name) / "_versions").iterdir():
        manifest.write_bytes(b"not a manifest")
    with pytest.raises(StoreError, match="cannot be read") as error:
        store.version(VECTORS.name)
    assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match="cannot be read") as error:
        store.nearest(VECTORS.name, np.ones(4, np.float32), 1)
    assert "\n" not in str(error.value)


def test_each_append_is_one_version(store: VectorStore) -> None:
    versions = []
    for sample_id in "abc":
        store.append(VECTORS, rows([sample_id]))
        versions.append(store.version(VECTORS.name))
    assert versions == [1, 2, 3]
    assert store.sample_ids(VECTORS.name).read_all()["sample_id"].to_pylist() == ["a", "b", "c"]


def test_columns_are_checked(store: VectorStore) -> None:
    with pytest.raises(ValueError):
        store.append(VECTORS, rows(["a"]).drop_columns(["status"]))


def test_lancedb_opens_the_same_tables(store: VectorStore) -> None:
    store.append(VECTORS, rows(["a", "b"]))
    table = lancedb.connect(store.root).open_table(VECTORS.name)
    assert table.count_rows() == 2
    store.append(VECTORS, rows(["c"]))
    assert store.open_table(VECTORS.name).count_rows() == 3
    assert store.open_table(VECTORS.name).to_lance().version == store.version(VECTORS.name)


def test_without_lancedb_all_but_a_search_works(store: VectorStore) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; sys.modules['lancedb'] = None;"
        "from memtriggers.lance.errors import MissingPackage;"
        "from memtriggers.lance.store import VectorStore;"
        f"store, name = VectorStore(Path({str(store.root)!r})), {VECTORS.name!r};"
        "store.build_index(name); store.compact(name, 100); store.write_metadata(name, {'a': 'b'});"
        "assert store.sample_ids(name).read_all().num_rows == store.count(name) == 2\n"
        "try: store.nearest(name, np.ones(4, np.float32), 1)\n"
        "except MissingPackage as error: print(error)"
    )
    store.append(VECTORS, rows(["a", "b"]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = "need the package lancedb; install: pip install 'memtriggers[embed]'"
    assert said in done.stdout and done.stderr == ""


def test_compaction_keeps_rows_order_and_metadata(store: VectorStore) -> None:
    ids = [f"{i:02}" for i in range(20)]
    for sample_id in ids:
        store.append(VECTORS, rows([sample_id]))
    store.write_metadata(VECTORS.name, {"a mark": "yes"})
    store.compact(VECTORS.name, 1000)
    data = store.path(VECTORS.name) / "data"
    assert len(list(data.iterdir())) == 1
    assert store.sample_ids(VECTORS.name).read_all()["sample_id"].to_pylist() == ids
    assert store.read_metadata(VECTORS.name, "a mark") == "yes"


def test_many_appends_leave_few_files_and_versions(store: VectorStore) -> None:
    ids = [f"{i:03}" for i in range(2 * COMMITS_PER_COMPACTION + 50)]
    for sample_id in ids:
        store.append(VECTORS, rows([sample_id]))
    folder = store.path(VECTORS.name)
    for part in ("data", "_versions"):
        assert len(list((folder / part).iterdir())) < COMMITS_PER_COMPACTION
    assert store.sample_ids(VECTORS.name).read_all()["sample_id"].to_pylist() == ids


def test_compaction_removes_what_a_killed_append_left(store: VectorStore) -> None:
    store.append(VECTORS, rows(["a"]))
    data = store.path(VECTORS.name) / "data"
    (data / "0123456789abcdef.lance").write_bytes(b"half a file")
    store.compact(VECTORS.name, 1000)
    assert len(list(data.iterdir())) == 1


def test_a_kill_before_the_first_commit_leaves_no_table(store: VectorStore) -> None:
    (store.path(VECTORS.name) / "data").mkdir(parents=True)
    (store.path(VECTORS.name) / "data" / "0123456789abcdef.lance").write_bytes(b"half a file")
    assert not store.exists(VECTORS.name)
    store.append(VECTORS, rows(["a"]))
    assert store.count(VECTORS.name) == 1


def test_row_offsets_survive_deletions_and_pinning(store: VectorStore) -> None:
    for pair in ("ab", "cd", "ef"):
        store.append(VECTORS, rows(pair))
    store.delete(VECTORS.name, "sample_id in ('b', 'c')")
    version = store.version(VECTORS.name)
    table = store.reader(VECTORS.name, ["sample_id", "_rowoffset"], version=version).read_all()
    store.compact(VECTORS.name, 1000)
    store.append(VECTORS, rows("g"))
    taken = store.dataset(VECTORS.name).take(table["_rowoffset"].to_pylist(), ["sample_id"])
    assert taken["sample_id"].to_pylist() == ["a", "d", "e", "f"]


def test_conditions_are_applied_while_streaming(store: VectorStore) -> None:
    store.append(VECTORS, rows("abc"))
    reader = store.reader(VECTORS.name, ["sample_id"], "sample_id > 'a'")
    assert reader.read_all()["sample_id"].to_pylist() == ["b", "c"]


def test_duckdb_anti_joins_against_the_stream(store: VectorStore) -> None:
    store.append(VECTORS, rows("ab"))
    with duckdb.connect() as connection:
        connection.register("stored", store.sample_ids(VECTORS.name))
        new = connection.execute(
            "from (values ('b'), ('c')) as samples (sample_id) anti join stored using (sample_id)"
        ).fetchall()
    assert new == [("c",)]


def test_images_hold_times_in_utc() -> None:
    assert IMAGES.schema.field("fetched_at").type == pa.timestamp("us", tz="UTC")


def some_vectors(number: int, dimensions: int = 32) -> npt.NDArray[np.float16]:
    """Unit vectors in 50 groups."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((50, dimensions))
    vectors = centres[random.integers(0, 50, number)]
    vectors = vectors + 0.3 * random.standard_normal((number, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.parametrize("is_indexed", [False, True])
def test_nearest_neighbours_are_those_of_brute_force(
    store: VectorStore, is_indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memtriggers.lance.store.INDEX_ROWS", 1_000 if is_indexed else 10_000)
    table, vectors = image_vectors("some", 32), some_vectors(3_000)
    is_null = np.arange(3_000) % 100 == 99
    column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), 32, mask=pa.array(is_null))
    ids = np.array([f"{number:04}" for number in range(3_000)])
    for part in (slice(0, 2_500), slice(2_500, 3_000)):  # the second is indexed later, or not yet
        status = np.where(is_null[part], "not_finite", "ok")
        store.append(
            table, pa.table({"sample_id": ids[part], "vector": column[part], "status": status})
        )
        store.build_index(table.name)
    assert bool(store.dataset(table.name).describe_indices()) == is_indexed

    n_found = 0
    for number in range(0, 3_000, 150):
        wanted = vectors[number].astype(np.float32) * 7  # of any norm
        unit = vectors.astype(np.float32)
        cosine = unit @ wanted / np.linalg.norm(unit, axis=1) / np.linalg.norm(wanted)
        cosine[is_null] = -2
        best = np.argsort(-cosine)[:10]
        found = store.nearest(table.name, wanted, 10)
        assert found.num_rows == 10
        by_id = dict(zip(ids, cosine, strict=True))
        for row in found.to_pylist():
            assert abs(row["cosine"] - by_id[row["sample_id"]]) < 1e-5
        n_found += len(set(ids[best]) & set(found["sample_id"].to_pylist()))
    assert n_found >= (190 if is_indexed else 200)


def test_cosines_of_stored_vectors_are_those_of_float32_to_a_thousandth(
    store: VectorStore,
) -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((500, 512))
    vectors[250:] = vectors[:250] + 0.3 * random.standard_normal((250, 512))  # cosines of 0.96
    vectors[:, 0] += 40  # one of them far larger than all others, as CLIP has it
    vectors = (vectors * random.uniform(0.1, 100, (500, 1))).astype(np.float32)
    exact = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1)[:, None]
    table = image_vectors("some", 512)
    store.append(table, vector_table([f"{number:03}" for number in range(500)], vectors))

    stored = store.dataset(table.name).to_table()["vector"].combine_chunks()
    assert stored.type.value_type == pa.float16()
    unit = renormalised(stored.flatten().to_numpy().reshape(500, 512))
    assert np.abs(unit @ unit.T - exact @ exact.T).max() < 1e-3
    found = store.nearest(table.name, vectors[0], 500)
    cosines = dict(zip(found["sample_id"].to_pylist(), found["cosine"].to_pylist(), strict=True))
    asked = [cosines[f"{number:03}"] for number in range(500)]
    assert np.abs(np.array(asked) - exact @ exact[0]).max() < 1e-3


def test_what_begins_at_an_odd_byte_is_stored_as_it_is(store: VectorStore) -> None:
    aligned = rows(["a", "b"])
    flat = aligned["vector"].combine_chunks().flatten()
    odd = pa.py_buffer(b"\0" + flat.buffers()[1].to_pybytes()).slice(1)
    values = pa.Array.from_buffers(pa.float16(), len(flat), [None, odd])
    vector = pa.FixedSizeListArray.from_arrays(values, 4)
    store.append(VECTORS, aligned.set_column(1, "vector", vector))
    assert store.dataset(VECTORS.name).to_table().equals(aligned.cast(VECTORS.schema))


def test_rows_are_replaced_and_the_others_stay(store: VectorStore) -> None:
    for ids in (["a", "b"], ["c"], ["d'", "e"]):
        store.append(VECTORS, rows(ids))
    version = store.version(VECTORS.name)
    new = rows(["b", "c", "d'", "f"])
    store.replace(VECTORS, new.set_column(2, "status", pa.array(["new"] * 4)))
    assert store.version(VECTORS.name) == version + 1, "one transaction"
    store.replace(VECTORS, new.slice(0, 0))
    assert store.version(VECTORS.name) == version + 1, "none for nothing"
    stored = store.dataset(VECTORS.name).to_table(["sample_id", "status"])
    statuses = dict(zip(*map(pa.ChunkedArray.to_pylist, stored.columns), strict=True))
    assert statuses == {"a": "ok", "e": "ok", **dict.fromkeys(["b", "c", "d'", "f"], "new")}
    assert stored.num_rows == len(statuses)
    store.compact(VECTORS.name, 100)
    assert store.count(VECTORS.name, "status = 'new'") == 4
