{#- A relation without its database name: what persists (a table function) must bind in whatever
    database the published file is opened or attached as. -#}
{% macro ref() %}
    {%- do return(builtins.ref(*varargs, **kwargs).include(database=false)) -%}
{% endmacro %}
