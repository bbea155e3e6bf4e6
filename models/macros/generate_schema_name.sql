{#- The schema that a model names, as it is; dbt's own would make `main_staging` of `staging`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
