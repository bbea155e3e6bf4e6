"""A field of the objects that texts hold, of JSON and of Python, in whatever file they are."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

FORMATS = ("rows.parquet", "copied.parquet", "rows.jsonl", "rows.csv", "rows.arrow")
META: tuple[dict[str, Any], ...] = (
    {"caption": "a cat", "lang": "en", "score": 0.5, "at": {"url": "https://host.example/0.jpg"}},
    {"caption": 'it\'s "a dog"', "lang": None, "score": 1e20, "at": {"url": "1.jpg", "n": [1, 2]}},
    {"caption": "caf\u00e9", "score": True, "at": {}},
    {"caption": "a half \ud83d", "lang": "x"},
    {"caption": "seven", "lang": {"b": 1, "a": [None, 2.0]}, "at": {"url": "4.jpg"}},
    {"caption": None, "lang": "fr"},
)
DATA = 'key_column = "id"\nimage_root = "."\ncaption_column = "meta.caption"\n'
CARRIED = 'columns = ["meta.lang", "meta.score", "meta.at", "meta.none"]'


def write(path: Path, *texts: str | None) -> None:
    """Rows of `id`, `file` and the texts in `meta`."""
    rows = [{"id": n, "file": f"{n}.jpg", "meta": text} for n, text in enumerate(texts)]
    table = pa.Table.from_pylist(rows)
    if path.name == "copied.parquet":  # which DuckDB does not read as it is
        table = table.append_column("file_row_number", pa.array(range(len(rows))))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        feather.write_feather(table, path, "uncompressed")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "file", "meta"])
            writer.writeheader()
            writer.writerows(rows)


def read(lake: Lake, *names: str) -> list[tuple[Any, ...]]:
    rows = pq.read_table(lake.samples).sort_by("source_row").to_pylist()
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("name", FORMATS)
def test_json_in_a_text_reads_the_same_in_every_format(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    name: str,
) -> None:
    texts = [*map(json.dumps, META), '{"caption": "cut', "", '{"caption": "nan", "score": NaN}']
    write(tmp_path / name, *texts)
    run_stages(make_study(name, data=f'{DATA}url_column = "file"\n{CARRIED}'), "filter", "words")
    carried = ("meta.lang", "meta.score", "meta.at", "meta.none")
    found = read(lake, "source_row", "status", "caption", *carried)
    assert [row[:4] for row in found] == [
        (0, "ok", "a cat", "en"),
        (1, "ok", 'it\'s "a dog"', None),
        (2, "ok", "caf\u00e9", None),
        (3, "ok", "a half ?", "x"),
        (4, "ok", "seven", '{"b":1,"a":[null,2.0]}'),
        (5, "rejected", None, "fr"),
        (6, "rejected", None, None),
        (7, "rejected", None, None),
        (8, "ok", "nan", None),
    ]
    scores = ["0.5", "100000000000000000000.0", "true", *[None] * 5, "NaN"]
    assert [row[4] for row in found] == scores
    assert [row[5] for row in found] == [
        '{"url":"https://host.example/0.jpg"}',
        '{"url":"1.jpg","n":[1,2]}',
        "{}",
        None,
        '{"url":"4.jpg"}',
        *[None] * 4,
    ]
    assert {row[6] for row in found} == {None}
    rejected = pq.read_table(lake.rejected_rows).sort_by("source_row").to_pylist()
    assert [(r["source_row"], r["rule"]) for r in rejected] == [
        (number, "caption_is_empty") for number in (5, 6, 7)
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_keys_and_addresses_may_be_in_the_text(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    name: str,
) -> None:
    write(tmp_path / name, *map(json.dumps, META[:2]))
    data = 'caption_column = "meta.caption"\nurl_column = "meta.at.url"\n'
    run_stages(make_study(name, data=data), "filter")
    assert read(lake, "url") == [("https://host.example/0.jpg",), ("1.jpg",)]
    run_stages(make_study(name, data=f'{data}key_column = "meta.lang"'), "filter")
    assert read(lake, "source_id") == [("en",), (None,)]


PYTHON = [str({"en": f"it's star {n}", "de": f"Stern {n}", "n": (n, None)}) for n in range(3)]


@pytest.mark.parametrize("name", FORMATS)
def test_dicts_of_python_are_asked_about_and_read(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    name: str,
) -> None:
    """As pandas writes a column of dicts: single quotes, None, tuples. One row is JSON."""
    texts = [*PYTHON, json.dumps({"en": "a star of JSON"}), "{'en': no dict}"]
    write(tmp_path / name, *texts[:4])
    data = 'key_column = "id"\nimage_root = "."\nurl_column = "file"\n'
    study = make_study(name, data=f'{data}caption_column = "meta"')
    with pytest.raises(SourceError, match=r"meta holds objects as text.* --caption-column meta\.e"):
        run_stages(study, "filter")
    write(tmp_path / name, *texts)
    study = make_study(name, data=f'{data}caption_column = "meta.en"\ncolumns = ["meta.n"]')
    run_stages(study, "filter")
    assert read(lake, "caption", "meta.n") == [
        *((f"it's star {n}", f"[{n},null]") for n in range(3)),
        ("a star of JSON", None),
        (None, None),
    ]
    (rejected,) = pq.read_table(lake.rejected_rows).to_pylist()
    assert (rejected["source_row"], rejected["rule"]) == (4, "caption_is_empty")


@pytest.mark.parametrize("name", FORMATS)
def test_a_field_may_hold_a_list_of_captions(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    name: str,
) -> None:
    write(tmp_path / name, json.dumps({"en": ["a", "b"]}), "{'en': ['c', None]}", "{}")
    data = 'key_column = "id"\nimage_root = "."\nurl_column = "file"\n'
    run_stages(make_study(name, data=f'{data}caption_column = "meta.en"'), "filter")
    rows = pq.read_table(lake.samples).to_pylist()
    assert sorted(row["caption"] for row in rows if row["status"] == "ok") == ["a", "b", "c"]


@pytest.mark.parametrize("name", FORMATS)
def test_lists_of_objects_in_a_text_are_no_captions(
    make_study: Callable[..., Study], run_stages: Callable[..., None], tmp_path: Path, name: str
) -> None:
    write(tmp_path / name, '[{"en": "a"}]', "[{'en': 'b'}]")
    with pytest.raises(SourceError, match="meta holds lists as text, not of texts alone") as caught:
        run_stages(make_study(name, data=f'{DATA[:-10]}"\nurl_column = "file"'), "filter")
    assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("key", ["a b", 'quo"te', "it's", "*", "a/b", "a~b", "#", "0", "$", ""])
def test_fields_of_any_name(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    key: str,
) -> None:
    write(tmp_path / "rows.parquet", json.dumps({key: "a", "other": "b"}), str({key: "c"}))
    column = json.dumps(f"meta.{key}")
    data = f'key_column = "id"\nimage_root = "."\nurl_column = "file"\ncaption_column = {column}'
    run_stages(make_study("rows.parquet", data=data), "filter")
    assert read(lake, "caption") == [("a",), ("c",)]


def test_a_text_below_an_object_may_hold_one_too(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    rows = [{"url": "0.jpg", "info": {"meta": json.dumps({"caption": "a cat"}), "n": 1}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[0] | {"url": "1.jpg"}))
    data = 'image_root = "."\ncaption_column = "info.meta.caption"'
    run_stages(make_study("rows.*", data=data), "filter")
    assert read(lake, "caption") == [("a cat",)] * 2


def test_odd_bytes_in_such_a_text_are_a_rejected_row(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    texts = [json.dumps({"caption": "a cat"}).encode(), b'{"caption": "caf\xe9"}']
    table = pa.table({"url": ["0", "1"], "meta": pa.array(texts, pa.binary()).view(pa.string())})
    pq.write_table(table, tmp_path / "rows.parquet")
    data = 'image_root = "."\ncaption_column = "meta.caption"'
    run_stages(make_study("rows.parquet", data=data), "filter")
    assert read(lake, "caption") == [("a cat",)]
    (rejected,) = pq.read_table(lake.rejected_rows).to_pylist()
    assert (rejected["source_row"], rejected["rule"]) == (1, "invalid_utf8")
    assert rejected["observed_value"] == '{"caption": "caf\\xe9"}'
