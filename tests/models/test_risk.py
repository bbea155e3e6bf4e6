"""The risk that the word_sets table says, beside the formula written out."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.core.errors import StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Risk, Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES

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
VIEWS = 7.0
VALIDATION = """\
group_id,kind,prompt_kind,guidance_scale,n_captions,n_copies,exposures,contrast,split,n_generations,n_replicated
share-24-4-0,share,words,3.0,24,4,400,0.25,fit,64,16
share-24-4-0,share,own,3.0,24,4,400,0.25,,64,32
image_alone-8-8-0,image_alone,empty,1.0,8,8,800,0.25,,64,0
words_alone-12-0-0,words_alone,words,3.0,12,0,0,,,64,1
"""


@pytest.fixture
def make_risky(built_study: Study, tmp_path: Path) -> Callable[..., Study]:
    """The study of the small lake, with a fit of its own and the exposures stated."""

    def make(fit: Any = FIT, views: float = 100) -> Study:
        return write_risky(
            tmp_path, built_study, fit if isinstance(fit, str) else json.dumps(fit), views
        )

    return make


def write_risky(folder: Path, small: Study, fit: str, views: float) -> Study:
    (folder / "fit.json").write_text(fit, encoding="utf-8")
    study = (small.folder / "study.toml").read_text("utf-8")
    study += f'\n[risk]\nviews = {views}\nfit = "fit.json"\n'
    (folder / "study.toml").write_text(study, encoding="utf-8")
    return load_study(folder / "study.toml")


@pytest.fixture(scope="module")
def risky(
    rebuilt: Lake, built_study: Study, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, Lake]:
    """The lake that was changed, as it is, with a fit beside which stands what it was made of."""
    folder = tmp_path_factory.mktemp("risky")
    lake = Lake(shutil.copytree(rebuilt.root, folder / "lake", symlinks=True))
    (folder / "fit.csv").write_text(VALIDATION, encoding="utf-8")
    # The exposures of the study say nothing of the planted groups.
    study = write_risky(folder, built_study, json.dumps(FIT), VIEWS)
    STAGES["build"].run(study, lake)
    return study, lake


def test_a_third_build_of_the_same_lake_changes_nothing(risky: tuple[Study, Lake]) -> None:
    _, lake = risky
    assert lake.sql("from changes").fetchall() == []
    assert lake.sql("from clusters").fetchall() != []


def test_the_risk_is_the_formula_and_its_interval_the_delta_method(
    risky: tuple[Study, Lake],
) -> None:
    _, lake = risky
    rows = lake.sql(
        "select n_in_cluster, word_sets.n_samples, colour_stddev / 255, replication_risk, "
        "replication_risk_low, replication_risk_high, risk_fit from word_sets "
        "join clusters using (threshold, cluster_id) "
        "join samples on medoid_sample_id = samples.sample_id"
    ).fetchall()
    assert {row[2] for row in rows} == {0.2, None}, "an image that is not stored is a typical one"
    beta, covariance = np.array(list(FIT["coefficients"].values())), np.array(FIT["covariance"])
    for n, of, contrast, *found, name in rows:
        shown = 0.3 if contrast is None else contrast
        x = np.array([1, np.log(n * VIEWS), np.log((n + 0.5) / (of - n + 0.5)), shown])
        error = 1.959964 * np.sqrt(x @ covariance @ x)
        logits = beta @ x + np.array([0, -error, error])
        assert found == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-9)
        assert name == "made up"
    fits = lake.sql("select views, coefficients, covariance from risk_fits").fetchall()
    assert fits == [(VIEWS, beta.tolist(), FIT["covariance"])]


def test_what_a_fit_was_made_of_is_published_beside_what_it_says(
    risky: tuple[Study, Lake],
) -> None:
    _, lake = risky
    found = lake.sql(
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


def test_what_no_fit_was_made_of_is_one_line(
    make_risky: Callable[..., Study], own_lake: Lake, tmp_path: Path
) -> None:
    study = make_risky()
    (tmp_path / "fit.csv").write_text("group_id\nshare-24-4-0\n", encoding="utf-8")
    assert STAGES["build"].why_stale(study, own_lake) != []
    with pytest.raises(StudyError, match=r"fit\.csv: not what a fit was made of: ") as caught:
        build.run(study, own_lake, Stamp({}, {}))
    assert len(str(caught.value).splitlines()) == 1


def test_without_exposures_there_is_none(built_lake: Lake) -> None:
    (row,) = built_lake.sql(
        "select count(replication_risk), count(risk_fit), count(*) > 0 from word_sets"
    ).fetchall()
    assert row == (0, 0, True)
    assert built_lake.sql("from risk_fits").fetchall() == []


def test_another_fit_makes_the_build_stale(risky: tuple[Study, Lake], built_study: Study) -> None:
    study, lake = risky
    assert STAGES["build"].why_stale(study, lake) == []
    another = json.dumps(FIT | {"name": "another"})
    study = write_risky(study.folder, built_study, another, VIEWS)
    assert STAGES["build"].why_stale(study, lake) == ["input risk_fit"]
    study = write_risky(study.folder, built_study, another, 50)
    assert STAGES["build"].why_stale(study, lake) == [
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
