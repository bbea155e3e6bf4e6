{#- persist_docs knows no table functions; a post-hook puts their description into the database. -#}
{% macro comment_on_function() -%}
    comment on macro table {{ this }} is {{ duckdb_escape_comment(model.description) }}
{%- endmacro %}
