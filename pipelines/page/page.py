"""The report's page: its answers, read from the published database, and their HTML."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from ..stamp import Stamp
from ..study import Study
from .answers import Answer, ask, percent, shown
from .charts import BarChart, LineChart, bar_chart, line_chart
from .html import render_template

if TYPE_CHECKING:
    from ..images.thumbnails import Thumbnail

N_WORDS = 5  # of a cluster, as in the paper's Table 1
N_IMAGES = 8  # of a cluster
N_SIZES = 30  # clusters of a keyword set, as in the paper's figures 1 and 2
N_WORD_SETS = 8  # of a keyword set
N_GENERATIONS = 2  # of a prompt, in each band


@dataclass(frozen=True)
class Page:
    """Everything that the report says."""

    threshold: float
    min_cluster_size: int
    scanned: Answer
    keyword_sets: Answer
    findings: Answer
    funnel: Answer
    rejected_rows: Answer
    clusters: dict[str, tuple[Answer, Answer]]
    """By keyword set of the study: its clusters, and the images of them."""
    sizes: Answer
    thresholds: Answer
    threshold_curve: Answer
    word_sets: Answer
    concentration: Answer
    replication: Answer
    generations: Answer
    dose_response: Answer
    calibration: Answer
    planted_rates: Answer
    removal_list: Answer
    runs: Answer

    @property
    def sample_ids(self) -> list[str]:
        """Every sample whose image is shown, each once."""
        answers = [images for _, images in self.clusters.values()]
        shown = [row["sample_id"] for answer in answers for row in answer.rows]
        originals = [row["medoid_sample_id"] for row in self.replication.rows]
        return list(dict.fromkeys((*shown, *originals)))

    @property
    def image_ids(self) -> list[str]:
        """Every generated image that is shown: those of the prompts in the table."""
        prompts = {(row["generator_id"], row["prompt_id"]) for row in self.replication.rows}
        return [
            row["image_id"]
            for row in self.generations.rows
            if (row["generator_id"], row["prompt_id"]) in prompts
        ]


def read_page(connection: duckdb.DuckDBPyConnection, study: Study, threshold: float) -> Page:
    """Ask the published database everything that the report says.

    Each keyword set is shown at its own threshold, and what concerns no set at `threshold`.
    """
    keyword_sets = ask(connection, "keyword_sets")
    chosen_at = {
        row["keyword_set"]: row["threshold"] for row in keyword_sets.of("is_follow_up", False)
    }
    chosen: dict[str, object] = {
        "threshold": threshold,
        "min_cluster_size": study.cluster.min_cluster_size,
    }
    clusters_shown: dict[str, object] = {"n_clusters": study.report.clusters}
    return Page(
        threshold=threshold,
        min_cluster_size=study.cluster.min_cluster_size,
        scanned=ask(connection, "scanned"),
        keyword_sets=keyword_sets,
        findings=ask(connection, "findings", chosen),
        funnel=ask(connection, "funnel"),
        rejected_rows=ask(connection, "rejected_rows"),
        clusters=_read_clusters(connection, chosen_at, chosen | clusters_shown),
        sizes=ask(connection, "sizes", chosen | {"n_clusters": N_SIZES}),
        thresholds=ask(connection, "thresholds", chosen),
        threshold_curve=ask(connection, "threshold_curve"),
        word_sets=ask(connection, "word_sets", chosen | {"n_word_sets": N_WORD_SETS}),
        concentration=ask(connection, "concentration", clusters_shown),
        replication=ask(connection, "replication", clusters_shown),
        generations=ask(connection, "generations", {"n_images": N_GENERATIONS}),
        dose_response=ask(connection, "dose_response"),
        calibration=ask(connection, "calibration"),
        planted_rates=ask(connection, "planted_rates"),
        removal_list=ask(connection, "removal_list"),
        runs=ask(connection, "runs"),
    )


def _read_clusters(
    connection: duckdb.DuckDBPyConnection,
    chosen_at: dict[str, float],
    chosen: dict[str, object],
) -> dict[str, tuple[Answer, Answer]]:
    answers = {}
    for number, (name, threshold) in enumerate(chosen_at.items(), 1):
        of_set: dict[str, object] = {"keyword_set": name, "threshold": threshold}
        values = chosen | of_set | {"n_words": N_WORDS, "n_images": N_IMAGES}
        answers[name] = (
            ask(connection, "clusters", values, number),
            ask(connection, "cluster_images", values, number),
        )
    return answers


def render(page: Page, thumbnails: "dict[str, Thumbnail]", stamp: Stamp) -> str:
    """The page as one HTML document that needs nothing beside it.

    Args:
        page: what to say.
        thumbnails: the pictures by sample_id and image_id; what has none shows as an empty frame.
        stamp: goes into the head, where `report.recorded` finds it.

    """
    filters = {
        "shown": shown,
        "percent": percent,
        "bar_chart": _size_chart,
        "curve_chart": _curve_chart,
        "dose_chart": _dose_chart,
    }
    numbers = {thumbnail: n for n, thumbnail in enumerate(dict.fromkeys(thumbnails.values()), 1)}
    pictures = {sample_id: numbers[thumbnail] for sample_id, thumbnail in thumbnails.items()}
    return render_template(
        "report.html.jinja", filters, page=page, stamp=stamp, thumbnails=numbers, pictures=pictures
    )


def _size_chart(sizes: list[int]) -> BarChart:
    return bar_chart(sizes, N_SIZES)


def _curve_chart(curve: list[dict[str, Any]]) -> LineChart:
    return line_chart(
        [row["threshold"] for row in curve],
        [row["share_clustered"] for row in curve],
        [row["share_largest"] for row in curve],
        marked=[row["threshold"] for row in curve if row["is_computed"]],
    )


def _dose_chart(doses: list[dict[str, Any]]) -> LineChart:
    """Along the share where it differs, and along the binary logarithm of the copies elsewhere."""
    is_share = len({row["share"] for row in doses}) > 1
    values = [row["share"] if is_share else math.log2(row["n_copies"]) for row in doses]
    return line_chart(
        values,
        [row["replication_rate"] for row in doses],
        [row["replication_risk"] for row in doses],
        marked=values,
    )
