import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import LanceTable
from memtriggers.pipelines.core.errors import SourceError, StageError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamped_tables import read_stamp
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.fetch import recorded
from memtriggers.pipelines.images.files import FileSource
from memtriggers.pipelines.images.rows import Row
from memtriggers.pipelines.stages import STAGES

Rows = dict[str, dict[str, Any]]
FROM_FOLDER = 'image_root = "images"'
FROM_COLUMN = 'image_column = "image"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def fetch_files(
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> Callable[..., dict[str | None, dict[str, Any]]]:
    """Fetch one sample for each url from the folder; returns the rows of `images` by url."""

    def fetch(*urls: str | None, fetch: str = "") -> dict[str | None, dict[str, Any]]:
        ids = write_samples(*({"url": url} for url in urls))
        study = make_study(data=FROM_FOLDER, sections=f"[fetch]\n{fetch}")
        run_stages(study, "fetch")
        rows = read_images()
        return {url: rows[i] for url, i in zip(urls, ids, strict=True)}

    return fetch


def status_of(rows: dict[str | None, dict[str, Any]]) -> dict[str | None, str]:
    return {url: row["status"] for url, row in rows.items()}


def test_an_image_is_stored_with_what_is_known_of_it(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes]
) -> None:
    data = draw(0, side=300)
    (folder / "a.png").write_bytes(data)
    (row,) = fetch_files("a.png").values()
    assert row["status"] == "ok" and row["status_reason"] is None
    assert (row["width"], row["height"]) == (256, 256)
    assert (row["original_width"], row["original_height"]) == (300, 300)
    assert row["n_bytes"] == len(data)
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert row["image"][:3] == b"\xff\xd8\xff"
    assert len(row["perceptual_hash"]) == 16
    assert row["colour_stddev"] > 2
    assert datetime.now(UTC) - row["fetched_at"] < timedelta(minutes=5)


def test_bad_files_become_rows_with_a_reason(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes]
) -> None:
    (folder / "cut.png").write_bytes(draw(0)[:-30])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "large.png").write_bytes(draw(1, side=64))
    (folder / "folder.png").mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "fine.png").write_bytes(draw(2))
    os.mkfifo(folder / "pipe.png")
    (folder.parent / "outside.png").write_bytes(draw(3))
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "loop.png").symlink_to("loop.png")

    rows = fetch_files(
        *("cut.png", "empty.png", "text.png", "large.png", "folder.png", "sub/fine.png"),
        *("pipe.png", "link.png", "loop.png", "missing.png", "../outside.png"),
        *(str(folder.parent / "outside.png"), "sub/../../outside.png", "a\0b.png", None, ""),
        *("x" * 500 + ".png", "sub/fine.png/more", "Ünï/çødé 🌟.png"),
        fetch="max_bytes = 5000",
    )
    assert status_of(rows) == {
        "cut.png": "truncated",
        "empty.png": "empty",
        "text.png": "not_an_image",
        "large.png": "too_large",
        "folder.png": "invalid_path",
        "sub/fine.png": "ok",
        "pipe.png": "invalid_path",
        "link.png": "invalid_path",
        "loop.png": "invalid_path",
        "missing.png": "not_found",
        "../outside.png": "invalid_path",
        str(folder.parent / "outside.png"): "invalid_path",
        "sub/../../outside.png": "invalid_path",
        "a\0b.png": "invalid_path",
        None: "invalid_path",
        "": "invalid_path",
        "x" * 500 + ".png": "unreadable",
        "sub/fine.png/more": "not_found",
        "Ünï/çødé 🌟.png": "not_found",
    }
    for row in rows.values():
        assert (row["image"] is None) == (row["status"] != "ok")
        assert (row["status_reason"] is None) == (row["status"] == "ok")
    assert rows["text.png"]["sha256"], "what came is known, also when it is no image"


def test_pixel_limit_of_the_study(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes]
) -> None:
    (folder / "a.png").write_bytes(draw(0, side=64))
    (folder / "b.png").write_bytes(draw(0, side=63))
    rows = fetch_files("a.png", "b.png", fetch="max_pixels = 4000")
    assert status_of(rows) == {"a.png": "too_many_pixels", "b.png": "ok"}


def test_only_samples_that_are_ok_are_fetched(
    folder: Path,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    draw: Callable[..., bytes],
) -> None:
    ids = write_samples({"url": "a.png"}, {"url": "a.png", "status": "rejected"})
    (folder / "a.png").write_bytes(draw(0))
    run_stages(make_study(data=FROM_FOLDER), "fetch")
    assert list(read_images()) == [ids[0]]


def test_more_samples_than_a_shard_are_all_there_once(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes]
) -> None:
    urls = [f"{number}.png" for number in range(1203)]
    for number, url in enumerate(urls):
        (folder / url).write_bytes(draw(number))
    rows = fetch_files(*urls)
    assert set(status_of(rows).values()) == {"ok"}
    assert all(row["image"] == draw(number) for number, row in enumerate(rows.values()))


def test_a_second_run_fetches_only_what_is_new(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], lake: Lake
) -> None:
    (folder / "a.png").write_bytes(draw(0))
    first = fetch_files("a.png")
    (folder / "b.png").write_bytes(draw(1))
    second = fetch_files("a.png", "b.png")
    assert second["a.png"] == first["a.png"]
    assert status_of(second) == {"a.png": "ok", "b.png": "ok"}


def test_failures_are_tried_again_when_the_settings_change(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes]
) -> None:
    (folder / "a.png").write_bytes(draw(0, side=64))
    (folder / "b.png").write_bytes(draw(1))
    first = fetch_files("a.png", "b.png", fetch="max_bytes = 5000")
    assert status_of(first) == {"a.png": "too_large", "b.png": "ok"}
    assert fetch_files("a.png", "b.png", fetch="max_bytes = 5000") == first
    second = fetch_files("a.png", "b.png", fetch="max_bytes = 50000")
    assert status_of(second) == {"a.png": "ok", "b.png": "ok"}
    assert second["b.png"] == first["b.png"], "what succeeded is not fetched again"


CASES = Path(__file__).parents[1] / "cases" / "images"


def test_pictures_that_would_take_everything_are_rows_that_name_the_limit(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], lake: Lake
) -> None:
    bomb, scans = "webp_10000.webp", "jpeg_scans_100.jpg"
    names = ("good.png", "grey16_bigendian.tif", scans, bomb)
    for name in names[1:]:
        shutil.copy(CASES / name, folder)
    (folder / "good.png").write_bytes(draw(0))
    first = fetch_files(*names[:3], fetch="decode_timeout = 0.1")
    assert [row["status"] for row in first.values()] == ["ok", "ok", "decode_timeout"]
    assert first[scans]["status_reason"] == "after 0.1 s"
    second = fetch_files(*names)
    expected = ["ok", "ok", "ok", "too_large_for_memory"]
    assert [row["status"] for row in second.values()] == expected
    assert "decode_memory in [fetch], 1,000,000,000" in second[bomb]["status_reason"]
    assert second[bomb]["n_bytes"] == 34
    assert second["good.png"] == first["good.png"], "what succeeded is not fetched again"


def test_limits_of_decoding_are_noted_where_a_study_sets_them(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], lake: Lake
) -> None:
    """So that those of lakes from before them, which say nothing, forget nothing."""
    (folder / "text.png").write_text("no image")
    (folder / "good.png").write_bytes(draw(0))
    store, names = VectorStore(lake.vectors), ("text.png", "good.png")
    first = fetch_files(*names)
    before = store.read_metadata("images", "memtriggers_fetch_settings")
    assert "decode" not in before
    assert fetch_files(*names, fetch="decode_memory = 1_000_000_000") == first
    assert store.read_metadata("images", "memtriggers_fetch_settings") == before
    again = fetch_files(*names, fetch="decode_memory = 2_000_000_000")
    assert again["text.png"]["fetched_at"] > first["text.png"]["fetched_at"]


def test_a_retry_tries_what_may_pass_and_nothing_else(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], tmp_path: Path, lake: Lake
) -> None:
    (folder / "text.png").write_text("not an image")
    (folder / "good.png").write_bytes(draw(0))
    first = fetch_files("late.png", "text.png", "good.png")
    assert fetch_files("late.png", "text.png", "good.png") == first
    command = [sys.executable, "-m", "memtriggers", "fetch", "--retry", "--lake", str(lake.root)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("fetch: 1 in, 0 out, 1 lost")
    after = fetch_files("late.png", "text.png", "good.png")
    assert status_of(after) == {
        "late.png": "not_found",
        "text.png": "not_an_image",
        "good.png": "ok",
    }
    assert after["late.png"]["fetched_at"] > first["late.png"]["fetched_at"]
    assert [after[url] for url in ("text.png", "good.png")] == [
        first[url] for url in ("text.png", "good.png")
    ]


def test_no_samples_make_an_empty_table(fetch_files: Any, folder: Path, lake: Lake) -> None:
    assert recorded(lake) is None
    assert fetch_files() == {}
    assert recorded(lake) is not None


def test_a_missing_folder_is_one_line(
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> None:
    write_samples({})
    with pytest.raises(StudyError, match=r"image_root: .*images: no such folder"):
        run_stages(make_study(data=FROM_FOLDER), "fetch")


@pytest.fixture
def fetch_column(
    tmp_path: Path,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> Callable[..., list[dict[str, Any]]]:
    """Fetch rows of parquet files with a column `image`; returns them in the order asked for."""

    def fetch(
        column: pa.Array, wanted: list[int], name: str = "image", row_group_size: int = 100
    ) -> list[dict[str, Any]]:
        path = tmp_path / "images.parquet"
        pq.write_table(pa.table({name: column}), path, row_group_size=row_group_size)
        ids = write_samples(
            *({"url": f"{r}", "source_file": str(path), "source_row": r} for r in wanted)
        )
        run_stages(make_study(data=FROM_COLUMN), "fetch")
        rows = read_images()
        return [rows[i] for i in ids]

    return fetch


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes(
    kind: pa.DataType, fetch_column: Any, draw: Callable[..., bytes]
) -> None:
    images = [draw(number) for number in range(430)]
    wanted = [0, 63, 64, 99, 100, 101, 250, 399, 400, 429]
    rows = fetch_column(pa.array(images, kind), wanted)
    assert [row["image"] for row in rows] == [images[row] for row in wanted]


def test_a_column_of_structs_with_bytes(fetch_column: Any, draw: Callable[..., bytes]) -> None:
    images = [{"bytes": draw(number), "path": f"{number}.png"} for number in range(5)]
    images[3]["bytes"] = None  # type: ignore[assignment]
    rows = fetch_column(pa.array(images), [1, 3, 4])
    assert [row["status"] for row in rows] == ["ok", "not_found", "ok"]
    assert rows[0]["image"] == images[1]["bytes"] and rows[2]["image"] == images[4]["bytes"]


def test_a_column_with_nulls_and_rubbish(fetch_column: Any, draw: Callable[..., bytes]) -> None:
    rows = fetch_column(pa.array([None, b"", b"rubbish", draw(0)]), [0, 1, 2, 3])
    assert [row["status"] for row in rows] == ["not_found", "empty", "not_an_image", "ok"]


def test_a_column_that_is_not_there_or_no_bytes(fetch_column: Any) -> None:
    with pytest.raises(SourceError, match=r"images\.parquet: .*image_column: no column 'image'"):
        fetch_column(pa.array([b"1"]), [0], name="picture")
    with pytest.raises(SourceError, match="image_column: image holds int64, no bytes"):
        fetch_column(pa.array([1]), [0])


def test_a_kill_loses_at_most_a_shard(
    folder: Path,
    fetch_files: Any,
    draw: Callable[..., bytes],
    lake: Lake,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    read_images: Callable[[], Rows],
) -> None:
    urls = [f"{number}.png" for number in range(1100)]
    for number, url in enumerate(urls):
        (folder / url).write_bytes(draw(number))
    write_samples(*({"url": url} for url in urls))
    make_study(data=FROM_FOLDER)
    code = KILLED_AFTER_A_COMMIT.format(root=str(lake.root), study=str(folder.parent))
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL
    assert len(read_images()) == 500 and recorded(lake) is None

    assert set(status_of(fetch_files(*urls)).values()) == {"ok"}


def test_images_are_read_while_a_shard_is_committed_but_no_more_than_one_ahead(
    folder: Path,
    fetch_files: Any,
    draw: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = [f"{number}.png" for number in range(2000)]
    image = draw(0)
    for url in urls:
        (folder / url).write_bytes(image)
    n_read, read_by_then, read, append = 0, 0, FileSource.read, VectorStore.append

    async def read_and_count(source: FileSource, row: Row) -> bytes:
        nonlocal n_read
        n_read += 1
        return await read(source, row)

    def append_when_nothing_more_is_read(store: VectorStore, table: LanceTable, rows: Any) -> None:
        nonlocal read_by_then
        if rows.num_rows and not read_by_then:
            n_before = 0
            while n_before < n_read:
                n_before = n_read
                time.sleep(0.5)
            read_by_then = n_read
        append(store, table, rows)

    monkeypatch.setattr(FileSource, "read", read_and_count)
    monkeypatch.setattr(VectorStore, "append", append_when_nothing_more_is_read)
    assert set(status_of(fetch_files(*urls)).values()) == {"ok"}
    assert 1000 <= read_by_then <= 1000 + FileSource.at_once


def test_a_commit_that_fails_ends_the_run_and_the_next_one_has_every_image_once(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"{number}.png" for number in range(1700)]
    for number, url in enumerate(urls):
        (folder / url).write_bytes(draw(number))
    append, n_appends = VectorStore.append, 0

    def fail_at_the_second_shard(store: VectorStore, table: LanceTable, rows: Any) -> None:
        nonlocal n_appends
        n_appends += rows.num_rows > 0
        if n_appends == 2:
            raise OSError("No space left on device")
        append(store, table, rows)

    with monkeypatch.context() as patched:
        patched.setattr(VectorStore, "append", fail_at_the_second_shard)
        with pytest.raises(StageError, match="fetch: No space left on device"):
            fetch_files(*urls)
    rows = fetch_files(*urls)
    assert all(row["image"] == draw(number) for number, row in enumerate(rows.values()))


# The table is made by the first append, without a row.
KILLED_AFTER_A_COMMIT = """
import os, signal
from pathlib import Path
from memtriggers.lance.store import VectorStore
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.core.study_file import load_study

append = VectorStore.append

def append_and_die(store, table, rows):
    append(store, table, rows)
    if rows.num_rows:
        os.kill(os.getpid(), signal.SIGKILL)

VectorStore.append = append_and_die
STAGES["fetch"].run(load_study(Path({study!r}) / "study.toml"), Lake(Path({root!r})))
"""


def test_status_of_a_base_install_asks_without_heavy_imports(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memtriggers.pipelines.core.lake import Lake;"
        "from memtriggers.pipelines import embed, fetch;"
        f"assert fetch.recorded(Lake(Path({str(tmp_path)!r}))) is None;"
        "heavy = {'lance', 'PIL', 'aiohttp', 'torch', 'distributed', 'dask'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_stamp_goes_with_the_fingerprint(
    folder: Path, fetch_files: Any, draw: Callable[..., bytes], lake: Lake
) -> None:
    (folder / "a.png").write_bytes(draw(0))
    fetch_files("a.png")
    first = recorded(lake)
    fetch_files("a.png")
    assert recorded(lake) == first, "nothing new, nothing stale"
    fetch_files("a.png", "b.png")
    later = recorded(lake)
    assert first is not None and later is not None and later[1] != first[1]
    assert read_stamp(VectorStore(lake.vectors), "images") == later[0]
    assert STAGES["fetch"].extra == "embed"
