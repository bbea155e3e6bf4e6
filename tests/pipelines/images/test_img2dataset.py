"""Datasets as img2dataset leaves them: parquet with statuses, and tars beside it or a column."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

Rows = dict[str, dict[str, Any]]
CASES = Path(__file__).parents[2] / "cases"
FAILED = ("failed_to_download", "HTTP Error 404: Not Found")


def row(number: int, image: bytes | None) -> dict[str, Any]:
    failed = image is None
    return {
        "url": f"https://host.example/{number}.jpg",
        "caption": f"picture {number}",
        "key": f"{number:09}",
        "status": FAILED[0] if failed else "success",
        "error_message": FAILED[1] if failed else None,
        "jpg": image,
    }


@pytest.fixture
def write_shard(tmp_path: Path) -> Callable[..., None]:
    """Write one shard of a webdataset: its parquet, and a tar of image, caption and facts."""

    def write(shard: int, *images: bytes | None) -> None:
        rows = [row(10_000 * shard + number, image) for number, image in enumerate(images)]
        table = pa.Table.from_pylist(rows).drop_columns("jpg")
        pq.write_table(table, tmp_path / f"{shard:05}.parquet")
        with tarfile.open(tmp_path / f"{shard:05}.tar", "w") as tar:
            for one in rows:
                if one["jpg"]:
                    files = {"jpg": one["jpg"], "json": b"{}", "txt": one["caption"].encode()}
                    for suffix, data in files.items():
                        member = tarfile.TarInfo(f"{one['key']}.{suffix}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))

    return write


def fetched(
    lake: Lake, run_stages: Callable[..., None], study: Study, images: Callable[[], Rows]
) -> dict[str, tuple[Any, ...]]:
    """Status, reason and image by url, of everything that filter finds in the parquet."""
    run_stages(study, "filter", "fetch")
    urls = pq.read_table(lake.samples, columns=["sample_id", "url"]).to_pylist()
    rows = images()
    return {
        one["url"]: tuple(
            rows[one["sample_id"]][key] for key in ("status", "status_reason", "image")
        )
        for one in urls
    }


def test_tars_beside_the_parquet(
    write_shard: Callable[..., None],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> None:
    write_shard(0, draw(0), None, draw(2), b"no image")
    write_shard(1, draw(3), draw(4, side=64))
    study = make_study(data="image_tars = true", sections="[fetch]\nmax_bytes = 5000")
    rows = fetched(lake, run_stages, study, read_images)
    assert {url.rpartition("/")[2]: found[0] for url, found in rows.items()} == {
        "0.jpg": "ok",
        "1.jpg": "failed_to_download",
        "2.jpg": "ok",
        "3.jpg": "not_an_image",
        "10000.jpg": "ok",
        "10001.jpg": "too_large",
    }
    assert rows["https://host.example/1.jpg"] == (*FAILED, None)
    assert rows["https://host.example/2.jpg"][2] == draw(2)
    assert rows["https://host.example/10000.jpg"][2] == draw(3)


def test_an_image_that_the_tar_lacks(
    write_shard: Callable[..., None],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    lake: Lake,
    tmp_path: Path,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> None:
    write_shard(1, draw(0))
    (tmp_path / "00001.tar").rename(tmp_path / "kept")
    write_shard(1, draw(0), draw(1))
    (tmp_path / "kept").rename(tmp_path / "00001.tar")
    rows = fetched(lake, run_stages, make_study(data="image_tars = true"), read_images)
    assert [found[0] for _, found in sorted(rows.items())] == ["ok", "not_found"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (None, "not_found", "no such file"),
        (b"", "unreadable", "empty file"),
        (b"not a tar", "unreadable", "truncated header"),
    ],
)
def test_the_rows_of_a_tar_that_is_none_say_so_and_the_others_go_on(
    write_shard: Callable[..., None],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    lake: Lake,
    tmp_path: Path,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    content: bytes | None,
    status: str,
    reason: str,
) -> None:
    write_shard(0, draw(0), None)
    write_shard(1, draw(1))
    tar = tmp_path / "00000.tar"
    tar.unlink()
    if content is not None:
        tar.write_bytes(content)
    rows = fetched(lake, run_stages, make_study(data="image_tars = true"), read_images)
    assert rows["https://host.example/0.jpg"] == (status, f"{tar}: {reason}", None)
    assert rows["https://host.example/1.jpg"] == (*FAILED, None)
    assert rows["https://host.example/10000.jpg"] == ("ok", None, draw(1))


def test_what_is_whole_in_a_tar_that_was_cut_is_an_image(
    make_study: Callable[..., Study],
    lake: Lake,
    tmp_path: Path,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> None:
    shutil.copytree(CASES / "tar_cut", tmp_path, dirs_exist_ok=True)
    study = make_study(data="image_tars = true")
    rows = fetched(lake, run_stages, study, read_images)
    whole = ("ok", None)
    assert [rows[f"https://second{n}.org/{n}.jpg"][:2] for n in range(8)] == [whole] * 8
    cut = tmp_path / "00000.tar"
    ends = ("unreadable", f"{cut}: ends within 000000004.jpg")
    behind = ("unreadable", f"{cut}: unexpected end of data")
    first = [rows[f"https://ex{n}.org/{n}.jpg"][:2] for n in range(8)]
    assert first == [*[whole] * 4, ends, *[behind] * 3]
    run_stages(study, "fetch")  # and the next night


def test_a_parquet_without_keys_is_one_line(
    write_shard: Callable[..., None],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    write_shard(0, draw(0))
    parquet = tmp_path / "00000.parquet"
    pq.write_table(pq.read_table(parquet).drop_columns("key"), parquet)
    with pytest.raises(SourceError, match=r"00000\.parquet: cannot be read.*key"):
        run_stages(make_study(data="image_tars = true"), "filter", "fetch")


def test_a_column_of_images_with_statuses(
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    lake: Lake,
    tmp_path: Path,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
) -> None:
    rows = [row(0, draw(0)), row(1, None), row(2, None) | {"status": "success"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "00000.parquet")
    found = fetched(lake, run_stages, make_study(data='image_column = "jpg"'), read_images)
    assert [found[f"https://host.example/{number}.jpg"] for number in range(3)] == [
        ("ok", None, draw(0)),
        (*FAILED, None),
        ("not_found", "jpg is null", None),
    ]
