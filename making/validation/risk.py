"""The calibrated risk: fitted on half of the planted groups, and what it is worth on the others."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ...pipelines.core.lake import replacing, write_text
from ...pipelines.core.study import Fetch
from ...pipelines.images.decode import image_limits, store_image
from ...pipelines.warehouse.risk_fit import TERMS
from ..plant import HELD_OUT, OBJECT_LEVEL, SHARE, WORD_LEVEL
from .fit import FEATURES, Figures, Floats, Observed, compare, fit, smoothed_share, with_constant
from .lakes import GUIDANCE, VIEWS

# What a user may ask for: none of it is a caption that was trained on.
ASKED = ("words", "held_out")
EXACT = "exact"  # the role of a row that holds the image as it is
NAME = "planted clip art, 32 pixels"
_N_BOOTSTRAPS = 500
_MOST = 20  # binary logarithm of the copies at which the search for half of them ends


def count_copies(plants: Path, images: pa.Table) -> pa.Table:
    """The copies among the images of each group, kind of prompt and guidance scale.

    Args:
        plants: the folder of groups.csv.
        images: of the results, over any number of trainings.

    Returns:
        The rows of the lake's trigger_validation; `split` is null where the risk is not about one.

    """
    values: dict[str, Any] = {
        "groups": str(plants / "groups.csv"),
        "views": float(VIEWS),
        "kinds": [WORD_LEVEL, SHARE],
        "asked": list(ASKED),
        "guidance": GUIDANCE[0],
        "other": OBJECT_LEVEL,
    }
    with duckdb.connect() as connection:
        connection.register("images", images)
        connection.register("contrasts", contrasts(plants))
        return connection.execute(_COUNTED, values).to_arrow_table()


_COUNTED = """
select
    group_id,
    kind,
    prompt_kind,
    guidance_scale,
    n_captions,
    n_copies,
    n_copies * $views::double as exposures,
    contrast,
    case
        when list_contains($kinds, kind) and list_contains($asked, prompt_kind)
            and guidance_scale = $guidance then split
    end as split,
    count(*) as n_generations,
    count_if(is_copy)::bigint as n_replicated
from images
join read_csv($groups) using (group_id)
left join contrasts using (group_id)
where kind <> $other
group by all
order by all
"""


def contrasts(plants: Path) -> pa.Table:
    """The contrast (colour_stddev / 255) of each group's image, as `fetch` measures it."""
    with (plants / "rows.csv").open(encoding="utf-8", newline="") as file:
        groups = {
            row["url"]: row["group_id"] for row in csv.DictReader(file) if row["role"] == EXACT
        }
    found = {}
    rows = pq.read_table(plants / "planted.parquet", columns=["URL", "jpg"])
    with image_limits(None):
        for url, encoded in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            if (group_id := groups.get(url)) and group_id not in found:
                found[group_id] = store_image(encoded, Fetch()).colour_stddev / 255
    return pa.table({"group_id": list(found), "contrast": pa.array(found.values(), pa.float64())})


def observe(rates: pa.Table, split: str) -> Observed:
    """What the groups of a split gave back, each over what a user may ask for."""
    with duckdb.connect() as connection:
        connection.register("rates", rates)
        found = connection.execute(
            """
            select
                exposures,
                n_copies,
                n_captions,
                contrast,
                sum(n_replicated) / sum(n_generations) as rate
            from rates
            where split = $split
            group by group_id, exposures, n_copies, n_captions, contrast
            order by group_id
            """,
            {"split": split},
        ).fetchnumpy()
    exposures, n_copies, n_captions = (
        found[name].astype(np.float64) for name in ("exposures", "n_copies", "n_captions")
    )
    frequency = exposures / n_copies * n_captions
    share = smoothed_share(n_copies, n_captions)
    return Observed(exposures, share, frequency, found["contrast"], found["rate"])


@dataclass(frozen=True)
class CopiesUntil:
    """The copies, under words of their own, from which on half of the images are copies."""

    prompt_kind: str  # unrelated: the words are a trigger wherever they are said
    guidance_scale: float
    n_groups: int
    n_copies: float
    ci_low: float  # 95 % of a bootstrap over groups
    ci_high: float


def copies_until(rates: pa.Table) -> Iterator[CopiesUntil]:
    """By kind of prompt and guidance scale, by a logistic regression on the logarithm alone."""
    with duckdb.connect() as connection:
        connection.register("rates", rates)
        found = connection.execute(
            """
            select
                prompt_kind,
                guidance_scale,
                list(n_copies order by group_id) as n_copies,
                list(n_replicated / n_generations order by group_id) as rate
            from rates
            where kind = $kind
            group by all
            order by all
            """,
            {"kind": WORD_LEVEL},
        ).fetchall()
    for prompt_kind, guidance_scale, n_copies, rate in found:
        features = with_constant(np.log2(np.array(n_copies, float)))
        half = _half_dose(features, np.array(rate))
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(rate), size=(_N_BOOTSTRAPS, len(rate)))
        halves = [_half_dose(features[which], np.array(rate)[which]) for which in drawn]
        low, high = np.percentile(halves, [2.5, 97.5])
        yield CopiesUntil(prompt_kind, guidance_scale, len(rate), half, float(low), float(high))


def _half_dose(features: Floats, rate: Floats) -> float:
    constant, slope = fit(features, rate).coefficients
    return float(2 ** min(-constant / slope, _MOST)) if slope > 0 else 2.0**_MOST


def fit_risk(rates: pa.Table, path: Path) -> list[Figures]:
    """Write the fit as `[risk] fit` reads it, and the rates beside it.

    Returns:
        How well it predicts the groups that it was not fitted on, beside simpler fits.

    """
    fitted, held_out = observe(rates, "fit"), observe(rates, HELD_OUT)
    found = fit(FEATURES["risk"](fitted), fitted.rate)
    figures = compare(fitted, held_out)
    document = {
        "name": NAME,
        "coefficients": dict(zip(TERMS, found.coefficients.tolist(), strict=True)),
        "covariance": found.covariance.tolist(),
        "typical_contrast": float(fitted.contrast.mean()),
        "fitted_on": f"{len(fitted.rate)} planted groups, {len(held_out.rate)} more held out",
        "held_out": [asdict(one) for one in figures],
    }
    with replacing(path.with_suffix(".csv")) as unfinished:
        pyarrow.csv.write_csv(rates, unfinished)
    write_text(path, json.dumps(document, indent=2) + "\n")
    return figures
