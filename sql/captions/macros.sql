-- The rules of text and identity, once for every query. Needs the function unescape_html and the macro
-- plain_forms.

-- True for every caption with an HTML entity, and for few others. `and` would ask both of every caption.
create or replace temp macro may_have_entity(caption) as
    case when contains(caption, '&') then regexp_matches(caption, '&[#a-zA-Z]') else false end;

-- A caption with its HTML entities decoded twice: the most frequent one here, which costs no call, and
-- only what then still has one by the function.
create or replace temp macro without_entities(caption) as
    case
        when not contains(caption, '&') then caption
        when not may_have_entity(replace(caption, '&amp;', '&'))
            then replace(caption, '&amp;', '&')
        else unescape_html(caption)
    end;

-- A caption with HTML entities and tags decoded; most captions have neither and stay as they are.
create or replace temp macro decoded(caption) as
    case
        when contains(caption, '<') or contains(caption, '&')
            then regexp_replace(without_entities(caption), '</?[a-zA-Z][^<>]*>', ' ', 'g')
        else caption
    end;

-- Plain forms (models/macros/plain_forms.sql), NFC, ’ as ', lower-cased character by character. ASCII is in
-- NFC and has no ’. So are, in any order, the letters up to U+02FF, dashes and quotes, Cyrillic, kana,
-- ideographs and Hangul; to normalize them would cost ten times what it costs to see it.
create or replace temp macro folded(decoded_caption) as
    case
        when strlen(decoded_caption) = length(decoded_caption) then lower(decoded_caption)
        when regexp_matches(
            decoded_caption,
            '[^\x{0}-\x{AC}\x{AE}-\x{2FF}\x{400}-\x{482}\x{48A}-\x{52F}\x{2010}-\x{2027}\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{4E00}-\x{9FEF}\x{AC00}-\x{D7A3}]'
        )
            -- DuckDB's NFC ends at a NUL, which is between words like any other separator
            then lower(
                nfc_normalize(plain_forms(replace(replace(decoded_caption, '’', ''''), chr(0), ' ')))
            )
        else lower(replace(decoded_caption, '’', ''''))
    end;

-- The tokens of a caption, one space before, between and after them, so that consecutive tokens
-- are found with contains(). \p{M} keeps Hindi, Hebrew and Thai words whole. Spaces are left alone at
-- first, for each replacement costs more than the search, and most of what is between tokens is one.
create or replace temp macro token_text(decoded_caption) as
    list_transform(
        [' ' || regexp_replace(folded(decoded_caption), '[^\p{L}\p{M}\p{N} ]+', ' ', 'g') || ' '],
        lambda text:
            case when contains(text, '  ') then regexp_replace(text, '  +', ' ', 'g') else text end
    )[1];

-- A regular expression: an ASCII letter or digit in another form, or a soft hyphen.
create or replace temp macro ascii_forms() as
    '[\x{AD}\x{FB00}-\x{FB06}\x{FF10}-\x{FF19}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}]';

-- True for every caption that says a needle, and for few others. See filter/needle_patterns.sql. One search
-- finds those that say one and those that may in other forms: a second one on every caption would cost as much.
create or replace temp macro may_say(caption, in_any_case, in_folded) as
    case
        when regexp_matches(caption, in_any_case || '|' || ascii_forms())
            then regexp_matches(caption, in_any_case) or regexp_matches(folded(caption), in_any_case)
        else false
    end
    or (
        in_folded::varchar is not null
        and strlen(caption) != length(caption)
        and regexp_matches(folded(caption), in_folded)
    );

-- A folded caption with a space for whatever is in no word, hyphens and apostrophes aside.
create or replace temp macro separated(folded_caption) as
    regexp_replace(folded_caption, '[^\p{L}\p{M}\p{N} ''-]+', ' ', 'g');

-- The words of a separated caption in order, spaces between them: tokens joined by an inner hyphen or
-- apostrophe, a final 's removed. Only captions with a hyphen or an apostrophe pay for what these can be.
create or replace temp macro spaced_words(separated_caption) as
    case
        when contains(separated_caption, '-') or contains(separated_caption, '''')
            then replace(
                regexp_replace(
                    ' ' || separated_caption || ' ',
                    '[-'']+ [-'' ]*| +[-''][-'' ]*|[-''][-'']+',
                    ' ',
                    'g'
                ),
                '''s ',
                ' '
            )
        else separated_caption
    end;

-- The words of a caption as a list. To split at spaces is several times faster than to extract matches.
create or replace temp macro words_of(decoded_caption) as
    list_filter(
        string_split(
            list_transform(
                [separated(folded(decoded_caption))],
                lambda separated_caption: spaced_words(separated_caption)
            )[1],
            ' '
        ),
        lambda word: word != ''
    );

-- True where to look for each word among all words of its caption would cost their number squared, so
-- that they are sorted first. Most captions are shorter.
create or replace temp macro is_long(words) as len(words) > 200;

-- True for every caption that may have more CLIP tokens than that, begin and end included.
--
-- A token takes at least one byte of the cleaned caption and no space. Cleaning makes a caption longer
-- only where it is not ASCII or has an entity: NFC makes at most three bytes of each, as lower case and
-- single ligatures do; mended mojibake has at most half of its bytes before NFC. Two bytes or more are
-- one character, so three times those that are not ASCII add at most
-- 4 × (strlen - length) to the bytes of the caption.
create or replace temp macro may_be_long(caption, max_clip_tokens) as
    case
        when may_have_entity(caption) then true
        -- most captions are so short that their spaces need not be left out
        when strlen(caption) + 4 * (strlen(caption) - length(caption)) <= max_clip_tokens - 2 then false
        else strlen(replace(caption, ' ', '')) + 4 * (strlen(caption) - length(caption))
            > max_clip_tokens - 2
    end;

-- What identifies a row everywhere: its url (or what stands in for it) and its raw caption.
create or replace temp macro sample_id_of(url, caption, source_id) as
    md5(coalesce(nullif(url, ''), source_id, '') || chr(31) || coalesce(caption, ''));
