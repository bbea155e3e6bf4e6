-- The CLIP tokens of the samples that may have more than $max_clip_tokens, begin and end included: one
-- row a sample. Table distinct_samples; functions clean_clip_text and count_piece_tokens; $not_plain: what
-- cleaning may change, apart from ’ and entities.
--
-- No token spans a space, so a caption has the tokens of its pieces; and only the few distinct parts of
-- the distinct pieces meet the tokenizer. A piece that is not ASCII or holds a special token goes whole.
create or replace temp table clip_tokens as
with long_captions as materialized (
    select
        row_number() over () as caption_number,
        sample_id,
        case
            when regexp_matches(caption, $not_plain) then clean_clip_text(caption)
            when not contains(caption, '&') then lower(replace(caption, '’', ''''))
            -- by far the most frequent entity
            when not may_have_entity(replace(caption, '&amp;', '&'))
                then lower(replace(replace(caption, '&amp;', '&'), '’', ''''))
            else clean_clip_text(caption)
        end as text
    from distinct_samples
    where may_be_long(caption, $max_clip_tokens)
),
-- twice over the captions, for a row a piece would be several times as much to keep
said as not materialized (
    select caption_number, unnest(string_split(text, ' ')) as piece
    from long_captions
),
pieces as materialized (
    select row_number() over () as piece_number, piece
    from (select distinct piece from said where piece != '')
),
parts as materialized (
    select
        piece_number,
        unnest(
            case
                when regexp_matches(piece, '[^!-~]') or contains(piece, '_of_text>') then [piece]
                else regexp_extract_all(piece, '''s|''t|''re|''ve|''m|''ll|''d|[a-z]+|[0-9]|[^a-z0-9]+')
            end
        ) as part
    from pieces
),
counted_parts as (
    select part, count_piece_tokens(part) as n_tokens
    from (select distinct part from parts)
),
counted_pieces as (
    select piece, sum(n_tokens) as n_tokens
    from parts
    join counted_parts using (part)
    join pieces using (piece_number)
    group by piece
),
counted as (
    select caption_number, 2 + sum(n_tokens) as clip_tokens
    from said
    join counted_pieces using (piece)
    group by caption_number
)
select sample_id, coalesce(clip_tokens, 2)::integer as clip_tokens
from long_captions
left join counted using (caption_number);
