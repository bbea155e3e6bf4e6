-- One row per object and detector: from which score on the object is seen, what set that, and how often the
-- detector errs on labelled training images.
select
    object,
    detector_id,
    threshold,
    method,
    n_labelled_with,
    n_labelled_without,
    precision,
    sensitivity,
    specificity
from object_detectors
where population = 'train'
order by object, detector_id;
