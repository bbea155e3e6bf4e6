{#- What a row of the lake is, said once for every table: two rows with the same key are a stage's fault, or a
    file's that somebody copied. One query, because a node of its own for each would cost a build seconds. -#}
{% set keys = {
    'stg_background': ['generator_id', 'keyword_set', 'threshold', 'cluster_id', 'metric', 'reference'],
    'stg_bigrams': ['word', 'next_word'],
    'stg_build_info': ['build'],
    'stg_cluster_marks': ['threshold', 'sample_id'],
    'stg_cluster_members': ['threshold', 'sample_id'],
    'stg_cluster_thresholds': ['threshold'],
    'stg_clusters': ['threshold', 'cluster_id'],
    'stg_decided_thresholds': ['keyword_set', 'threshold', 'cluster_id', 'metric', 'reference'],
    'stg_follow_up_sets': ['keyword_set'],
    'stg_generations': ['generator_id', 'prompt_id', 'seed'],
    'stg_generators': ['generator_id'],
    'stg_image_vectors': ['sample_id'],
    'stg_images': ['sample_id'],
    'stg_keyword_matches': ['keyword_set', 'sample_id'],
    'stg_keyword_set_thresholds': ['keyword_set'],
    'stg_keyword_sets': ['keyword_set'],
    'stg_near_duplicates': ['sample_id', 'other_sample_id'],
    'stg_object_candidates': ['keyword_set', 'object', 'detector_id'],
    'stg_object_detections': ['detector_id', 'object', 'population', 'image_id'],
    'stg_object_detectors': ['detector_id', 'object', 'population'],
    'stg_object_rates': ['keyword_set', 'object', 'detector_id', 'population', 'generator_id', 'family', 'prompt_id'],
    'stg_previous_cluster_members': ['threshold', 'sample_id'],
    'stg_previous_samples': ['sample_id'],
    'stg_prompt_scores': ['generator_id', 'prompt_id', 'detector'],
    'stg_prompts': ['prompt_id'],
    'stg_rejected_rows': ['source_file', 'source_row', 'rule'],
    'stg_replication_by_family': ['generator_id', 'keyword_set', 'metric', 'reference', 'family'],
    'stg_replication_scores': ['generator_id', 'prompt_id', 'seed', 'metric', 'reference'],
    'stg_replication_thresholds': ['keyword_set', 'threshold', 'cluster_id', 'metric', 'reference'],
    'stg_risk_fits': ['risk_fit'],
    'stg_runs': ['run_id'],
    'stg_sample_rows': ['source_file', 'source_row'],
    'stg_samples': ['sample_id'],
    'stg_source_files': ['source_file'],
    'stg_trigger_validation': ['group_id', 'prompt_kind', 'guidance_scale'],
    'stg_word_sets': ['keyword_set', 'threshold', 'cluster_id', 'words'],
    'stg_words': ['word'],
} -%}
{% for name, columns in keys.items() %}
select '{{ name }}' as staging_model, to_json([{{ columns | join('::varchar, ') }}::varchar]) as key, count(*) as n_rows
from {{ ref(name) }}
group by all
having count(*) > 1
{% if not loop.last %}union all{% endif %}
{% endfor %}
