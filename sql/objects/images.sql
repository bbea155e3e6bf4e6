-- The images that objects are looked for in. One row a population, keyword set and image: train, at most
-- $n of each of $keyword_sets, those of the smallest sample_ids; and generated, those of every prompt
-- that says the keyword. row_offset is the place in the Lance table that `stored_in` names.
-- is_first: of the images of a set that are nearly identical at $threshold, the first; discovery counts
-- only these, for an image that comes a hundred times shows everything in it a hundred times.
-- $samples, $keyword_matches: parquet files. Relations stored_images (sample_id, _rowoffset),
-- stored_generations (image_id, generator_id, prompt_id, seed, _rowoffset), asking_prompts (prompt_id,
-- keyword_set, family, text), cluster_members (threshold, sample_id, cluster_id).
create or replace temp table object_images as
with train as (
    select
        matches.keyword_set,
        samples.sample_id,
        samples.caption_decoded,
        stored_images._rowoffset::bigint as row_offset
    from read_parquet($keyword_matches) as matches
    join read_parquet($samples) as samples using (sample_id)
    join stored_images using (sample_id)
    where list_contains($keyword_sets, matches.keyword_set)
    qualify row_number() over (partition by matches.keyword_set order by sample_id) <= $n
)
select
    'train' as population,
    train.keyword_set,
    null::varchar as generator_id,
    null::varchar as prompt_id,
    null::varchar as family,
    train.sample_id as image_id,
    train.caption_decoded as text,
    'images' as stored_in,
    train.row_offset,
    row_number() over (
        partition by train.keyword_set, coalesce(members.cluster_id, train.sample_id)
        order by train.sample_id
    ) = 1 as is_first
from train
left join cluster_members as members
    on members.sample_id = train.sample_id and members.threshold = $threshold
union all
select
    'generated',
    prompts.keyword_set,
    stored.generator_id,
    stored.prompt_id,
    prompts.family,
    stored.image_id,
    prompts.text,
    'generated_images',
    stored._rowoffset::bigint,
    true
from stored_generations as stored
join asking_prompts as prompts using (prompt_id)
where list_contains($keyword_sets, prompts.keyword_set)
union all
-- What says no keyword of a set, and has an image here or there.
select
    'background',
    null,
    null,
    null,
    null,
    background.sample_id,
    background.text,
    if(stored_images.sample_id is null, 'background_images', 'images'),
    coalesce(stored_images._rowoffset, stored_background._rowoffset)::bigint,
    true
from object_background as background
left join stored_images using (sample_id)
left join stored_background using (sample_id)
anti join (
    select sample_id
    from read_parquet($keyword_matches)
    where not list_contains($everything, keyword_set)
) as matched
    using (sample_id)
where coalesce(stored_images.sample_id, stored_background.sample_id) is not null;
