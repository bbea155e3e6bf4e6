{#- An address or a path without the white space around it. -#}
{% macro address_of(url) -%}
    trim({{ url }}, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13))
{%- endmacro %}
