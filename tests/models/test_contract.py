"""The contract with SQL users: tables and columns that keep their names, whatever else is added."""

import duckdb
import pytest

CONTRACT = {
    "samples": "sample_id url caption width height license nsfw similarity n_rows caption_decoded "
    "clip_tokens status status_reason source_file source_row source_id",
    "sample_rows": "sample_id source_file source_row source_id",
    "source_files": "source_file n_rows shape format status status_reason",
    "rejected_rows": "source_file source_row rule observed_value url caption",
    "keyword_sets": "keyword_set include exclude parent_keyword_set n_samples",
    "keyword_matches": "keyword_set sample_id",
    "funnel": "keyword_set step step_order n_samples n_lost reason",
    "words": "word n_captions n_occurrences is_stop_word",
    "bigrams": "word next_word n_captions n_occurrences",
    "clusters": "threshold cluster_id n_samples n_captions_distinct n_urls_distinct "
    "n_domains_distinct medoid_sample_id cosine_to_medoid_mean cosine_to_medoid_min is_placeholder",
    "cluster_members": "threshold sample_id cluster_id representative_sample_id cosine_to_medoid",
    "keyword_clusters": "keyword_set threshold cluster_id cluster_rank n_samples share "
    "cumulative_share is_parent_cluster",
    "near_duplicates": "sample_id other_sample_id cosine",
    "cluster_words": "keyword_set threshold cluster_id word n_captions n_occurrences "
    "share_in_cluster share_in_corpus lift word_rank",
    "word_sets": "keyword_set threshold cluster_id words n_samples n_in_cluster share_in_cluster "
    "ci_low ci_high ci_honest_low ci_honest_high lift trigger_score replication_risk "
    "replication_risk_low replication_risk_high risk_fit",
    "risk_fits": "risk_fit views coefficients covariance",
    "prompts": "prompt_id keyword_set threshold cluster_id family prompt caption_similarity "
    "nearest_sample_id",
    "generators": "generator_id model revision weights_hash lora scheduler steps guidance_scale "
    "width height dtype",
    "generations": "generator_id prompt_id seed status image_id",
    "replication_scores": "generator_id prompt_id seed metric reference score matched_sample_id "
    "matched_cluster_id",
    "replication_thresholds": "threshold cluster_id metric reference replication_threshold method "
    "bands",
    "replication": "generator_id prompt_id metric reference replication_threshold n_generations "
    "n_replicated replication_rate ci_low ci_high background_rate band_counts",
    "replication_by_family": "generator_id keyword_set family n_prompts replication_rate ci_low "
    "ci_high",
    "prompt_scores": "generator_id prompt_id detector score",
    "object_detections": "detector_id object population image_id is_named score shows box",
    "object_detectors": "detector_id object population threshold method n_labelled_with "
    "n_labelled_without sensitivity specificity precision",
    "object_rates": "keyword_set object detector_id population generator_id family prompt_id n "
    "n_with_object rate ci_low ci_high corrected_rate corrected_ci_low corrected_ci_high "
    "amplification amplification_ci_low amplification_ci_high",
    "object_candidates": "keyword_set object detector_id candidate_rank n n_with_object rate "
    "n_background background_rate lift ci_low ci_high q_value",
    "trigger_validation": "group_id kind prompt_kind n_copies share exposures split "
    "replication_risk replication_rate n_generations",
    "removal_list": "threshold keep_rule sample_id action representative_sample_id reason",
    "cluster_marks": "threshold sample_id cluster_id mark n_samples decided_at",
    "changes": "kind id before after",
    "runs": "run_id stage started_at finished_at status n_in n_out versions study_hash",
}


@pytest.mark.parametrize("table", CONTRACT)
def test_a_table_has_its_columns_each_with_a_description(
    published: duckdb.DuckDBPyConnection, table: str
) -> None:
    described = dict(
        published.execute(
            "select column_name, comment from duckdb_columns() where table_name = ?", [table]
        ).fetchall()
    )
    assert set(CONTRACT[table].split()) <= described.keys()
    assert all(described.values()), table
