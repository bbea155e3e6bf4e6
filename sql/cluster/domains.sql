-- A macro: the domain, where it is of the half of all domains (by a hash of their name) that shares are
-- estimated on; null where it is of the half that word sets are mined on, and where there is none.
-- Needs the macro domain_of of models/macros.
create or replace temp macro estimating_domain(url) as
    case when md5(domain_of(url)) >= '8' then domain_of(url) end;
