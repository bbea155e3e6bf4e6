"""How well detectors of memorization tell prompts that bring training images back, theirs and ours.

A detector gives a number to a prompt, or to one image of it, that is larger where it suspects more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.database import connect_published, count_rows, dbt_macro, first_line, query
from ..core.errors import EvaluationError
from ..core.lake import Lake
from ..core.quoting import literal

FALSE_POSITIVES = 0.01
REPLICATES = 0.5  # of a prompt's images: from that share on it counts as one that replicates
_N_BOOTSTRAPS = 1000
_KEY = "generator_id, detector, prompt_id, seed"
RESULTS = Path(__file__).resolve().parents[2] / "sample/validation/results"
# Of the models that were trained on the rows as they are.
_PLANTED = {"truth": "nothing-*/images.parquet", "ours": "nothing-*/detectors.parquet"}
_READERS = {".parquet": "read_parquet", ".csv": "read_csv"}

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A figure, and its 95 % interval by a bootstrap over clusters."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DetectorFigures:
    """How well one detector does with one generator."""

    generator_id: str
    detector: str
    what: str  # it tells apart: prompts or images
    n: int
    n_positive: int
    n_scored: int  # the others suspect nothing
    auc: Estimate | None = None  # where all are positive, or none
    true_positives: Estimate | None = None  # at 1 % false positives


def evaluate_detectors(lake: Lake, scores: Path, metric: str, seed: int) -> list[DetectorFigures]:
    """Judge the detectors of a file, and our own, by what the lake's generations copy.

    Args:
        lake: with published scores of generations.
        scores: a parquet or csv file with prompt_id and score; with seed, a score is of one image;
            detector (the file's name where there is none) and generator_id where it has several.
        metric: says which generation is a copy.
        seed: of the bootstrap over clusters.

    Raises:
        EvaluationError: the file cannot be read, lacks a column, or speaks of no prompt of the
            lake; or nothing was scored by that metric.
        LakeError: nothing is published.

    """
    with connect_published(lake) as connection:
        values = {"metric": metric}
        connection.execute(dbt_macro("is_copy"))
        connection.execute(f"create temp table truth as {query('evaluate/detector_truth')}", values)
        if not count_rows(connection, "truth"):
            raise EvaluationError(
                f"{lake.root}: no generation is scored by {metric}; run: memtriggers score, or "
                "name another --metric"
            )
        connection.execute(f"create temp table ours as {query('evaluate/detector_scores')}")
        return _judge(connection, scores, seed)


def evaluate_on_planted(scores: Path, seed: int) -> list[DetectorFigures]:
    """The same by what models gave back whose training data is known whole: the bundled study.

    Raises:
        EvaluationError: as above.

    """
    with duckdb.connect() as connection:
        for table in ("truth", "ours"):
            connection.execute(
                f"create temp table {table} as {query(f'evaluate/planted_{table}')}",
                {"results": str(RESULTS / _PLANTED[table])},
            )
        return _judge(connection, scores, seed)


def _judge(connection: duckdb.DuckDBPyConnection, scores: Path, seed: int) -> list[DetectorFigures]:
    """Of the tables truth and ours."""
    _read_scores(connection, scores)
    connection.execute("insert into given by name from ours")
    return list(_measure(connection, np.random.default_rng(seed)))


def _read_scores(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the table `given`: generator_id and seed are null where a score is of all of them."""
    if path.suffix not in _READERS:
        raise EvaluationError(f"{path}: the name must end in {', '.join(_READERS)}")
    source = f"{_READERS[path.suffix]}({literal(str(path))})"
    try:
        found = {row[0] for row in connection.execute(f"describe from {source}").fetchall()}
        for name in ("prompt_id", "score"):
            if name not in found:
                raise EvaluationError(
                    f"{path}: no column {name}; it has: {', '.join(sorted(found))}"
                )
        connection.execute(
            f"""
            create temp table given as
            select
                {_column("generator_id", "varchar", found)},
                prompt_id::varchar as prompt_id,
                {_column("seed", "bigint", found)},
                {_column("detector", "varchar", found, literal(path.stem))},
                score::double as score
            from {source}
            """
        )
    except duckdb.Error as error:
        raise EvaluationError(f"{path}: cannot be read: {first_line(error)}") from None
    if count_rows(connection, f"(select {_KEY} from given group by all having count(*) > 1)"):
        raise EvaluationError(f"{path}: a detector has two scores for one prompt or image")
    if not count_rows(connection, "given semi join truth using (prompt_id)"):
        raise EvaluationError(
            f"{path}: none of its prompts was generated here; prompt_id is the md5 of the text, "
            "see: memtriggers sql 'from prompts', or sample/planted/prompts.csv"
        )


def _column(name: str, kind: str, found: set[str], otherwise: str = "null") -> str:
    return f"{name if name in found else otherwise}::{kind} as {name}"


def _measure(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator
) -> Iterator[DetectorFigures]:
    """Of each generator and detector; a null or infinite score suspects nothing."""
    values = {"replicates": REPLICATES}
    judged = connection.execute(query("evaluate/judged_detectors"), values).to_arrow_table()
    names = ["generator_id", "detector", "what"]
    for key in dict.fromkeys(zip(*(judged[name].to_pylist() for name in names), strict=True)):
        mask = np.logical_and.reduce(
            [judged[name].to_numpy() == value for name, value in zip(names, key, strict=True)]
        )
        own = judged.filter(mask)
        n_positive, n_scored = pc.sum(own["is_positive"]).as_py(), pc.sum(own["is_scored"]).as_py()
        about = (*key, len(own), n_positive, n_scored)
        if n_positive in (0, len(own)):
            yield DetectorFigures(*about)
        else:
            yield DetectorFigures(*about, *_figures(own.sort_by("score"), rng))


def _figures(own: pa.Table, rng: np.random.Generator) -> Iterator[Estimate]:
    """The area and the true positives, each with its interval over clusters."""
    score, is_positive = own["score"].to_numpy(), own["is_positive"].to_numpy()
    names, cluster = np.unique(own["cluster"].to_numpy(), return_inverse=True)
    even = np.full(len(names), 1 / len(names))
    weights = rng.multinomial(len(names), even, _N_BOOTSTRAPS)
    drawn = np.array([tell(score, is_positive, each[cluster]) for each in weights])
    for value, (low, high) in zip(
        tell(score, is_positive, np.ones(len(own))),
        np.nanpercentile(drawn, [2.5, 97.5], axis=0).T,
        strict=True,
    ):
        yield Estimate(value, float(low), float(high))


def tell(score: Floats, is_positive: Flags, weight: npt.NDArray[np.generic]) -> tuple[float, float]:
    """The area under the ROC curve, and the true positives at 1 % false positives.

    Ties are half right. NaN where the weights leave no positive or no negative.

    Args:
        score: ascending, (n,).
        is_positive: (n,).
        weight: how often each counts, (n,).

    """
    starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])  # of equal scores
    positive = np.add.reduceat(weight * is_positive, starts).astype(np.float64)
    negative = np.add.reduceat(weight * ~is_positive, starts).astype(np.float64)
    n_positive, n_negative = positive.sum(), negative.sum()
    if n_positive == 0 or n_negative == 0:
        return np.nan, np.nan
    below = np.cumsum(negative) - negative
    auc = float(positive @ (below + negative / 2) / (n_positive * n_negative))
    from_here = np.cumsum(negative[::-1])[::-1]  # false positives if this score is one yet
    is_allowed = from_here <= FALSE_POSITIVES * n_negative
    return auc, float(positive[is_allowed].sum() / n_positive)
