{#- Adds the columns of `[data] columns`, which no contract can know: a post-hook of the mart `samples`. -#}
{% macro carry_columns() -%}
    {%- if execute -%}
        {%- set ours = model.columns.keys() | list + ['filter_status', 'filter_reason'] -%}
        {%- set staged = ref('stg_samples') -%}
        {%- set described = run_query(
            "select column_name, column_type from (describe " ~ staged ~ ")"
        ) -%}
        {%- for name, kind in described.rows if name not in ours -%}
            {%- set column = '"' ~ name | replace('"', '""') ~ '"' -%}
            alter table {{ this }} add column {{ column }} {{ kind }};
            update {{ this }} set {{ column }} = staged.{{ column }}
            from {{ staged }} as staged
            where staged.sample_id = {{ this.identifier }}.sample_id;
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
