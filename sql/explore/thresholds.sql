-- The thresholds that there are clusters at.
select distinct threshold from clusters order by threshold;
