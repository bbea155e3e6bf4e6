"""The files of an evaluation: its curves, its page, and its figures, which `status` reads."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..clip.recommended import SUMMARY
from ..core.lake import replacing, write_text
from .page import render
from .pair_counts import Curve
from .summary import Summary

CURVES = pa.schema(
    [
        ("method", pa.string()),
        ("pairs", pa.string()),  # COPIES, SERIES or LABELLED
        ("threshold", pa.float64()),  # cosine; of a hash, 1 - 2 × distance / 64
        ("n_pairs", pa.int64()),  # whose cosine is at least the threshold
        ("n_true", pa.int64()),  # true ones among them
        ("precision", pa.float64()),
        ("recall", pa.float64()),
    ]
)


def write_evaluation(summary: Summary, folder: Path) -> None:
    """Write curves.parquet, evaluation.html and, last, summary.json, which the others follow."""
    with replacing(folder / "curves.parquet") as unfinished:
        pq.write_table(_curve_table(summary.measured.curves), unfinished, compression="zstd")
    write_text(folder / "evaluation.html", render(summary))
    write_text(folder / SUMMARY, json.dumps(summary.document, indent=2) + "\n")


def _curve_table(curves: dict[tuple[str, str], Curve]) -> pa.Table:
    tables = []
    for (pairs, method), curve in curves.items():
        columns = vars(curve.steps())
        names = {"method": [method], "pairs": [pairs]}
        repeated = {name: value * len(columns["threshold"]) for name, value in names.items()}
        tables.append(pa.table(repeated | columns, CURVES))
    return pa.concat_tables(tables)
