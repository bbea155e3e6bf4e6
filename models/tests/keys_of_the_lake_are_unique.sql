{#- No two rows of a table of the lake have the same key, which staging.yml names beside each table: it is a stage's
    fault, or a file's that somebody copied. One query: a node for each table would cost a build seconds. -#}
{% if execute %}
{% for table in graph.sources.values() %}
select '{{ table.name }}' as lake_table, to_json([{{ table.config.meta.key | join('::varchar, ') }}::varchar]) as key, count(*) as n_rows
from {{ table.relation_name }}
group by all
having count(*) > 1
{% if not loop.last %}union all{% endif %}
{% endfor %}
{% else %}
select 1 as n_rows where false
{% endif %}
