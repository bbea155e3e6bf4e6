-- How each detector errs on the labelled training images. $detectors: a parquet file.
select
    object,
    detector_id as detector,
    round(threshold, 3) as threshold,
    method as "set by",
    n_labelled_with + n_labelled_without as labelled,
    round(precision, 3) as precision,
    round(sensitivity, 3) as recall,
    round(specificity, 3) as specificity
from read_parquet($detectors)
where population = 'train'
order by object, detector;
