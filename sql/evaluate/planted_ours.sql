-- What our own detectors said in the bundled study, one row a generator, prompt and detector. $results:
-- their detectors.parquet.
select generator_id, prompt_id, detector, score
from read_parquet($results)
order by all;
