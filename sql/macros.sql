-- The rules of text and identity, once for every query. Needs the function unescape_html.

-- A caption with HTML entities and tags decoded; most captions have neither and stay as they are.
create or replace temp macro decoded(caption) as
    case
        when contains(caption, '&') or contains(caption, '<')
            then regexp_replace(unescape_html(caption), '</?[a-zA-Z][^<>]*>', ' ', 'g')
        else caption
    end;

-- NFC, ’ as ', lower-cased character by character. ASCII is in NFC and has no ’.
create or replace temp macro folded(decoded_caption) as
    case
        when strlen(decoded_caption) = length(decoded_caption) then lower(decoded_caption)
        else lower(nfc_normalize(replace(decoded_caption, '’', '''')))
    end;

-- The tokens of a caption, one space before, between and after them, so that consecutive tokens
-- are found with contains(). \p{M} keeps Hindi, Hebrew and Thai words whole.
create or replace temp macro token_text(decoded_caption) as
    ' ' || trim(regexp_replace(folded(decoded_caption), '[^\p{L}\p{M}\p{N}]+', ' ', 'g')) || ' ';

-- True for every caption that says a needle, and for few others. See needle_patterns.sql.
create or replace temp macro may_say(caption, in_any_case, in_folded) as
    regexp_matches(caption, in_any_case)
    or (
        in_folded::varchar is not null
        and strlen(caption) != length(caption)
        and regexp_matches(folded(caption), in_folded)
    );

-- The words of a folded caption with their final 's.
create or replace temp macro joined_tokens(folded_caption) as
    regexp_extract_all(folded_caption, '[\p{L}\p{M}\p{N}]+(?:[-''][\p{L}\p{M}\p{N}]+)*');

-- The words of a caption in order: tokens joined by an inner hyphen or apostrophe, a final 's removed.
create or replace temp macro words_of(decoded_caption) as
    case
        when contains(folded(decoded_caption), '''s') then list_transform(
            joined_tokens(folded(decoded_caption)), lambda word: regexp_replace(word, '''s$', '')
        )
        else joined_tokens(folded(decoded_caption))
    end;

-- What identifies a row everywhere: its url (or what stands in for it) and its raw caption.
create or replace temp macro sample_id_of(url, caption, source_id) as
    md5(coalesce(nullif(url, ''), source_id, '') || chr(31) || coalesce(caption, ''));
