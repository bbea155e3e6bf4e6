-- The samples that match $keyword_set, sorted. $matches: the parquet file of keyword matches.
select sample_id from read_parquet($matches) where keyword_set = $keyword_set order by sample_id;
