"""Prints the committed results as the tables of sample/validation/README.md."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence

import duckdb

from ..bundled import SAMPLE
from .lakes import GUIDANCE
from .risk import ASKED
from .tables import IMAGES, RISK_FIT
from .trainings import BASES, LARGER

RESULTS = SAMPLE / "validation" / "results"
_GROUPS = str(SAMPLE / "planted" / "groups.csv")

Cells = Sequence[object]


def summary() -> str:
    """Every table, after its title."""
    parts = (
        ("What comes back of each dose", doses()),
        ("Images without words of their own", images_alone()),
        ("Half of the images are copies from so many copies on", from_csv("copies_until")),
        ("The risk on the groups that it was not fitted on", risk()),
        ("Curation", from_csv("mitigation")),
        ("Rows to halve the copying", from_csv("rows_to_halve")),
        ("Members told from rows that look alike", membership()),
    )
    return "\n\n".join(f"**{title}**\n\n{table(rows)}" for title, rows in parts) + "\n"


def table(rows: Iterable[Cells]) -> str:
    """As Markdown; the first row holds the titles."""
    first, *others = [[_shown(cell) for cell in row] for row in rows]
    lines = [first, ["---"] * len(first), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def doses() -> Iterator[Cells]:
    """The mean over groups of the share of copies, of prompts that a user may ask."""
    yield (
        "kind",
        "captions",
        "copies",
        *(f"{size} pixels, guidance {scale:g}" for size, scale in ((32, 3), (32, 1), (64, 3))),
    )
    columns = ((BASES, GUIDANCE[0]), (BASES, GUIDANCE[1]), ((LARGER,), GUIDANCE[0]))
    rates = [dict(_rates([run.name for run in runs], ASKED, scale)) for runs, scale in columns]
    for cell in rates[0]:
        if cell[0] != "image_alone":
            yield *cell, *(found.get(cell) for found in rates)


def images_alone() -> Iterator[Cells]:
    """The same of images that no words were planted with, by what is asked."""
    yield "copies", "own captions", "held-out captions", "the empty prompt"
    names = [run.name for run in BASES]
    own, held_out, empty = (
        dict(_rates(names, (kind,), scale))
        for kind, scale in (("own", 3.0), ("held_out", 3.0), ("empty", 1.0))
    )
    for cell in own:
        if cell[0] == "image_alone":
            yield cell[2], own[cell], held_out[cell], empty[cell]


def risk() -> Iterator[Cells]:
    """How well each fit predicts, with what it loses against the risk."""
    yield "by", "log-loss", "more than the risk", "Brier", "more than the risk", "slope", "Spearman"
    document = json.loads((RESULTS / RISK_FIT).read_text("utf-8"))
    for one in document["held_out"]:
        yield (
            one["name"],
            one["log_loss"],
            _interval(*one["log_loss_excess"]),
            one["brier"],
            _interval(*one["brier_excess"]),
            one["slope"],
            one["spearman"],
        )


def membership() -> Iterator[Cells]:
    """By the copies of a row's image, over the training seeds."""
    yield "copies", "rows", "AUC", "true positives at 1 % false ones"
    yield from duckdb.execute(
        "select n_copies, any_value(n_members), avg(auc), avg(true_positives) "
        "from read_csv($paths) group by n_copies order by n_copies",
        {"paths": [str(RESULTS / run.name / "membership.csv") for run in BASES]},
    ).fetchall()


def from_csv(name: str) -> Iterator[Cells]:
    """A table as it was written."""
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        first, *others = csv.reader(file)
    yield [title.replace("_", " ") for title in first]
    yield from ([_number(cell) for cell in row] for row in others)


def _rates(
    runs: Sequence[str], kinds: Sequence[str], scale: float
) -> list[tuple[tuple[str, int, int], float]]:
    found = duckdb.execute(
        """
        with of_groups as (
            select kind, n_captions, n_copies, group_id, training_seed, avg(is_copy::int) as rate
            from read_parquet($paths)
            join read_csv($groups) using (group_id)
            where list_contains($kinds, prompt_kind) and guidance_scale = $scale
            group by all
        )
        select kind, n_captions, n_copies, avg(rate) from of_groups group by all order by all
        """,
        {
            "paths": [str(RESULTS / name / IMAGES) for name in runs],
            "groups": _GROUPS,
            "kinds": list(kinds),
            "scale": scale,
        },
    ).fetchall()
    return [((kind, n, copies), rate) for kind, n, copies, rate in found]


def _number(text: str) -> object:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _interval(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("_", " ")


if __name__ == "__main__":
    print(summary(), end="")
