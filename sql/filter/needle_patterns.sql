-- What the cheap scan asks with may_say(). One row: whether a set takes every row, and the needles as two
-- regular expressions, null where there are none: the ASCII ones for captions as they are, the others
-- for folded ones.
--
-- Nothing is missed in captions that are not folded: what is not ASCII and becomes an ASCII letter in NFC
-- and lower case is the Kelvin sign, which (?i) knows, and İ, whole or as I and a dot; nothing but a soft
-- hyphen disappears between two characters. Captions with one, and those with other forms of ASCII letters,
-- are asked folded, too. Needles are letters, marks and digits: none has a meaning of its own.
select
    coalesce((select bool_or(is_everything) from keyword_sets), false) as takes_all,
    '(?i)' || string_agg(
        replace(token, 'i', '(?:i\x{307}?|\x{130})'), '|' order by token
    ) filter (is_ascii) as in_any_case,
    string_agg(token, '|' order by token) filter (not is_ascii) as in_folded
from (select distinct token, strlen(token) = length(token) as is_ascii from needles);
