"""Datasets as img2dataset leaves them: parquet with statuses, and tars beside it or a column."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.errors import SourceError
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.study import Study

Rows = dict[str, dict[str, Any]]
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


def test_a_tar_that_is_missing_or_no_tar_is_one_line(
    write_shard: Callable[..., None],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    write_shard(0, draw(0))
    study = make_study(data="image_tars = true")
    (tmp_path / "00000.tar").write_bytes(b"not a tar")
    with pytest.raises(SourceError, match=r"00000\.tar: cannot be read"):
        run_stages(study, "filter", "fetch")
    (tmp_path / "00000.tar").unlink()
    with pytest.raises(SourceError, match=r"00000\.tar: cannot be read"):
        run_stages(study, "fetch")


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
