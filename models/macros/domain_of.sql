{#- The host of an address, lower-cased; null for a path or a missing address. -#}
{% macro domain_of(url) -%}
    nullif(
        lower(regexp_extract(
            {{ url }}, '^\s*[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/:?#\s]*)', 1
        )),
        ''
    )
{%- endmacro %}
