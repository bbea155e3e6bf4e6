-- Why a source row is dirty: a list of (rule, observed_value), empty for a clean row.
-- `addresses` is true when the url column must hold http(s) addresses, false when the study reads
-- local images. Bounds: similarity is a cosine; the largest honest LAION images stay below 20,000
-- pixels a side (39,580 × 18,849 was seen where columns had shifted). Needs the macro address_of.
create or replace temp macro broken_rules(
    url, caption, decoded_caption, width, height, similarity, addresses
) as
    list_filter(
        [
            {
                'rule': 'caption_is_empty',
                'observed_value': caption,
                'broken': coalesce(not regexp_matches(caption, '[^\s\p{Z}]'), true)
            },
            {
                'rule': 'caption_without_letter',
                'observed_value': caption,
                'broken': regexp_matches(caption, '[^\s\p{Z}]')
                    and not regexp_matches(decoded_caption, '\p{L}')
            },
            {
                'rule': 'url_is_empty',
                'observed_value': url,
                'broken': addresses is not null and coalesce(address_of(url), '') = ''
            },
            {
                'rule': 'url_is_not_http',
                'observed_value': url,
                'broken': addresses and address_of(url) != ''
                    and not regexp_matches(address_of(url), '^[hH][tT][tT][pP][sS]?://[^/\s]')
            },
            {
                'rule': 'similarity_out_of_range',
                'observed_value': similarity::varchar,
                'broken': similarity is not null and not similarity between -1 and 1
            },
            {
                'rule': 'width_out_of_range',
                'observed_value': width::varchar,
                'broken': width is not null and not width between 1 and 20000
            },
            {
                'rule': 'height_out_of_range',
                'observed_value': height::varchar,
                'broken': height is not null and not height between 1 and 20000
            }
        ],
        lambda r: r.broken
    );

-- Whether a row may break a rule: true for every row that does, and for few others. Most rows are
-- found clean by comparing texts and numbers; a regular expression on each would cost more than
-- reading them, and only `case` spares it those that need none. 'https://0' to 'https://{' is
-- https:// and a digit, a letter or one of :;<=>?@[\]^_`.
create or replace temp macro may_be_dirty(url, caption, width, height, similarity, addresses) as
    case
        when caption >= 'A' and caption < '[' then false
        when caption >= 'a' and caption < '{' then false
        -- behind < or & is what may be gone when the caption is decoded
        else coalesce(not regexp_matches(caption, '^[^<&]*[a-zA-Z]'), true)
    end
    or case
        when addresses is null then false
        when not addresses then coalesce(address_of(url) = '', true)
        when url >= 'https://0' and url < 'https://{' then false
        when url >= 'http://0' and url < 'http://{' then false
        else coalesce(not regexp_matches(address_of(url), '^[hH][tT][tT][pP][sS]?://[^/\s]'), true)
    end
    or width not between 1 and 20000
    or height not between 1 and 20000
    or similarity not between -1 and 1;
