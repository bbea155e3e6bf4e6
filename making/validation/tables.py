"""The tables of the study, as they are committed: what each run gave back, and what follows."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.core.database import query
from ...pipelines.core.lake import replacing, write_text
from .lakes import Asked, Scanned
from .membership import infer_membership
from .mitigation import Cost, compare_rates, group_rates, measure, rows_to_halve
from .rates import Generated, read_generated, unprompted
from .risk import copies_until, count_copies, fit_risk
from .trainings import BASES, CURATED, NOTHING, Run

RISK_FIT = "risk_fit.json"
IMAGES, DETECTORS, MEMBERSHIP, COST = (
    "images.parquet",
    "detectors.parquet",
    "membership.csv",
    "cost.json",
)
_SCHEMA = pa.schema(
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


def write_run(run: Run, asked: Asked, scanned: Scanned, out: Path) -> None:
    """Write what a run gave back into `out/<its name>/`; the images come last, and say it is whole.

    Args:
        run: which one.
        asked: its model and its lake, which holds every image and its scores.
        scanned: the whole rows, scanned.
        out: the folder of the results.

    """
    own = out / run.name
    own.mkdir(parents=True, exist_ok=True)
    is_whole = run.arm == NOTHING
    if is_whole:
        _write_parquet(own / DETECTORS, _detectors(run, asked))
        write_csv(own / MEMBERSHIP, map(asdict, infer_membership(asked)))
    cost = asdict(measure(asked, scanned))
    write_text(own / COST, json.dumps(cost, indent=2) + "\n")
    generated = [*read_generated(asked), *(unprompted(asked) if is_whole else ())]
    _write_parquet(own / IMAGES, as_table(run, generated))


def is_written(run: Run, out: Path) -> bool:
    """Whether a run is not needed any more."""
    return (out / run.name / IMAGES).exists()


def read_images(run: Run, out: Path) -> pa.Table:
    """What a run gave back."""
    return pq.read_table(out / run.name / IMAGES)


def write_fit(plants: Path, out: Path) -> None:
    """Fit the risk to what the models of the whole rows gave back, and say from when on they do."""
    rates = count_copies(plants, pa.concat_tables(read_images(run, out) for run in BASES))
    fit_risk(rates, out / RISK_FIT)
    write_csv(out / "copies_until.csv", map(asdict, copies_until(rates)))


def write_mitigation(plants: Path, out: Path) -> None:
    """Write how much copying each curated run leaves, of those that there are."""
    before = group_rates(plants, read_images(BASES[0], out))
    rows = [_mitigated(run, plants, out, before) for run in (BASES[0], *CURATED)]
    found = [row for row in rows if row is not None]
    write_csv(out / "mitigation.csv", found)
    if any(row["n_removed"] for row in found):
        write_csv(out / "rows_to_halve.csv", _halving(found))


def _mitigated(run: Run, plants: Path, out: Path, before: Any) -> dict[str, Any] | None:
    if not is_written(run, out):
        return None
    cost = Cost(**json.loads((out / run.name / COST).read_text("utf-8")))
    whole = Cost(**json.loads((out / BASES[0].name / COST).read_text("utf-8")))
    rates = group_rates(plants, read_images(run, out))
    return {
        "arm": run.arm,
        "n_asked": run.n_rows,
        "n_removed": whole.n_rows - cost.n_rows,
        **asdict(compare_rates(rates, before)),
        "concept": cost.concept,
        "utility": cost.utility,
    }


def _halving(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each way to remove rows."""
    for arm in dict.fromkeys(row["arm"] for row in rows if row["n_removed"]):
        points = [(row["n_removed"], row["left"]) for row in rows if row["arm"] == arm]
        yield {
            "arm": arm,
            "most_removed": max(n for n, _ in points),
            "least_left": min(left for _, left in points),
            "rows_to_halve": rows_to_halve([(0, 1.0), *points]),
        }


def as_table(run: Run, generated: Iterable[Generated]) -> pa.Table:
    """The images of a run, as rows of the table that is committed."""
    rows = [
        {
            "generator_id": _generator_id(run, one.guidance_scale),
            "pixels": run.pixels,
            "arm": run.arm,
            "training_seed": run.seed,
            **asdict(one),
        }
        for one in generated
    ]
    keys = [(name, "ascending") for name in _SCHEMA.names[:-2]]
    return pa.Table.from_pylist(rows, _SCHEMA).sort_by(keys)


def _generator_id(run: Run, guidance_scale: float) -> str:
    """The same on every machine: that of a lake is the hash of the weights."""
    return f"planted-{run.name}-guidance-{guidance_scale:g}"


def _detectors(run: Run, asked: Asked) -> pa.Table:
    """What the detectors of memtriggers say of a run's prompts."""
    with duckdb.connect(str(asked.lake / "current.duckdb"), read_only=True) as connection:
        scores = connection.execute(
            f"from ({query('evaluate/detector_scores').rstrip().rstrip(';')}) "
            "join (select generator_id, guidance_scale from generators) using (generator_id)"
        ).to_arrow_table()
    named = [_generator_id(run, scale) for scale in scores["guidance_scale"].to_pylist()]
    kept = scores.select(["prompt_id", "detector", "score"])
    return kept.add_column(0, "generator_id", pa.array(named, pa.string()))


def _write_parquet(path: Path, table: pa.Table) -> None:
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd", compression_level=19)


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows of the same columns, of which there is one at least."""
    known = list(rows)
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(known[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(known)
