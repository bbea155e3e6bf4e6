-- The needles as two regular expressions, null where there are none: `in_raw` for ASCII needles in raw
-- captions, `in_folded` for the others in folded ones. A set that takes every row has the empty one.
--
-- Nothing is missed in raw captions: what is not ASCII and becomes an ASCII letter in NFC and lower
-- case is the Kelvin sign, which (?i) knows, and İ, whole or as I and a dot; nothing that stands between
-- two characters disappears. Needles are letters, marks and digits: none has a meaning of its own.
select
    case
        when (select bool_or(is_everything) from keyword_sets) then ''
        else '(?i)' || string_agg(
            replace(token, 'i', '(?:i\x{307}?|\x{130})'), '|' order by token
        ) filter (is_ascii)
    end as in_raw,
    string_agg(token, '|' order by token) filter (not is_ascii) as in_folded
from (select distinct token, strlen(token) = length(token) as is_ascii from needles);
