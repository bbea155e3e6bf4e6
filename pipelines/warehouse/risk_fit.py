"""The fit that `replication_risk` is calculated with: a logistic regression, read from a file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..stamp import file_fingerprint
from ..study import Study

TERMS = ("constant", "log_exposures", "logit_share")


@dataclass(frozen=True)
class RiskFit:
    """logit p = constant + log_exposures · ln(copies · views) + logit_share · logit(share).

    The share is smoothed, (copies + ½) / (captions + 1), for that of 1 has no logit.
    """

    name: str
    views: float
    coefficients: list[float]  # of TERMS
    covariance: list[list[float]]

    @property
    def row(self) -> tuple[Any, ...]:
        """In the order of `tables.RISK_FITS`."""
        return self.name, self.views, self.coefficients, self.covariance


def read_risk_fit(study: Study) -> RiskFit | None:
    """The fit of a study that states the exposures; None where it does not.

    Raises:
        StudyError: the study names no fit, the file is missing, or is none; names it.

    """
    if study.risk.views is None:
        return None
    if study.risk.fit is None:
        raise StudyError(
            'risk: fit: missing; write fit = "…", the JSON file of a fit, beside views'
        )
    path = Path(study.path(study.risk.fit))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        terms = document["coefficients"]
        coefficients = [float(terms[term]) for term in TERMS]
        covariance = [[float(value) for value in row] for row in document["covariance"]]
        fit = RiskFit(str(document["name"]), study.risk.views, coefficients, covariance)
    except FileNotFoundError:
        raise StudyError(f"risk: fit: {path}: no such file") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StudyError(f"risk: fit: {path}: {_EXPECTED} ({error!r})") from None
    n = len(TERMS)
    values = [*coefficients, *(value for row in covariance for value in row)]
    if [len(row) for row in covariance] != [n] * n or not all(map(math.isfinite, values)):
        raise StudyError(f"risk: fit: {path}: {_EXPECTED}")
    return fit


_EXPECTED = (
    'not a fit: it is JSON with "name", "coefficients" ({"constant": …, "log_exposures": …, '
    '"logit_share": …}) and "covariance" (3 × 3 numbers)'
)


def risk_fit_fingerprint(study: Study) -> str:
    """Differs when the file does."""
    path = None if study.risk.fit is None else study.path(study.risk.fit)
    return file_fingerprint([path]) if path and Path(path).is_file() else "none"
