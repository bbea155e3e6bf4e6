"""Every table of the lake, declared once: where it lies, which stage writes it, its typed columns.

`Lake` takes its paths from here, `build` what dbt reads, a stage what it has recorded and the
schema that it writes, Dagster who writes what. A description and tests stand in dbt's `.yml` files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_COMMA = re.compile(r", (?![^(]*\))")  # between columns, not inside a type
EXPORTS = "exports"  # the folder of what `build` takes out of Lance tables and other places


@dataclass(frozen=True)
class LakeTable:
    """One table of the lake.

    `stage` is who writes it: the file `<folder>/<name>.parquet`, or where the folder is `EXPORTS`
    the Lance table or the decisions that `build` makes the file of. Without a folder there is no
    file: `build` itself fills the table.
    """

    name: str
    folder: str | None
    stage: str
    grain: str
    columns: dict[str, str]
    """Each column's type, as DuckDB names it."""
    is_recorded: bool = True
    """Whether the stage is stale without it, or where its stamp is not that of the others."""

    @property
    def schema(self) -> "pa.Schema":
        """The same columns with Arrow's types, in this order."""
        import pyarrow as pa

        return pa.schema([(name, _arrow_type(kind)) for name, kind in self.columns.items()])


def _arrow_type(kind: str) -> "pa.DataType":
    import pyarrow as pa

    if kind.endswith("[]"):
        return pa.list_(_arrow_type(kind.removesuffix("[]")))
    return {
        "varchar": pa.string(),
        "boolean": pa.bool_(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("us"),  # in UTC, every one of them
        "map(varchar, varchar)": pa.map_(pa.string(), pa.string()),
    }[kind]


def _table(path: str, stage: str, grain: str, columns: str, is_recorded: bool = True) -> LakeTable:
    """A table at `folder/name`, its columns written as `create table` takes them."""
    folder, _, name = path.rpartition("/")
    pairs = (column.partition(" ") for column in _COMMA.split(columns))
    typed = {column: kind for column, _, kind in pairs}
    return LakeTable(name, folder or None, stage, grain, typed, is_recorded)


_TABLES = (
    _table(
        "samples/samples",
        "filter",
        "matched sample",
        "sample_id varchar, url varchar, caption varchar, width integer, height integer, "
        "license varchar, nsfw varchar, similarity double, n_rows bigint, "
        "caption_decoded varchar, clip_tokens integer, words varchar[], status varchar, "
        "status_reason varchar, source_file varchar, source_row bigint, source_id varchar",
    ),
    _table(
        "samples/sample_rows",
        "filter",
        "source row of a matched sample",
        "sample_id varchar, source_file varchar, source_row bigint, source_id varchar",
        is_recorded=False,  # a lake of 0.1 has none, and is not stale for it
    ),
    _table(
        "samples/source_files",
        "filter",
        "file of rows of the study, or folder of pictures",
        "source_file varchar, n_rows bigint, shape varchar, format varchar, status varchar, "
        "status_reason varchar",
    ),
    _table(
        "keyword_matches/keyword_sets",
        "filter",
        "keyword set of the study",
        "keyword_set varchar, include varchar[], any_of varchar[], exclude varchar[], "
        "parent_keyword_set varchar, n_samples bigint",
    ),
    _table(
        "word_sets/follow_up_sets",
        "cluster",
        "word set that became a keyword set",
        "keyword_set varchar, include varchar[], parent varchar",
        is_recorded=False,
    ),
    _table(
        "keyword_matches/keyword_matches",
        "filter",
        "keyword set and sample",
        "keyword_set varchar, sample_id varchar",
    ),
    _table(
        "rejected/rejected_rows",
        "filter",
        "source row and broken rule",
        "source_file varchar, source_row bigint, caption_number bigint, rule varchar, "
        "observed_value varchar, "
        "url varchar, caption varchar",
    ),
    _table(
        "words/words",
        "words",
        "word of the whole corpus",
        "word varchar, n_captions bigint, n_occurrences bigint, is_stop_word boolean, "
        "share_of_captions double",
    ),
    _table(
        "words/bigrams",
        "words",
        "pair of adjacent words of the corpus",
        "word varchar, next_word varchar, n_captions bigint, n_occurrences bigint",
    ),
    _table(
        "exports/images",
        "fetch",
        "sample that was fetched, or failed to be",
        "sample_id varchar, status varchar, status_reason varchar, width integer, "
        "height integer, original_width integer, original_height integer, n_bytes bigint, "
        "sha256 varchar, perceptual_hash varchar, colour_stddev double, "
        "fetched_at timestamp",
    ),
    _table(
        "exports/image_vectors",
        "embed",
        "sample that the study's CLIP model was shown",
        "sample_id varchar, status varchar, clip_id varchar",
    ),
    _table(
        "exports/previous_samples",
        "build",
        "sample of the build before",
        "sample_id varchar, n_rows bigint",
    ),
    _table(
        "exports/previous_cluster_members",
        "build",
        "threshold and clustered sample of the build before; and threshold",
        "threshold double, sample_id varchar, cluster_id varchar",
    ),
    _table(
        "clusters/near_duplicates",
        "cluster",
        "edge of the maximum spanning forest",
        "sample_id varchar, other_sample_id varchar, cosine double",
    ),
    _table(
        "clusters/clusters",
        "cluster",
        "threshold and cluster",
        "threshold double, cluster_id varchar, n_samples bigint, medoid_sample_id varchar, "
        "cosine_to_medoid_mean double, cosine_to_medoid_min double, n_captions_distinct bigint, "
        "n_urls_distinct bigint, n_domains_distinct bigint, n_samples_largest_piece bigint, "
        "is_placeholder boolean, is_blank boolean, excluded_reason varchar",
    ),
    _table(
        "clusters/cluster_members",
        "cluster",
        "threshold and embedded sample",
        "threshold double, sample_id varchar, cluster_id varchar, "
        "representative_sample_id varchar, cosine_to_medoid double",
    ),
    _table(
        "clusters/cluster_thresholds",
        "cluster",
        "threshold from the floor up",
        "threshold double, is_computed boolean, n_clusters bigint, n_samples_clustered bigint, "
        "n_samples_largest bigint, share_clustered double, share_largest double, "
        "is_suggested boolean, reason varchar",
    ),
    _table(
        "word_sets/word_sets",
        "cluster",
        "keyword set, threshold, cluster and word set",
        "keyword_set varchar, threshold double, cluster_id varchar, words varchar[], "
        "n_samples bigint, n_embedded bigint, n_in_cluster bigint, n_in_clusters bigint, "
        "share_in_cluster double, concentration double, lift double, ci_low double, "
        "ci_high double, ci_honest_low double, ci_honest_high double, q_value double, "
        "trigger_score double",
    ),
    _table(
        "prompts/prompts",
        "prompts",
        "prompt",
        "prompt_id varchar, keyword_set varchar, threshold double, cluster_id varchar, "
        "family varchar, prompt varchar, source varchar, clip_tokens integer, status varchar, "
        "status_reason varchar, caption_similarity double, nearest_sample_id varchar",
    ),
    _table(
        "generators/generators",
        "generate",
        "text-to-image model with its settings",
        "generator_id varchar, model varchar, revision varchar, weights_hash varchar, "
        "lora varchar, scheduler varchar, steps integer, guidance_scale double, width integer, "
        "height integer, dtype varchar",
        is_recorded=False,
    ),
    _table(
        "exports/generations",
        "generate",
        "generator, prompt and seed",
        "generator_id varchar, prompt_id varchar, seed bigint, status varchar, "
        "image_id varchar, width integer, height integer, generated_at timestamp",
    ),
    _table(
        "prompts/replication_thresholds",
        "prompts",
        "prompted cluster, metric and reference",
        "keyword_set varchar, threshold double, cluster_id varchar, metric varchar, "
        "reference varchar, replication_threshold double, is_distance boolean, method varchar, "
        "reason varchar, n_non_copies bigint, bands double[]",
    ),
    _table(
        "exports/decided_thresholds",
        "explore",
        "prompted cluster, metric and reference whose replication threshold a person set",
        "keyword_set varchar, threshold double, cluster_id varchar, metric varchar, "
        "reference varchar, replication_threshold double, is_distance boolean, method varchar, "
        "reason varchar, n_non_copies bigint, bands double[]",
    ),
    _table(
        "decisions/cluster_marks",
        "explore",
        "cluster that a person marked",
        "threshold double, sample_id varchar, mark varchar, decided_at timestamp",
    ),
    _table(
        "scores/replication_scores",
        "score",
        "generation, metric and reference",
        "generator_id varchar, prompt_id varchar, seed bigint, metric varchar, "
        "reference varchar, score double, matched_sample_id varchar, "
        "matched_cluster_id varchar, model varchar, preprocessing varchar",
    ),
    _table(
        "scores/background",
        "score",
        "generator, prompted cluster, metric and reference",
        "generator_id varchar, keyword_set varchar, threshold double, cluster_id varchar, "
        "metric varchar, reference varchar, n_background bigint, background_rate double",
    ),
    _table(
        "scores/replication_by_family",
        "score",
        "generator, keyword set, metric, reference and family of prompts",
        "generator_id varchar, keyword_set varchar, metric varchar, reference varchar, "
        "family varchar, n_clusters bigint, n_prompts bigint, n_generations bigint, "
        "replication_rate double, ci_low double, ci_high double, difference double, "
        "difference_ci_low double, difference_ci_high double, n_pairs bigint, p_value double",
    ),
    _table(
        "scores/prompt_scores",
        "score",
        "generator, prompt and detector",
        "generator_id varchar, prompt_id varchar, detector varchar, score double, "
        "upper_bound double, settings varchar",
    ),
    _table(
        "objects/object_detections",
        "objects",
        "detector, object of the study and image",
        "detector_id varchar, object varchar, population varchar, image_id varchar, "
        "is_named boolean, score double, shows boolean, box float[]",
    ),
    _table(
        "objects/object_detectors",
        "objects",
        "detector, object of the study and population",
        "detector_id varchar, object varchar, population varchar, threshold double, "
        "method varchar, n_labelled_with bigint, n_labelled_without bigint, sensitivity double, "
        "specificity double, precision double",
    ),
    _table(
        "objects/object_rates",
        "objects",
        "keyword set, object, detector, population, generator, family and prompt",
        "keyword_set varchar, object varchar, detector_id varchar, population varchar, "
        "generator_id varchar, family varchar, prompt_id varchar, n bigint, "
        "n_with_object bigint, rate double, ci_low double, ci_high double, "
        "corrected_rate double, corrected_ci_low double, corrected_ci_high double, "
        "amplification double, amplification_ci_low double, amplification_ci_high double",
    ),
    _table(
        "objects/object_candidates",
        "objects",
        "keyword set and object of the vocabulary",
        "keyword_set varchar, object varchar, detector_id varchar, candidate_rank integer, "
        "n bigint, n_with_object bigint, rate double, n_background bigint, "
        "background_rate double, lift double, ci_low double, ci_high double, q_value double",
    ),
    _table(
        "runs",
        "build",
        "run of a stage",
        "run_id varchar, stage varchar, started_at varchar, study_hash varchar, "
        "finished_at varchar, status varchar, error varchar, n_in bigint, n_out bigint, "
        "n_lost bigint, lost map(varchar, bigint), n_asked bigint, n_missing bigint, "
        "missing map(varchar, bigint), versions map(varchar, varchar)",
    ),
    _table(
        "build_info",
        "build",
        "this build",
        "build varchar, built_at timestamp, stamp varchar, memtriggers_version varchar, "
        "duckdb_version varchar, dbt_duckdb_version varchar, previous_build varchar",
    ),
    _table(
        "risk_fits",
        "build",
        "the fit behind replication_risk, if the study states exposures",
        "risk_fit varchar, views double, coefficients double[], covariance double[][], "
        "typical_contrast double",
    ),
    _table(
        "trigger_validation",
        "build",
        "planted group, kind of prompt and guidance scale that the fit was made on",
        "group_id varchar, kind varchar, prompt_kind varchar, guidance_scale double, "
        "n_captions bigint, n_copies bigint, exposures double, contrast double, split varchar, "
        "n_generations bigint, n_replicated bigint",
    ),
    _table(
        "keyword_set_thresholds",
        "build",
        "keyword set that names its threshold in the study",
        "keyword_set varchar, threshold double",
    ),
)


TABLES = {table.name: table for table in _TABLES}


def tables_of(stage: str) -> Iterator[LakeTable]:
    """The tables that a stage writes."""
    return (table for table in _TABLES if table.stage == stage)
