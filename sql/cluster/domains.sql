-- Two macros. domain_of(url): the host of an address, lower-cased; null for a path or a missing
-- address, as models/macros/domain_of.sql has it. estimating_domain(url): the domain, where it is of
-- the half of all domains (by a hash of their name) that shares are estimated on; null where it is of
-- the half that word sets are mined on, and where there is none.
create or replace temp macro domain_of(url) as nullif(
    lower(regexp_extract(
        url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/:?#]*)', 1
    )),
    ''
);

create or replace temp macro estimating_domain(url) as
    case when md5(domain_of(url)) >= '8' then domain_of(url) end;
