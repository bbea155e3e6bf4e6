-- The example queries, one a row, from two lists of the same length.
select unnest($names) as name, unnest($answers) as answers;
