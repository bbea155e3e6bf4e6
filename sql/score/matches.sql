-- Which sample belongs to which keyword set. $keyword_matches: a parquet file.
select keyword_set, sample_id from read_parquet($keyword_matches);
