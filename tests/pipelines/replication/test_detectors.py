"""Detectors of memorization, judged by generations whose copies are known."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from memtriggers.making.bundled import SAMPLE
from memtriggers.pipelines import score
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.errors import EvaluationError
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.evaluation.detectors import RESULTS, tell
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds

STAMP = Stamp({"score": "1"}, {"generate": "2"})
FAMILIES = ("keywords", "short", "long")
N_COPIES = {"keywords": 4, "short": 3, "long": 1}  # of 4 seeds
SCORES = {"keywords": 3.0, "short": 1.0, "long": 2.0}  # the last two the wrong way round


def test_the_area_is_scipys_and_the_rest_is_counted() -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.integers(0, 40, 500)).astype(float)  # with ties
    is_positive = rng.random(500) < values / 38
    area, found = tell(values, is_positive, np.ones(500))
    positive, negative = values[is_positive], values[~is_positive]
    u = stats.mannwhitneyu(positive, negative).statistic
    assert area == pytest.approx(u / (len(positive) * len(negative)), abs=1e-12)
    allowed = [v for v in set(values) if (negative >= v).mean() <= 0.01]
    assert found == pytest.approx((positive >= min(allowed)).mean(), abs=1e-12)


def test_a_weight_is_a_row_that_comes_so_often() -> None:
    rng = np.random.default_rng(1)
    values, is_positive = np.sort(rng.random(200)), rng.random(200) < 0.4
    weight = rng.integers(0, 4, 200)
    repeated = tell(values.repeat(weight), is_positive.repeat(weight), np.ones(weight.sum()))
    assert tell(values, is_positive, weight) == pytest.approx(repeated, abs=1e-12)
    assert np.isnan(tell(values, is_positive, weight * is_positive)).all(), "no negative is left"


@dataclass(frozen=True)
class Judge:
    """A published lake of nine prompts, whose detectors the command line judges."""

    planted: Any
    file: Path

    def __call__(
        self, names: Sequence[str], rows: Sequence[Sequence[object]], *options: str
    ) -> Result:
        with self.file.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *rows])
        study = self.planted.study.folder / "study.toml"
        command = ["evaluate", "--lake", str(self.planted.lake.root), "--study", str(study)]
        return CliRunner().invoke(cli, [*command, "--scores", str(self.file), *options])


@pytest.fixture(scope="module")
def judges() -> list[Judge]:
    """The judge that the first test has made."""
    return []


@pytest.fixture
def judge(
    judges: list[Judge],
    make_planted: Callable[..., Any],
    generate: Callable[..., None],
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> Judge:
    if judges:
        return judges[0]
    planted = make_planted(families=FAMILIES)
    fix_thresholds(planted.study, planted.lake, STAMP)
    for number in range(3):
        row = planted.cluster(number)[0]
        for family, n in N_COPIES.items():
            copied = [row] * n + [None] * (4 - n)
            generate(planted, {planted.prompt_id(number, family): copied})
    score.run(planted.study, planted.lake, STAMP)
    run_stages(planted.study, "build")
    judges.append(Judge(planted, tmp_path / "theirs.csv"))
    return judges[0]


def prompt_rows(planted: Any) -> list[list[object]]:
    return [
        [planted.prompt_id(number, family), value]
        for number in range(3)
        for family, value in SCORES.items()
    ]


def test_prompts_and_images_theirs_beside_ours(judge: Judge) -> None:
    planted = judge.planted
    rows = prompt_rows(planted)
    done = judge(("prompt_id", "score"), rows, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    found = {one["detector"]: one for one in json.loads(done.output)}
    theirs = found["theirs"]
    assert (theirs["what"], theirs["n"], theirs["n_positive"]) == ("prompts", 9, 6)
    assert theirs["auc"]["value"] == 0.5 and theirs["true_positives"]["value"] == 0.5
    assert theirs["auc"]["low"] <= 0.5 <= theirs["auc"]["high"]
    assert {"trigger_score", "n_in_cluster", "clip_largest_clique"} <= found.keys()
    assert found["clip_largest_clique"]["auc"]["value"] == 1.0
    assert "replication_risk" not in found, "the study does not state the exposures"

    images = [[prompt, seed, -seed] for prompt, _ in rows for seed in range(4)]
    done = judge(("prompt_id", "seed", "score"), images, "--json")
    theirs = next(one for one in json.loads(done.output) if one["detector"] == "theirs")
    assert (theirs["what"], theirs["n"], theirs["n_positive"]) == ("images", 36, 24)
    assert theirs["auc"]["value"] > 0.7

    shown = judge(("prompt_id", "score"), rows).output
    assert "theirs" in shown and "trigger_score" in shown and "0.500" in shown


def test_a_prompt_without_a_score_suspects_nothing(judge: Judge) -> None:
    planted = judge.planted
    rows = [row for row in prompt_rows(planted) if row[1] == SCORES["keywords"]]
    rows[0][1] = "nan"
    done = judge(("prompt_id", "score"), rows, "--json")
    theirs = next(one for one in json.loads(done.output) if one["detector"] == "theirs")
    assert (theirs["n"], theirs["n_scored"]) == (9, 2)
    assert theirs["true_positives"]["value"] == pytest.approx(2 / 6)


def test_what_is_wrong_is_one_line(judge: Judge) -> None:
    unknown = ["f" * 32, 1]
    wrong: list[tuple[Sequence[str], Sequence[Sequence[object]], list[str], str]] = [
        (("prompt", "score"), [["x", 1]], [], "no column prompt_id; it has: prompt, score"),
        (("prompt_id", "score"), [unknown], [], "none of its prompts was generated here"),
        (("prompt_id", "score"), [["f" * 32, "much"]], [], "cannot be read: .*much"),
        (("prompt_id", "score"), [unknown, unknown], [], "two scores for one prompt"),
        (("prompt_id", "score"), [unknown], ["--metric", "sscd"], "is scored by sscd"),
    ]
    for names, rows, options, reason in wrong:
        done = judge(names, rows, *options)
        assert isinstance(done.exception, EvaluationError)
        assert re.search(reason, str(done.exception)), done.exception
        assert len(str(done.exception).splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "clip"), "--metric needs --scores"),
        (("--scores", "FILE", "--sample", "--metric", "l2"), "--metric is of a lake"),
        (("--scores", "FILE", "--seed", "1", "--limit", "9"), "--limit says nothing about --score"),
        (("--scores", "FILE", "--label-column", "x"), "--label-column says nothing about --score"),
    ],
)
def test_options_of_the_other_half_are_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("prompt_id,score\n", encoding="utf-8")
    given = [str(file) if option == "FILE" else option for option in options]
    done = CliRunner().invoke(cli, ["evaluate", "--lake", str(tmp_path), *given])
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_the_bundled_study_judges_detectors_without_a_lake(tmp_path: Path) -> None:
    groups, asked = (
        list(csv.DictReader((SAMPLE / "planted" / name).read_text("utf-8").splitlines()))
        for name in ("groups.csv", "prompts.csv")
    )
    n_copies = {group["group_id"]: int(group["n_copies"]) for group in groups}
    scores = {
        hashlib.md5(ask["prompt"].encode()).hexdigest(): n_copies.get(ask["group_id"], 0)
        for ask in asked
    }
    file = tmp_path / "copies.csv"
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows([("prompt_id", "score"), *scores.items()])
    done = CliRunner().invoke(cli, ["evaluate", "--sample", "--scores", str(file), "--json"])
    assert done.exit_code == 0, done.output
    found = {(one["generator_id"], one["detector"]): one for one in json.loads(done.output)}
    images = pq.read_table(RESULTS / "nothing-32-1" / "images.parquet").to_pylist()
    generator_id = images[0]["generator_id"]
    copied: dict[str, list[bool]] = {}
    for one in images:
        if one["generator_id"] == generator_id and one["prompt_kind"] not in ("utility", "empty"):
            copied.setdefault(one["prompt_id"], []).append(one["is_copy"])
    is_positive = {prompt_id: np.mean(flags) >= 0.5 for prompt_id, flags in copied.items()}
    positive, negative = (
        [scores[prompt_id] for prompt_id, value in is_positive.items() if value == wanted]
        for wanted in (True, False)
    )
    area = stats.mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    theirs = found[generator_id, "copies"]
    assert theirs["auc"]["value"] == pytest.approx(area, abs=1e-9)
    assert (theirs["n"], theirs["n_positive"]) == (len(is_positive), len(positive))
    assert {"trigger_score", "n_in_cluster", "wen_magnitude"} <= {name for _, name in found}
