"""An evaluation as it is kept: figures, curves, a page, and the threshold that it recommends."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ... import __version__
from ..clip.recommended import SUMMARY, Recommendation
from ..lake import replacing, write_text
from .figures import COPIES, LABELLED, SERIES, Measured, recommend
from .pairs import Curve
from .retrieval import Retrieval

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


@dataclass(frozen=True)
class Summary:
    """What came of one evaluation."""

    clip_id: str
    on: str
    """`sample`, `lake` or `labelled`."""
    pictures: str
    """Where they are from, in words."""
    n_pictures: int
    labelled_by: str | None
    """The column or file that says which pairs are true."""
    seed: int
    retrieval: list[Retrieval]
    measured: Measured
    hashes: list[str]
    """The methods that are perceptual hashes."""
    load_seconds: float
    images_per_second: float
    notes: list[str]

    @cached_property
    def recommended(self) -> dict[str, Recommendation | None]:
        """The threshold that each kind of pairs recommends for the model."""
        said = {
            COPIES: f"copies of {self.n_pictures:,} {self.pictures}",
            SERIES: f"copies of {self.n_pictures:,} {self.pictures}, series among them",
            LABELLED: f"{self.n_pictures:,} {self.pictures} labelled by {self.labelled_by}",
        }
        return {
            pairs: recommend(curve, said[pairs])
            for (pairs, method), curve in self.measured.curves.items()
            if method == self.clip_id
        }

    @property
    def main_figures(self) -> dict[str, Any]:
        """The model's own figures, without its peers and without its curves."""
        return {
            "n_pictures": self.n_pictures,
            "seed": self.seed,
            "retrieval": [asdict(one) for one in self.retrieval],
            "pairs": [asdict(f) for f in self.measured.figures if f.method == self.clip_id],
        }

    @property
    def document(self) -> dict[str, Any]:
        """All of it but the curves, for JSON."""
        names = ("clip_id", "on", "pictures", "n_pictures", "labelled_by", "seed", "hashes")
        found = {pairs: r and asdict(r) for pairs, r in self.recommended.items()}
        return {
            "memtriggers": __version__,
            **{name: getattr(self, name) for name in names},
            "recommended": found,
            "retrieval": [asdict(one) for one in self.retrieval],
            "pairs": [asdict(figures) for figures in self.measured.figures],
            "load_seconds": self.load_seconds,
            "images_per_second": self.images_per_second,
            "notes": self.notes,
        }


def write_evaluation(summary: Summary, folder: Path) -> None:
    """Write curves.parquet, evaluation.html and, last, summary.json, which the others follow."""
    from .page import render

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
