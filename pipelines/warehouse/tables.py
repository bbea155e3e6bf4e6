"""The lake's tables that dbt reads: where each lies, and its typed columns, declared once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..lake import Lake


@dataclass(frozen=True)
class Table:
    """One parquet file of the lake; `columns` maps each name to its DuckDB type."""

    name: str
    path: Callable[[Lake], Path]
    columns: dict[str, str]


def _columns(text: str) -> dict[str, str]:
    """Names and types as `create table` takes them, none of which has a comma in itself."""
    pairs = (column.partition(" ") for column in text.split(", "))
    return {name: kind for name, _, kind in pairs}


_REPLICATION_THRESHOLDS = _columns(
    "keyword_set varchar, threshold double, cluster_id varchar, metric varchar, "
    "reference varchar, replication_threshold double, is_distance boolean, method varchar, "
    "reason varchar, n_non_copies bigint, bands double[]"
)

TABLES = (
    Table(
        "samples",
        lambda lake: lake.samples,
        _columns(
            "sample_id varchar, url varchar, caption varchar, width integer, height integer, "
            "license varchar, nsfw varchar, similarity double, n_rows bigint, "
            "caption_decoded varchar, clip_tokens integer, words varchar[], status varchar, "
            "status_reason varchar, source_file varchar, source_row bigint, source_id varchar"
        ),
    ),
    Table(
        "sample_rows",
        lambda lake: lake.sample_rows,
        _columns("sample_id varchar, source_file varchar, source_row bigint, source_id varchar"),
    ),
    Table(
        "source_files",
        lambda lake: lake.source_files,
        _columns("source_file varchar, n_rows bigint, shape varchar"),
    ),
    Table(
        "keyword_sets",
        lambda lake: lake.keyword_sets,
        _columns(
            "keyword_set varchar, include varchar[], any_of varchar[], exclude varchar[], "
            "parent_keyword_set varchar, n_samples bigint"
        ),
    ),
    Table(
        "follow_up_sets",
        lambda lake: lake.follow_up_sets,
        _columns("keyword_set varchar, include varchar[], parent varchar"),
    ),
    Table(
        "keyword_matches",
        lambda lake: lake.keyword_matches,
        _columns("keyword_set varchar, sample_id varchar"),
    ),
    Table(
        "rejected_rows",
        lambda lake: lake.rejected_rows,
        _columns(
            "source_file varchar, source_row bigint, rule varchar, observed_value varchar, "
            "url varchar, caption varchar"
        ),
    ),
    Table(
        "words",
        lambda lake: lake.words,
        _columns(
            "word varchar, n_captions bigint, n_occurrences bigint, is_stop_word boolean, "
            "share_of_captions double"
        ),
    ),
    Table(
        "bigrams",
        lambda lake: lake.bigrams,
        _columns("word varchar, next_word varchar, n_captions bigint, n_occurrences bigint"),
    ),
    Table(
        "images",
        lambda lake: lake.parquet("exports", "images"),
        _columns(
            "sample_id varchar, status varchar, status_reason varchar, width integer, "
            "height integer, original_width integer, original_height integer, n_bytes bigint, "
            "sha256 varchar, perceptual_hash varchar, colour_stddev double, "
            "fetched_at timestamp with time zone"
        ),
    ),
    Table(
        "image_vectors",
        lambda lake: lake.parquet("exports", "image_vectors"),
        _columns("sample_id varchar, status varchar, clip_id varchar"),
    ),
    Table(
        "previous_samples",
        lambda lake: lake.parquet("exports", "previous_samples"),
        _columns("sample_id varchar, n_rows bigint"),
    ),
    Table(
        "previous_cluster_members",
        lambda lake: lake.parquet("exports", "previous_cluster_members"),
        _columns("threshold double, sample_id varchar, cluster_id varchar"),
    ),
    Table(
        "near_duplicates",
        lambda lake: lake.near_duplicates,
        _columns("sample_id varchar, other_sample_id varchar, cosine double"),
    ),
    Table(
        "clusters",
        lambda lake: lake.clusters,
        _columns(
            "threshold double, cluster_id varchar, n_samples bigint, medoid_sample_id varchar, "
            "cosine_to_medoid_mean double, cosine_to_medoid_min double, "
            "n_captions_distinct bigint, n_urls_distinct bigint, n_domains_distinct bigint, "
            "n_samples_largest_piece bigint, is_placeholder boolean, is_blank boolean, "
            "excluded_reason varchar"
        ),
    ),
    Table(
        "cluster_members",
        lambda lake: lake.cluster_members,
        _columns(
            "threshold double, sample_id varchar, cluster_id varchar, "
            "representative_sample_id varchar, cosine_to_medoid double"
        ),
    ),
    Table(
        "cluster_thresholds",
        lambda lake: lake.cluster_thresholds,
        _columns(
            "threshold double, is_computed boolean, n_clusters bigint, n_samples_clustered bigint, "
            "n_samples_largest bigint, share_clustered double, share_largest double, "
            "is_suggested boolean, reason varchar"
        ),
    ),
    Table(
        "word_sets",
        lambda lake: lake.word_sets,
        _columns(
            "keyword_set varchar, threshold double, cluster_id varchar, words varchar[], "
            "n_samples bigint, n_embedded bigint, n_in_cluster bigint, n_in_clusters bigint, "
            "share_in_cluster double, concentration double, lift double, ci_low double, "
            "ci_high double, ci_honest_low double, ci_honest_high double, q_value double, "
            "trigger_score double"
        ),
    ),
    Table(
        "prompts",
        lambda lake: lake.prompts,
        _columns(
            "prompt_id varchar, keyword_set varchar, threshold double, cluster_id varchar, "
            "family varchar, prompt varchar, source varchar, clip_tokens integer, status varchar, "
            "status_reason varchar, caption_similarity double, nearest_sample_id varchar"
        ),
    ),
    Table(
        "generators",
        lambda lake: lake.generators,
        _columns(
            "generator_id varchar, model varchar, revision varchar, weights_hash varchar, "
            "lora varchar, scheduler varchar, steps integer, guidance_scale double, width integer, "
            "height integer, dtype varchar"
        ),
    ),
    Table(
        "generations",
        lambda lake: lake.parquet("exports", "generations"),
        _columns(
            "generator_id varchar, prompt_id varchar, seed bigint, status varchar, "
            "image_id varchar, width integer, height integer, generated_at timestamp with time zone"
        ),
    ),
    Table(
        "replication_thresholds",
        lambda lake: lake.replication_thresholds,
        _REPLICATION_THRESHOLDS,
    ),
    Table(
        "decided_thresholds",
        lambda lake: lake.parquet("exports", "decided_thresholds"),
        _REPLICATION_THRESHOLDS,
    ),
    Table(
        "cluster_marks",
        lambda lake: lake.parquet("decisions", "cluster_marks"),
        _columns("threshold double, sample_id varchar, mark varchar, decided_at timestamp"),
    ),
    Table(
        "replication_scores",
        lambda lake: lake.replication_scores,
        _columns(
            "generator_id varchar, prompt_id varchar, seed bigint, metric varchar, "
            "reference varchar, score double, matched_sample_id varchar, "
            "matched_cluster_id varchar, model varchar, preprocessing varchar"
        ),
    ),
    Table(
        "background",
        lambda lake: lake.background,
        _columns(
            "generator_id varchar, keyword_set varchar, threshold double, cluster_id varchar, "
            "metric varchar, reference varchar, n_background bigint, background_rate double"
        ),
    ),
    Table(
        "replication_by_family",
        lambda lake: lake.replication_by_family,
        _columns(
            "generator_id varchar, keyword_set varchar, metric varchar, reference varchar, "
            "family varchar, n_clusters bigint, n_prompts bigint, n_generations bigint, "
            "replication_rate double, ci_low double, ci_high double, difference double, "
            "difference_ci_low double, difference_ci_high double, n_pairs bigint, p_value double"
        ),
    ),
    Table(
        "prompt_scores",
        lambda lake: lake.prompt_scores,
        _columns(
            "generator_id varchar, prompt_id varchar, detector varchar, score double, "
            "upper_bound double, settings varchar"
        ),
    ),
    Table(
        "object_detections",
        lambda lake: lake.object_detections,
        _columns(
            "detector_id varchar, object varchar, population varchar, image_id varchar, "
            "is_named boolean, score double, shows boolean, box float[]"
        ),
    ),
    Table(
        "object_detectors",
        lambda lake: lake.object_detectors,
        _columns(
            "detector_id varchar, object varchar, population varchar, threshold double, "
            "method varchar, n_labelled_with bigint, n_labelled_without bigint, "
            "sensitivity double, specificity double, precision double"
        ),
    ),
    Table(
        "object_rates",
        lambda lake: lake.object_rates,
        _columns(
            "keyword_set varchar, object varchar, detector_id varchar, population varchar, "
            "generator_id varchar, family varchar, prompt_id varchar, n bigint, "
            "n_with_object bigint, rate double, ci_low double, ci_high double, "
            "corrected_rate double, corrected_ci_low double, corrected_ci_high double, "
            "amplification double, amplification_ci_low double, amplification_ci_high double"
        ),
    ),
    Table(
        "object_candidates",
        lambda lake: lake.object_candidates,
        _columns(
            "keyword_set varchar, object varchar, detector_id varchar, candidate_rank integer, "
            "n bigint, n_with_object bigint, rate double, n_background bigint, "
            "background_rate double, lift double, ci_low double, ci_high double, q_value double"
        ),
    ),
)

RUNS = {
    "run_id": "varchar",
    "stage": "varchar",
    "started_at": "varchar",
    "study_hash": "varchar",
    "finished_at": "varchar",
    "status": "varchar",
    "error": "varchar",
    "n_in": "bigint",
    "n_out": "bigint",
    "versions": "map(varchar, varchar)",
}
"""The columns of a file in `lake/runs/`."""

BUILD_INFO = {
    "build": "varchar",
    "built_at": "timestamp",
    "stamp": "varchar",
    "memtriggers_version": "varchar",
    "duckdb_version": "varchar",
    "dbt_duckdb_version": "varchar",
    "previous_build": "varchar",
}
"""The columns of the one row that `build` writes about itself."""

RISK_FITS = {
    "risk_fit": "varchar",
    "views": "double",
    "coefficients": "double[]",
    "covariance": "double[][]",
    "typical_contrast": "double",
}
"""The columns of the row that `build` writes where the study states the exposures."""

TRIGGER_VALIDATION = {
    "group_id": "varchar",
    "kind": "varchar",
    "prompt_kind": "varchar",
    "guidance_scale": "double",
    "n_captions": "bigint",
    "n_copies": "bigint",
    "exposures": "double",
    "contrast": "double",
    "split": "varchar",
    "n_generations": "bigint",
    "n_replicated": "bigint",
}
"""The columns of the rows that `build` reads where a fit says what it was fitted on."""

KEYWORD_SET_THRESHOLDS = {"keyword_set": "varchar", "threshold": "double"}
"""The columns of the rows that `build` writes, one a keyword set that names its threshold."""
