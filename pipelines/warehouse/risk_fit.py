"""The fit that `replication_risk` is calculated with, and what it was fitted on, from files."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ..core.database import first_line
from ..core.errors import StudyError
from ..core.registry import TABLES
from ..core.study import Study

BUNDLED = "bundled"
BUNDLED_FIT = Path(__file__).resolve().parents[2] / "sample/validation/results/risk_fit.json"
TERMS = ("constant", "log_exposures", "logit_share", "contrast")


@dataclass(frozen=True)
class RiskFit:
    """logit p = constant + log_exposures · ln(copies · views) + logit_share · logit(share) + …

    … contrast · colour_stddev / 255, of the image. The share is smoothed, (copies + ½) /
    (captions + 1), for that of 1 has no logit.
    """

    name: str
    views: float
    coefficients: list[float]  # of TERMS
    covariance: list[list[float]]
    typical_contrast: float  # where no image is stored

    @property
    def row(self) -> tuple[Any, ...]:
        """In the order of `tables.RISK_FITS`."""
        return tuple(vars(self).values())


def read_risk_fit(study: Study) -> RiskFit | None:
    """The fit of a study that states the exposures; None where it does not.

    Raises:
        StudyError: the study names no fit, the file is missing, or is none; names it.

    """
    if study.risk.views is None:
        return None
    if study.risk.fit is None:
        raise StudyError(
            'risk: fit: missing; write fit = "bundled", or the JSON file of a fit, beside views'
        )
    path = _path(study, study.risk.fit)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        terms = document["coefficients"]
        coefficients = [float(terms[term]) for term in TERMS]
        covariance = [[float(value) for value in row] for row in document["covariance"]]
        typical = float(document["typical_contrast"])
        fit = RiskFit(str(document["name"]), study.risk.views, coefficients, covariance, typical)
    except FileNotFoundError:
        raise StudyError(f"risk: fit: {path}: no such file") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StudyError(f"risk: fit: {path}: {_EXPECTED} ({error!r})") from None
    n = len(TERMS)
    values = [typical, *coefficients, *(value for row in covariance for value in row)]
    if [len(row) for row in covariance] != [n] * n or not all(map(math.isfinite, values)):
        raise StudyError(f"risk: fit: {path}: {_EXPECTED}")
    return fit


_EXPECTED = (
    'not a fit: it is JSON with "name", "coefficients" ({"constant": …, "log_exposures": …, '
    '"logit_share": …, "contrast": …}), "covariance" (4 × 4 numbers) and "typical_contrast"'
)


def insert_risk_fit(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Put the fit of the study into `lake.risk_fits`, and what it was fitted on beside it.

    Raises:
        StudyError: the fit is none (see `read_risk_fit`), or the csv file beside it is none.

    """
    if (fit := read_risk_fit(study)) is None or study.risk.fit is None:
        return
    connection.execute("insert into lake.risk_fits values (?, ?, ?, ?, ?)", fit.row)
    known = _path(study, study.risk.fit).with_suffix(".csv")
    if known.exists():
        try:
            connection.execute(
                "insert into lake.trigger_validation by name from read_csv($path, types = $types)",
                {"path": str(known), "types": TABLES["trigger_validation"].columns},
            )
        except duckdb.Error as error:
            raise StudyError(
                f"risk: fit: {known}: not what a fit was made of: {first_line(error)}"
            ) from None


def risk_fit_fingerprint(study: Study) -> str:
    """Differs when the content of the file does, or what it was fitted on.

    An upgrade of the package writes the bundled fit again, with another time.
    """
    if study.risk.fit is None:
        return "none"
    path = _path(study, study.risk.fit)
    files = [file for file in (path, path.with_suffix(".csv")) if file.is_file()]
    digests = (hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files)
    return " ".join(digests) if files else "none"


def _path(study: Study, fit: str) -> Path:
    return BUNDLED_FIT if fit == BUNDLED else Path(study.path(fit))
