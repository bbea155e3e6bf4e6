{#- Whether a score is that of a copy: a cosine from its threshold on, a distance up to it; null without one. -#}
{% macro is_copy(score, threshold, is_distance) -%}
    if({{ is_distance }}, {{ score }} <= {{ threshold }}, {{ score }} >= {{ threshold }})
{%- endmacro %}
