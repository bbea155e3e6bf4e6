"""The risk that the word_sets table says, beside the formula written out."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.errors import StudyError
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.stamp import Stamp
from memtriggers.pipelines.study import Risk, Study
from memtriggers.pipelines.study_file import load_study

FIT: dict[str, Any] = {
    "name": "made up",
    "coefficients": {"constant": -9.0, "log_exposures": 1.25, "logit_share": 0.5, "contrast": 2.0},
    "covariance": [
        [0.5, -0.06, 0.01, -0.1],
        [-0.06, 0.01, 0.0, 0.0],
        [0.01, 0.0, 0.02, 0.0],
        [-0.1, 0.0, 0.0, 0.3],
    ],
    "typical_contrast": 0.3,
}


@pytest.fixture
def make_risky(built_study: Study, tmp_path: Path) -> Callable[..., Study]:
    """The study of the small lake, with a fit of its own and the exposures stated."""

    def make(fit: Any = FIT, views: float = 100) -> Study:
        text = fit if isinstance(fit, str) else json.dumps(fit)
        (tmp_path / "fit.json").write_text(text, encoding="utf-8")
        study = (built_study.folder / "study.toml").read_text("utf-8")
        study += f'\n[risk]\nviews = {views}\nfit = "fit.json"\n'
        (tmp_path / "study.toml").write_text(study, encoding="utf-8")
        return load_study(tmp_path / "study.toml")

    return make


def test_the_risk_is_the_formula_and_its_interval_the_delta_method(
    make_risky: Callable[..., Study], own_lake: Lake
) -> None:
    build.run(make_risky(), own_lake, Stamp({}, {}))
    rows = own_lake.sql(
        "select n_in_cluster, word_sets.n_samples, colour_stddev / 255, replication_risk, "
        "replication_risk_low, replication_risk_high, risk_fit from word_sets "
        "join clusters using (threshold, cluster_id) "
        "join samples on medoid_sample_id = samples.sample_id"
    ).fetchall()
    assert {row[2] for row in rows} == {0.2, None}, "an image that is not stored is a typical one"
    beta, covariance = np.array(list(FIT["coefficients"].values())), np.array(FIT["covariance"])
    for n, of, contrast, *found, name in rows:
        shown = 0.3 if contrast is None else contrast
        x = np.array([1, np.log(n * 100), np.log((n + 0.5) / (of - n + 0.5)), shown])
        error = 1.959964 * np.sqrt(x @ covariance @ x)
        logits = beta @ x + np.array([0, -error, error])
        assert found == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-9)
        assert name == "made up"
    fits = own_lake.sql("select views, coefficients, covariance from risk_fits").fetchall()
    assert fits == [(100.0, beta.tolist(), FIT["covariance"])]


VALIDATION = """\
group_id,kind,prompt_kind,guidance_scale,n_captions,n_copies,exposures,contrast,split,n_generations,n_replicated
share-24-4-0,share,words,3.0,24,4,400,0.25,fit,64,16
share-24-4-0,share,own,3.0,24,4,400,0.25,,64,32
image_alone-8-8-0,image_alone,empty,1.0,8,8,800,0.25,,64,0
words_alone-12-0-0,words_alone,words,3.0,12,0,0,,,64,1
"""


def test_what_a_fit_was_made_of_is_published_beside_what_it_says(
    make_risky: Callable[..., Study], own_lake: Lake, tmp_path: Path
) -> None:
    study = make_risky(views=7)  # those of the study say nothing of the planted groups
    (tmp_path / "fit.csv").write_text(VALIDATION, encoding="utf-8")
    build.run(study, own_lake, Stamp({}, {}))
    found = own_lake.sql(
        "select group_id, prompt_kind, share, replication_rate, replication_risk "
        "from trigger_validation order by group_id, prompt_kind"
    ).fetchall()
    x = np.array([1, np.log(400), np.log(4.5 / 20.5), 0.25])
    risk = 1 / (1 + np.exp(-np.array(list(FIT["coefficients"].values())) @ x))
    assert found == [
        ("image_alone-8-8-0", "empty", 1.0, 0.0, None),
        ("share-24-4-0", "own", 4 / 24, 0.5, None),
        ("share-24-4-0", "words", 4 / 24, 0.25, pytest.approx(risk)),
        ("words_alone-12-0-0", "words", 0.0, 1 / 64, None),
    ]
    (tmp_path / "fit.csv").write_text("group_id\nshare-24-4-0\n", encoding="utf-8")
    assert STAGES["build"].why_stale(study, own_lake) != []
    with pytest.raises(StudyError, match=r"fit\.csv: not what a fit was made of: ") as caught:
        build.run(study, own_lake, Stamp({}, {}))
    assert len(str(caught.value).splitlines()) == 1


def test_without_exposures_there_is_none(built_study: Study, own_lake: Lake) -> None:
    build.run(built_study, own_lake, Stamp({}, {}))
    (row,) = own_lake.sql(
        "select count(replication_risk), count(risk_fit), count(*) > 0 from word_sets"
    ).fetchall()
    assert row == (0, 0, True)
    assert own_lake.sql("from risk_fits").fetchall() == []


def test_another_fit_makes_the_build_stale(
    make_risky: Callable[..., Study], own_lake: Lake, tmp_path: Path
) -> None:
    study = make_risky()
    STAGES["build"].run(study, own_lake)
    assert STAGES["build"].why_stale(study, own_lake) == []
    (tmp_path / "fit.json").write_text(json.dumps(FIT | {"name": "another"}), encoding="utf-8")
    assert STAGES["build"].why_stale(study, own_lake) == ["input risk_fit"]
    assert STAGES["build"].why_stale(make_risky(views=50), own_lake) == [
        "study key risk",
        "input risk_fit",
    ]


@pytest.mark.parametrize(
    "fit",
    [
        "no json",
        "[]",
        {"name": "x"},
        FIT | {"covariance": [[1.0]]},
        FIT | {"coefficients": {**FIT["coefficients"], "constant": "much"}},
        FIT | {"coefficients": {**FIT["coefficients"], "constant": float("nan")}},
    ],
)
def test_what_is_no_fit_is_one_line(
    make_risky: Callable[..., Study], own_lake: Lake, fit: Any
) -> None:
    with pytest.raises(StudyError, match=r"risk: fit: .*fit\.json: not a fit") as caught:
        build.run(make_risky(fit), own_lake, Stamp({}, {}))
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_fit_is_named(make_risky: Callable[..., Study], own_lake: Lake) -> None:
    study = make_risky()
    Path(study.path("fit.json")).unlink()
    with pytest.raises(StudyError, match=r"fit\.json: no such file"):
        STAGES["build"].run(study, own_lake)


def test_exposures_need_a_fit(built_study: Study, own_lake: Lake) -> None:
    study = dataclasses.replace(built_study, risk=Risk(views=100))
    with pytest.raises(StudyError, match="risk: fit: missing"):
        build.run(study, own_lake, Stamp({}, {}))
