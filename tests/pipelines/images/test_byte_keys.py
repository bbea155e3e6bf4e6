"""Rows whose key is the hash of their image: of today's, wherever that lies."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.images.column import ColumnSource

COLUMN = 'image_column = "image"\nkey_column = "bytes"'


def write_rows(folder: Path, *images: dict[str, bytes | str | None]) -> None:
    captions = [f"thing {n}" for n in range(len(images))]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {"image": pa.array(images, kind), "text": captions}
    pq.write_table(pa.table(rows), folder / "rows.parquet")


def keys(lake: Lake) -> dict[str, str]:
    rows = pq.read_table(lake.samples, columns=["caption", "source_id"]).to_pylist()
    return {row["caption"]: row["source_id"] for row in rows}


def test_a_picture_that_is_replaced_has_another_key(
    tmp_path: Path,
    make_study: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "1.png").write_bytes(b"before")
    missing = {"bytes": None, "path": "2.png"}
    write_rows(
        tmp_path, {"bytes": b"own", "path": "0.png"}, {"bytes": None, "path": "1.png"}, missing
    )
    study = make_study(data=COLUMN)
    run_stages(study, "filter")
    assert keys(lake) == {"thing 0": sha256(b"own"), "thing 1": sha256(b"before"), "thing 2": None}

    (tmp_path / "1.png").write_bytes(b"behind")
    (tmp_path / "2.png").write_bytes(b"came late")
    asked = []

    def cell(source: ColumnSource, row: object) -> object:
        asked.append(row)
        return read(source, row)

    read = ColumnSource.cell
    monkeypatch.setattr(ColumnSource, "cell", cell)
    run_stages(study, "filter")
    assert keys(lake) == {
        "thing 0": sha256(b"own"),
        "thing 1": sha256(b"behind"),
        "thing 2": sha256(b"came late"),
    }
    assert len(asked) == 2  # the image in the rows' own file is remembered


def test_a_tar_beside_the_rows_is_looked_at_again(
    tmp_path: Path,
    make_study: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
) -> None:
    rows = {"key": ["a", "b"], "sample_id": ["same", "same"], "caption": ["thing", "thing"]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    write_tar(tmp_path / "rows.tar", a=b"one", b=b"other")
    study = make_study(data='image_tars = true\nkey_column = "sample_id"')
    with pytest.raises(SourceError, match=r"row 0 of .* and row 1 of .* the same key 'same'"):
        run_stages(study, "filter")

    write_tar(tmp_path / "rows.tar", a=b"one", b=b"one")
    run_stages(study, "filter")
    assert keys(lake) == {"thing": "same"}

    write_tar(tmp_path / "rows.tar", a=b"one", b=b"new")
    with pytest.raises(SourceError, match="the same key 'same'"):
        run_stages(study, "filter")


def write_tar(path: Path, **images: bytes) -> None:
    with tarfile.open(path, "w") as tar:
        for key, data in images.items():
            member = tarfile.TarInfo(f"{key}.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
