{#- The columns of `[data] columns`, which no contract can know: a post-hook adds them to a mart that has
    the sample_id. -#}
{% macro carry_columns() -%}
    {%- if execute -%}
        {%- set ours = model.columns.keys() | list + ['filter_status', 'filter_reason'] -%}
        {%- set known = adapter.get_columns_in_relation(ref('stg_samples'))
            | map(attribute='name') | list -%}
        {%- for name in known if name not in ours -%}
            {%- set column = adapter.quote(name) -%}
            {%- set typed = run_query(
                "select typeof(" ~ column ~ ") from " ~ ref('stg_samples') ~ " limit 1"
            ) -%}
            {%- set kind = typed.columns[0].values()[0] if typed.columns[0].values() else 'varchar' -%}
            alter table {{ this }} add column {{ column }} {{ kind }};
            update {{ this }} set {{ column }} = staged.{{ column }}
            from {{ ref('stg_samples') }} as staged
            where staged.sample_id = {{ this.identifier }}.sample_id;
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
