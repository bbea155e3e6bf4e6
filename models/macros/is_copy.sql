{#- Whether a score is that of a copy: a cosine from its threshold on, a distance up to it; null without one.
    Where there is no dbt, DuckDB has it by database.dbt_macro; for arrays it is replication.background.is_copy. -#}
{% macro is_copy(score, threshold, is_distance) -%}
    if({{ is_distance }}, {{ score }} <= {{ threshold }}, {{ score }} >= {{ threshold }})
{%- endmacro %}
