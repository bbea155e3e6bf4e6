-- The CLIP tokens of a caption, begin and end included; null where it cannot have more than
-- $max_clip_tokens. Needs the function clip_tokens.
--
-- A token takes at least one byte of the cleaned caption and no blank. Cleaning makes a caption longer
-- only where it is not ASCII or has an entity: NFC makes at most three bytes of each, as lower case and
-- single ligatures do; mended mojibake has at most half of its bytes before NFC. Two bytes or more are
-- one character, so three times those that are not ASCII add at most
-- 4 × (strlen - length) to the bytes of the caption.
create or replace temp macro clip_tokens_if_long(caption, max_clip_tokens) as
    case
        when case when contains(caption, '&') then regexp_matches(caption, '&[#a-zA-Z]') else false end
            then clip_tokens(caption)
        -- most captions are so short that their blanks need not be left out
        when strlen(caption) + 4 * (strlen(caption) - length(caption)) <= max_clip_tokens - 2 then null
        when strlen(replace(caption, ' ', '')) + 4 * (strlen(caption) - length(caption))
            <= max_clip_tokens - 2
            then null
        else clip_tokens(caption)
    end;
