"""Fixtures of addresses and captions alone. A docstring is the fixture's line in RECIPE.md."""

from csv import QUOTE_NONE
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from .world import Sample

_GZIP: Any = {"method": "gzip", "mtime": 1}  # the same bytes each time


def _frame(rows: list[Sample]) -> pd.DataFrame:
    return pd.DataFrame({"url": [r.url for r in rows], "caption": [r.caption for r in rows]})


def delimited(folder: Path, rows: list[Sample]) -> None:
    """pandas' `to_csv`: `pandas.csv` and `pandas.csv.gz` with the index as a first column without
    a name, `rows.csv.zst`, `semicolon.csv` and `header.tsv` (`index=False`), and `cc3m.tsv` as
    Conceptual Captions comes: caption, then address, no header, no quoting."""
    frame = _frame(rows)
    frame.to_csv(folder / "pandas.csv")
    frame.to_csv(folder / "pandas.csv.gz", compression=_GZIP)
    frame.to_csv(folder / "rows.csv.zst", index=False)
    frame.to_csv(folder / "semicolon.csv", sep=";", index=False)
    frame.to_csv(folder / "header.tsv", sep="\t", index=False)
    frame[["caption", "url"]].to_csv(
        folder / "cc3m.tsv", sep="\t", index=False, header=False, quoting=QUOTE_NONE
    )


def objects(folder: Path, rows: list[Sample]) -> None:
    """pandas' `to_json(orient="records")`, which writes é as `\\u00e9` and / as `\\/`: with
    `lines=True` `rows.jsonl`, `rows.jsonl.gz`, `rows.jsonl.zst`; one array of objects in
    `rows.json`."""
    frame = _frame(rows)
    frame.to_json(folder / "rows.jsonl", orient="records", lines=True)
    frame.to_json(folder / "rows.jsonl.gz", orient="records", lines=True, compression=_GZIP)
    frame.to_json(folder / "rows.jsonl.zst", orient="records", lines=True)
    frame.to_json(folder / "rows.json", orient="records")


def arrow(folder: Path, rows: list[Sample]) -> None:
    """pyarrow's `ipc.new_file` (`rows.arrow`) and `ipc.new_stream` (`rows.arrows`), and pandas'
    `to_feather` (`rows.feather`, which is an IPC file whose buffers are compressed with LZ4)."""
    table = pa.table(_frame(rows).to_dict("list"))
    with pa.ipc.new_file(folder / "rows.arrow", table.schema) as file:
        file.write_table(table)
    with pa.ipc.new_stream(folder / "rows.arrows", table.schema) as stream:
        stream.write_table(table)
    _frame(rows).to_feather(folder / "rows.feather")


def spark(folder: Path, rows: list[Sample]) -> None:
    """Spark's `DataFrame.write.parquet`: 4 rows in a part file, and the other 8 in a part file in
    `year=2020/` by `partitionBy("year")`, with `_SUCCESS` and the hidden `.crc` files."""
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    all_rows = [(row.url, row.caption) for row in rows]
    above = session.createDataFrame(all_rows[:4], "url string, caption string").coalesce(1)
    of_a_year = [(*row, 2020) for row in all_rows[4:]]
    below = session.createDataFrame(of_a_year, "url string, caption string, year int").coalesce(1)
    above.write.mode("overwrite").parquet(str(folder))
    below.write.mode("append").partitionBy("year").parquet(str(folder))
    session.stop()
