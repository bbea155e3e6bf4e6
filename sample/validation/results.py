"""The tables of the study, as they are committed: made of what its lakes and models hold."""

import csv
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.database import query
from ...pipelines.lake import replacing
from .lakes import Asked
from .membership import infer_membership
from .mitigation import measure
from .rates import Generated, read_generated, unprompted
from .risk import count_copies, fit_risk
from .trainings import BASES, CURATED, PIXELS, RISK_FIT, Run, asked_of, runs

IMAGES = pa.schema(
    [
        ("generator_id", pa.string()),
        ("pixels", pa.int16()),
        ("arm", pa.string()),
        ("training_seed", pa.int8()),
        ("guidance_scale", pa.float32()),
        ("group_id", pa.string()),
        ("prompt_kind", pa.string()),
        ("prompt_id", pa.string()),
        ("seed", pa.int16()),
        ("distance", pa.float32()),
        ("is_copy", pa.bool_()),
    ]
)


def write_results(plants: Path, folder: Path, out: Path) -> None:
    """Write the tables of images and detectors, the fit, and what was mitigated and inferred.

    Args:
        plants: the planted rows.
        folder: of the runs, all of them measured.
        out: where the tables go.

    """
    out.mkdir(parents=True, exist_ok=True)
    base = asked_of(BASES[0], plants, folder)
    generated = {run: _generated(run, plants, folder) for run in runs()}
    images = pa.concat_tables(as_table(run, found) for run, found in generated.items())
    _write_parquet(out / "images.parquet", images)
    detectors = pa.concat_tables(_detectors(run, asked_of(run, plants, folder)) for run in BASES)
    _write_parquet(out / "detectors.parquet", detectors)
    bases = pa.concat_tables(as_table(run, generated[run]) for run in BASES)
    fit_risk(count_copies(plants, bases), out / RISK_FIT)
    _write_csv(
        out / "mitigation.csv",
        (
            asdict(measure(run.arm, asked_of(run, plants, folder), base, generated[run]))
            for run in (BASES[0], *CURATED)
        ),
    )
    _write_csv(
        out / "membership.csv",
        (
            {"training_seed": run.seed, **asdict(one)}
            for run in BASES
            for one in infer_membership(asked_of(run, plants, folder))
        ),
    )


def as_table(run: Run, generated: Iterable[Generated]) -> pa.Table:
    """The images of a run, as rows of the table that is committed."""
    rows = [
        {
            "generator_id": _generator_id(run, one.guidance_scale),
            "pixels": PIXELS,
            "arm": run.arm,
            "training_seed": run.seed,
            **asdict(one),
        }
        for one in generated
    ]
    keys = [(name, "ascending") for name in IMAGES.names[:-2]]
    return pa.Table.from_pylist(rows, IMAGES).sort_by(keys)


def _generated(run: Run, plants: Path, folder: Path) -> list[Generated]:
    """What was measured of a run; the empty prompt is asked here, for no cluster has it."""
    asked = asked_of(run, plants, folder)
    return [*read_generated(asked), *(unprompted(asked) if run in BASES else ())]


def _generator_id(run: Run, guidance_scale: float) -> str:
    """The same on every machine: that of a lake is the hash of the weights."""
    return f"planted-{PIXELS}-{run.name}-guidance-{guidance_scale:g}"


def _detectors(run: Run, asked: Asked) -> pa.Table:
    """What the detectors of memtriggers say of a run's prompts."""
    with duckdb.connect(str(asked.lake / "current.duckdb"), read_only=True) as connection:
        scores = connection.execute(
            f"from ({query('detector_scores').rstrip().rstrip(';')}) "
            "join (select generator_id, guidance_scale from generators) using (generator_id)"
        ).to_arrow_table()
    named = [_generator_id(run, scale) for scale in scores["guidance_scale"].to_pylist()]
    kept = scores.select(["prompt_id", "detector", "score"])
    return kept.add_column(0, "generator_id", pa.array(named, pa.string()))


def _write_parquet(path: Path, table: pa.Table) -> None:
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd", compression_level=19)


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    known = list(rows)
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(known[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(known)
