-- Every published table and table function, with what a row of it is.
select table_name as name, 'table' as kind, comment as description
from duckdb_tables()
where schema_name = 'main' and not internal
union all
select function_name || '(' || array_to_string(parameters, ', ') || ')', 'function', comment
from duckdb_functions()
where not internal and function_type = 'table_macro' and schema_name = 'main'
order by kind desc, name;
