"""The report's page: everything that it says, read from the published database."""

from dataclasses import dataclass
from typing import Any

import duckdb

from ..core.losses import loss_warnings
from ..core.study import Study
from .answers import Answer, ask

N_WORDS = 5  # of a cluster, as in the paper's Table 1
N_IMAGES = 8  # of a cluster
N_SIZES = 30  # clusters of a keyword set, as in the paper's figures 1 and 2
N_WORD_SETS = 8  # of a keyword set
N_GENERATIONS = 2  # of a prompt, in each band; one, where there are many prompts
MANY_PROMPTS = 300
N_OBJECT_IMAGES = 6  # that show an object, of a keyword set
N_CANDIDATES = 5  # objects of a keyword set
N_CHANGES = 20  # clusters that changed


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
    families: Answer
    object_rates: Answer
    object_images: Answer
    object_detectors: Answer
    object_candidates: Answer
    triggers: Answer
    dose_response: Answer
    calibration: Answer
    planted_rates: Answer
    changes: Answer
    changed_clusters: Answer
    removal_list: Answer
    runs: Answer
    losses: Answer
    warnings: list[str]
    """Of what was lost: see `core/losses.py`."""

    @property
    def sample_ids(self) -> list[str]:
        """Every sample whose image is shown, each once."""
        answers = [images for _, images in self.clusters.values()]
        shown = [row["sample_id"] for answer in answers for row in answer.rows]
        originals = [row["medoid_sample_id"] for row in self.replication.rows]
        return list(dict.fromkeys((*shown, *originals, *self._with_objects("train"))))

    @property
    def image_ids(self) -> list[str]:
        """Every generated image that is shown."""
        compared = [row["image_id"] for row in self.generations.rows]
        return list(dict.fromkeys((*compared, *self._with_objects("generated"))))

    def _with_objects(self, population: str) -> list[str]:
        return [row["image_id"] for row in self.object_images.of("population", population)]

    def of_prompt(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """The generations shown of a row of `replication`."""
        rows = self.generations.of("prompt_id", asked["prompt_id"])
        return [row for row in rows if row["generator_id"] == asked["generator_id"]]


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
    replication = ask(connection, "replication", clusters_shown)
    losses = ask(connection, "losses")
    n_images = N_GENERATIONS if len(replication.rows) <= MANY_PROMPTS else 1
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
        replication=replication,
        generations=ask(connection, "generations", clusters_shown | {"n_images": n_images}),
        families=ask(connection, "families"),
        object_rates=ask(connection, "object_rates"),
        object_images=ask(connection, "object_images", {"n_images": N_OBJECT_IMAGES}),
        object_detectors=ask(connection, "object_detectors"),
        object_candidates=ask(connection, "object_candidates", {"n_candidates": N_CANDIDATES}),
        triggers=ask(connection, "triggers"),
        dose_response=ask(connection, "dose_response"),
        calibration=ask(connection, "calibration"),
        planted_rates=ask(connection, "planted_rates"),
        changes=ask(connection, "changes"),
        changed_clusters=ask(connection, "changed_clusters", chosen | {"n_changes": N_CHANGES}),
        removal_list=ask(connection, "removal_list"),
        runs=ask(connection, "runs"),
        losses=losses,
        warnings=loss_warnings(study, losses.rows),
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
