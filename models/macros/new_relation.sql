{#- Tables and views of a database in which nothing was before: created under their names. dbt's own
    look for one to replace, and build beside it: twice as many statements. -#}

{% materialization table, adapter="duckdb", supported_languages=["sql"] %}
    {%- set relation = this.incorporate(type="table") -%}
    {% call statement("main") -%}
        {{ create_table_as(False, relation, compiled_code) }}
    {%- endcall %}
    {% do persist_docs(relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({"relations": [relation]}) }}
{% endmaterialization %}

{#- Without descriptions: only staging models are views, and these are dropped when all is built. -#}
{% materialization view, adapter="duckdb", supported_languages=["sql"] %}
    {%- set relation = this.incorporate(type="view") -%}
    {% call statement("main") -%}
        {{ create_view_as(relation, compiled_code) }}
    {%- endcall %}
    {{ adapter.commit() }}
    {{ return({"relations": [relation]}) }}
{% endmaterialization %}
