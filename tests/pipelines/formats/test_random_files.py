"""Files of whatever columns and bytes are read, or refused in one line that names them."""

import datetime as dt
import gzip
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtriggers.pipelines.core.errors import MemtriggersError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.init import write_study

NAMES = st.sampled_from(
    [
        *("caption", "TEXT", "text", "url", "URL", "key", "id", "image", "width", "similarity"),
        *("filename", "file_row_number", "File_Row_Number", "source_row", "caption_number"),
        *("memtriggers_file", "memtriggers_rule", "memtriggers_column_0", "rowid", "captions"),
        *("a b", 'the "alt"', "it's", "a.b", "ключ", "日本語", " ", "select", "file_name", "txt"),
        *("a\nb", "a\rb", "\x1b[31mred", "\u2028", "caption\n"),
    ]
)
TEXTS = st.text(max_size=12)
LEAVES = [
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.binary(), st.binary(max_size=8)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(20, 3), st.decimals(-(10**9), 10**9, places=3)),
    (pa.date32(), st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1))),
    (pa.time64("us"), st.times()),
    (pa.timestamp("us"), st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))),
    (pa.timestamp("ns", "UTC"), st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1))),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-9_999), dt.timedelta(9_999))),
    (pa.null(), st.none()),
    (pa.dictionary(pa.int32(), pa.string()), TEXTS),
]


def nested(leaf: tuple[pa.DataType, Any], how: str) -> tuple[pa.DataType, Any]:
    kind, values = leaf
    if pa.types.is_dictionary(kind) or how == "leaf":
        return leaf
    if how == "list":
        return pa.list_(kind), st.lists(st.none() | values, max_size=3)
    if how == "lists":
        return pa.list_(pa.list_(kind)), st.lists(st.lists(values, max_size=2), max_size=2)
    if how == "map":
        return pa.map_(pa.string(), kind), st.lists(st.tuples(TEXTS, values), max_size=2)
    inner = {"en": values, "bytes": values, "path": values}
    return pa.struct([(name, kind) for name in inner]), st.fixed_dictionaries(inner)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.sampled_from([0, 1, 3, 40]))
    needed = draw(st.sampled_from([[], ["url", "text"], ["caption", "url"]]))
    others = draw(st.lists(NAMES, min_size=0, max_size=6, unique=True))
    names = [*needed, *(name for name in others if name not in needed)]
    fields, arrays = [], []
    for name in names:
        how = draw(st.sampled_from(["leaf", "leaf", "leaf", "list", "lists", "map", "struct"]))
        # what most often is the caption, or nothing would ever be read
        leaf = LEAVES[draw(st.sampled_from([0, 0, 0, *range(len(LEAVES))]))]
        kind, values = nested(leaf, how)
        some = draw(st.lists(st.none() | values, min_size=min(n, 3), max_size=min(n, 3)))
        column = [some[i % len(some)] for i in range(n)] if some else []
        fields.append(pa.field(name, kind))
        arrays.append(pa.array(column, kind))
    if not names:
        return pa.table({})
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def read_or_refuse(folder: Path, name: str, n_rows: int | None) -> None:
    """Read a file as a user does; what is refused is one line that names it."""
    study_file = folder / "study.toml"
    try:
        write_study((str(folder / name),), study_file, True)
        study, lake = load_study(study_file), Lake(folder / "lake")
        STAGES["filter"].run(study, lake)
    except MemtriggersError as error:
        assert str(error).isprintable() and "Traceback" not in str(error)
        assert name in str(error) or str(error).startswith("filter: none of "), str(error)
        return
    if n_rows is not None:
        rows = pq.read_table(lake.sample_rows, columns=["source_row"])["source_row"].to_pylist()
        unreadable = [
            row["source_row"]
            for row in pq.read_table(lake.rejected_rows).to_pylist()
            if row["rule"] in ("unreadable", "invalid_utf8")
        ]
        assert sorted({*rows, *unreadable}) == list(range(n_rows))
    try:
        STAGES["words"].run(study, lake)
    except MemtriggersError as error:  # no caption contains a word
        assert "\n" not in str(error).strip()


WIDE = pa.table({"url": ["a"], "text": ["b"]} | {f"c {n}": [n] for n in range(2_000)})


@settings(max_examples=40)
@given(table=tables(), size=st.sampled_from([1, 2, 1_000]))
@example(table=pa.table({"url": ["a"], "text": ["x"], "file_row_number": [1]}), size=1)
@example(table=WIDE, size=1)
@example(table=pa.table({"url": ["a"], "text": ["b"], "memtriggers_file": ["c"]}), size=1)
@example(table=pa.table({"url": ["a"] * 2, "caption": [[], None]}), size=1)
@example(table=pa.table({"url": [{"a": 1}], "text": ["b"]}), size=1)
@example(table=pa.table({"url": [dt.timedelta(1)], "text": ["b"]}), size=1)
@example(table=pa.table({"url": ["a"], "text": [dt.timedelta(1)]}), size=1)
@example(table=pa.table({"a\nb": ["a"], "\x1b[31mred": ["b"]}), size=1)
def test_parquet_of_any_columns(table: pa.Table, size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(table, folder / "rows.parquet", row_group_size=size)
        read_or_refuse(folder, "rows.parquet", table.num_rows)


CELLS = st.just("http://a.example/1.jpg") | st.text(
    st.sampled_from([*"ab ,;\t|\"'\n\r\\{}[]:é日", "\0", "\u2028"]), max_size=12
)


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=5),
    form=st.sampled_from(["csv", "tsv", "jsonl", "json", "csv.gz", "jsonl.gz", "tar"]),
    spoilt=st.none() | st.integers(0, 400),
    cut=st.none() | st.integers(1, 400),
)
@example(rows=[("a", "b\ud800")], form="jsonl", spoilt=None, cut=None)
@example(rows=[("\r", "b")], form="csv", spoilt=None, cut=None)
@example(rows=[("a", "b")], form="jsonl", spoilt=0, cut=None)
@example(rows=[("a", "b,c,d")] * 3, form="csv", spoilt=13, cut=None)
@example(rows=[("a", "b")] * 3, form="tar", spoilt=None, cut=1_100)
def test_texts_of_any_bytes(
    rows: list[tuple[str, str]], form: str, spoilt: int | None, cut: int | None
) -> None:
    whole = written(rows, form.removesuffix(".gz"))
    if spoilt is not None:
        whole = whole[:spoilt] + b"\xe9\xff" + whole[spoilt:]
    if form.endswith(".gz"):
        whole = gzip.compress(whole)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"rows.{form}").write_bytes(whole if cut is None else whole[:-cut])
        read_or_refuse(folder, f"rows.{form}", None)


def written(rows: list[tuple[str, str]], form: str) -> bytes:
    if form == "tar":
        return as_tar(rows)
    objects = [{"url": url, "text": text} for url, text in rows]
    if form == "json":
        return json.dumps(objects).encode()
    if form == "jsonl":
        return "\n".join(map(json.dumps, objects)).encode()
    mark = "," if form == "csv" else "\t"
    lines = ["url" + mark + "text", *(url + mark + text for url, text in rows)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def as_tar(rows: list[tuple[str, str]]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for number, (url, text) in enumerate(rows):
            for suffix, data in (("jpg", b"\xff\xd8\xff"), ("txt", text), ("json", url)):
                content = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
                member = tarfile.TarInfo(f"{number:03}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return held.getvalue()
