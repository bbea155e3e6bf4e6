"""An evaluation on the terminal."""

import click

from ..core.terminal import print_table
from .copies import KINDS
from .detectors import FALSE_POSITIVES, REPLICATES, DetectorFigures, Estimate
from .figures import PRECISIONS, PairFigures
from .methods import HASH_BITS
from .pair_counts import Point
from .retrieval import RANKS
from .summary import Summary


def print_evaluation(summary: Summary) -> None:
    """Print the tables of an evaluation, the threshold that it recommends, and where it is."""
    click.echo(
        f"{summary.clip_id} on {summary.n_pictures:,} {summary.pictures}, seed {summary.seed}; "
        f"loaded in {summary.load_seconds:.2f} s, {summary.images_per_second:.0f} images a second"
    )
    for note in summary.notes:
        click.echo(f"note: {note}")
    _print_retrieval(summary)
    _print_pairs(summary)
    _print_thresholds(summary)
    _print_kinds(summary)
    click.echo("")
    for pairs, found in summary.recommended.items():
        said = f"{found.threshold} ({found.reason})" if found else "none, 0.99 is out of reach"
        click.echo(f"recommended by {pairs}: {said}")


def _print_retrieval(summary: Summary) -> None:
    click.echo("\nCaptions and images; the same caption twice is a hit for both, ties are none")
    cells = {
        direction: [direction, *(_share(row.recall) for row in rows)]
        for direction in ("text to image", "image to text")
        if (rows := [row for row in summary.retrieval if row.direction == direction])
    }
    chance = [_share(row.chance) for row in summary.retrieval[: len(RANKS)]]
    columns = ["", *(f"recall@{k}" for k in RANKS)]
    print_table(columns, [*cells.values(), ["by chance", *chance]])


def _print_pairs(summary: Summary) -> None:
    click.echo(
        "\nNear-duplicate pairs; with ten times the images there are ten times the false pairs to "
        "each true one"
    )
    columns = ["pairs", "method", "true", "of pairs", "nearest"]
    for precision in PRECISIONS:
        columns += [f"recall at {precision}", "from", "false/million"]
    rows = [
        [
            one.pairs,
            one.method,
            f"{one.n_true:,}",
            f"{one.n_pairs:,}",
            "" if one.nearest is None else _share(one.nearest),
            *(cell for p in one.at_precision.values() for cell in _cells(p, one, summary)),
        ]
        for one in summary.measured.figures
    ]
    print_table(columns, rows)
    for one in summary.measured.figures:
        if one.method == summary.clip_id and one.by_set and len(one.by_set) > 1:
            alone = " ".join("never" if share is None else _share(share) for share in one.by_set)
            click.echo(f"{one.pairs}: by one copy of each image alone, recall at 0.99: {alone}")


def _cells(point: Point | None, figures: PairFigures, summary: Summary) -> list[str]:
    if point is None:
        return ["never", "", ""]
    start = f"{point.threshold:.4f}"
    if figures.method in summary.hashes:
        start = f"{int((1 - point.threshold) * HASH_BITS / 2)} bits"  # that may differ
    return [_share(point.recall), start, f"{point.false_per_million:.1f}"]


def _print_thresholds(summary: Summary) -> None:
    click.echo(f"\n{summary.clip_id} at thresholds")
    rows = [
        [
            figures.pairs,
            f"{point.threshold:.2f}",
            _share(point.recall),
            "" if point.precision is None else f"{point.precision:.4f}",
            f"{point.false_per_million:.1f}",
        ]
        for figures in summary.measured.figures
        if figures.method == summary.clip_id
        for point in figures.at_threshold
    ]
    print_table(["pairs", "cosine", "recall", "precision", "false/million"], rows)


def _print_kinds(summary: Summary) -> None:
    click.echo("\nRecall of one change alone, from the threshold of precision 0.99")
    rows = [
        [figures.pairs, figures.method, *(_share(figures.kinds[kind]) for kind in KINDS)]
        for figures in summary.measured.figures
        if figures.kinds is not None
    ]
    print_table(["pairs", "method", *KINDS], rows)


def _share(value: float) -> str:
    return f"{value:.3f}"


def print_detectors(figures: list[DetectorFigures]) -> None:
    """Print what detectors are worth, for each generator."""
    click.echo(
        f"A prompt replicates where at least {REPLICATES:.0%} of its images are copies; what has "
        "no score suspects nothing; intervals are 95 %, over clusters"
    )
    at = f"found at {FALSE_POSITIVES:.0%} false"
    columns = ["generator", "detector", "of", "number", "true", "with a score", "AUC", at]
    rows = [
        [
            *(one.generator_id, one.detector, one.what),
            *(f"{n:,}" for n in (one.n, one.n_positive, one.n_scored)),
            *(_estimate(value) for value in (one.auc, one.true_positives)),
        ]
        for one in sorted(figures, key=lambda one: (one.generator_id, one.what, -_value(one.auc)))
    ]
    print_table(columns, rows)


def _value(found: Estimate | None) -> float:
    return 0.0 if found is None else found.value


def _estimate(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"
