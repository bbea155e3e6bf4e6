-- Whether a score is that of a copy: a cosine from its threshold on, a distance up to it. The rule of the dbt
-- macro of this name.
create or replace temp macro is_copy(score, replication_threshold, is_distance) as
    if(is_distance, score <= replication_threshold, score >= replication_threshold);
