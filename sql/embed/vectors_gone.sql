-- The samples whose vector came from files that do not have it any more.
-- Tables vector_origins, noted_origins.
select sample_id from noted_origins anti join vector_origins using (sample_id);
