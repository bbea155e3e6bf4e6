-- How many source rows of what is kept or removed ($action) the tables do not have. Tables chosen, chosen_rows.
select
    (select coalesce(sum(n_rows), 0)::bigint from chosen where action = $action)
    - (select count(*) from chosen_rows) as n_missing;
