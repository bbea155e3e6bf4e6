-- The CLIP tokens of a caption, begin and end included; null where they need not be counted: a token
-- is at least one byte of an ASCII caption without entities, so most captions cannot pass the limit.
-- Needs the function clip_tokens.
create or replace temp macro clip_tokens_if_long(caption, max_clip_tokens) as
    case
        when strlen(caption) <= max_clip_tokens - 2
            and strlen(caption) = length(caption)
            and not contains(caption, '&')
            then null
        else clip_tokens(caption)
    end;
