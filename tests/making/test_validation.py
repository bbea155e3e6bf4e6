"""The study of planted rows: what it counts, what it infers, and what it takes away."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from memtriggers.making.bundled import SAMPLE
from memtriggers.making.diffusion_model import (
    SIZES,
    as_pipeline,
    new_autoencoder,
    new_text_encoder,
    new_unet,
)
from memtriggers.making.train_diffusion import read_rows
from memtriggers.making.validation.arms import exact_hash, random_rows
from memtriggers.making.validation.lakes import Asked, read_groups
from memtriggers.making.validation.membership import infer_membership, losses, told_apart
from memtriggers.making.validation.mitigation import compare_rates, group_rates, rows_to_halve
from memtriggers.making.validation.rates import Generated
from memtriggers.making.validation.risk import copies_until, count_copies, fit_risk, observe
from memtriggers.making.validation.tables import as_table
from memtriggers.making.validation.trainings import BASES
from memtriggers.pipelines.core.study import Data, Risk, Study
from memtriggers.pipelines.warehouse.risk_fit import read_risk_fit

PLANTS = SAMPLE / "planted"
ROWS = PLANTS / "planted.parquet"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generate(rates: dict[str, float], kinds: tuple[str, ...] = ("words", "held_out")) -> list[Any]:
    """16 images of each prompt, of which a share are copies."""
    return [
        Generated(scale, group_id, kind, f"{group_id} {kind}", seed, 0.5, seed < round(16 * rate))
        for scale in (1.0, 3.0)
        for group_id, rate in rates.items()
        for kind in kinds
        for seed in range(16)
    ]


@pytest.fixture
def images() -> pa.Table:
    """Of every group, more copies the more it was planted: half of them with guidance 1."""
    rates = {
        group_id: (1 - 2.0 ** -(group.n_copies / 8)) * group.n_copies / (group.n_captions or 1)
        for group_id, group in read_groups(PLANTS).items()
    }
    return as_table(BASES[0], generate(rates, ("words", "held_out", "own")))


def test_copies_are_counted_by_group_prompt_and_guidance(images: pa.Table) -> None:
    counted = count_copies(PLANTS, images).to_pylist()
    expected: Counter[tuple[Any, ...]] = Counter()
    for row in images.to_pylist():
        key = row["group_id"], row["prompt_kind"], row["guidance_scale"]
        expected[key] += row["is_copy"]
    groups = read_groups(PLANTS)
    assert {
        (row["group_id"], row["prompt_kind"], row["guidance_scale"]): row["n_replicated"]
        for row in counted
    } == {key: n for key, n in expected.items() if groups[key[0]].kind != "object_level"}
    for row in counted:
        group = groups[row["group_id"]]
        is_about = group.kind in ("word_level", "share") and row["prompt_kind"] != "own"
        assert row["split"] == (group.split if is_about and row["guidance_scale"] == 3 else None)
        assert row["n_generations"] == 16
        assert row["exposures"] == 100 * group.n_copies


def test_the_fit_that_is_written_is_the_one_that_is_read(images: pa.Table, tmp_path: Path) -> None:
    rates = count_copies(PLANTS, images)
    risk, *others = fit_risk(rates, tmp_path / "fit.json")
    study = Study(tmp_path, Data(()), (), risk=Risk(views=100, fit="fit.json"))
    fit = read_risk_fit(study)
    assert fit is not None and fit.coefficients[1] > 0 and fit.coefficients[2] > 0
    held_out = observe(rates, "held_out")
    share = held_out.share
    logit = np.array(fit.coefficients) @ [
        np.ones_like(share),
        np.log(held_out.exposures),
        np.log(share / (1 - share)),
        held_out.contrast,
    ]
    p = 1 / (1 + np.exp(-logit))
    assert risk.brier == pytest.approx(
        np.mean(held_out.rate * (1 - p) ** 2 + (1 - held_out.rate) * p**2), abs=1e-9
    )
    assert {one.name for one in others} >= {"frequency alone", "share alone"}
    document = json.loads((tmp_path / "fit.json").read_text("utf-8"))
    assert document["held_out"][0]["brier"] == risk.brier
    assert len(read(tmp_path / "fit.csv")) == len(rates)


def test_a_group_of_which_nothing_is_left_gives_nothing_back() -> None:
    groups = [g for g in read_groups(PLANTS).values() if g.kind in ("word_level", "share")]
    names = sorted(group.group_id for group in groups)
    images = as_table(BASES[0], generate({names[0]: 0.25, names[1]: 1.0}))
    assert group_rates(PLANTS, images).tolist() == [0.25, 1.0, *[0.0] * (len(groups) - 2)]


def test_what_is_left_is_relative_to_the_rows_as_they_were() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 1, 400)
    half = compare_rates(before / 2, before)
    assert half.left == pytest.approx(0.5)
    assert half.left_low == pytest.approx(0.5) and half.left_high == pytest.approx(0.5)
    noisy = compare_rates(rng.uniform(0, 0.5, 400), before)
    assert noisy.left_low < 0.5 < noisy.left_high
    assert noisy.ci_low < noisy.replication_rate < noisy.ci_high


def test_rows_to_halve_lie_between_what_was_tried() -> None:
    assert rows_to_halve([(0, 1.0), (400, 0.6), (200, 0.8), (800, 0.2)]) == pytest.approx(500)
    assert rows_to_halve([(0, 1.0), (400, 0.5)]) == 400
    assert rows_to_halve([(0, 1.0), (400, 0.51)]) is None


def test_the_copies_until_half_of_the_images_are_copies() -> None:
    """Of rates that rise with the logarithm, half of them at 11."""
    rates = {
        group.group_id: 1 / (1 + (11 / group.n_copies) ** 2)
        for group in read_groups(PLANTS).values()
        if group.kind == "word_level"
    }
    found = list(copies_until(count_copies(PLANTS, as_table(BASES[0], generate(rates)))))
    assert [(one.prompt_kind, one.guidance_scale) for one in found] == [
        ("held_out", 1.0),
        ("held_out", 3.0),
        ("words", 1.0),
        ("words", 3.0),
    ]
    for one in found:
        assert one.n_groups == len(rates)
        assert one.n_copies == pytest.approx(11, rel=0.1)
        assert one.ci_low < one.n_copies < one.ci_high < 16


def test_members_are_told_apart_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.integers(5, 40, 300).astype(float), rng.integers(0, 40, 500).astype(float)
    auc, found = told_apart(members, others)
    u = stats.mannwhitneyu(members, others).statistic
    assert auc == pytest.approx(u / (300 * 500), abs=1e-12)
    allowed = [limit for limit in np.unique(others) if (others > limit).mean() <= 0.01]
    assert found == (members > min(allowed)).mean()


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """A run whose model knows nothing, and fewer rows."""
    torch.manual_seed(0)
    size = SIZES[32]
    plants, folder = (tmp_path_factory.mktemp(name) for name in ("plants", "run"))
    parts = new_autoencoder(size), new_unet(size), new_text_encoder()
    as_pipeline(*parts).save_pretrained(folder / "model")
    pq.write_table(pq.read_table(ROWS).slice(0, 150), folder / "rows.parquet")
    pq.write_table(pq.read_table(PLANTS / "unseen.parquet").slice(0, 60), plants / "unseen.parquet")
    for name in ("groups.csv", "rows.csv"):
        (plants / name).write_bytes((PLANTS / name).read_bytes())
    return Asked(plants, folder, 32)


def test_an_untrained_model_knows_no_member(untrained: Asked) -> None:
    found = list(infer_membership(untrained))
    rows = {row["url"]: row["role"] for row in read(PLANTS / "rows.csv")}
    urls = pq.read_table(untrained.rows)["URL"].to_pylist()
    n_planted = sum(rows[url] != "background" for url in urls)
    assert sum(one.n_members for one in found) == n_planted < len(urls)
    assert {one.n_copies for one in found} >= {0, 32, 64}
    assert all(0 <= one.auc <= 1 for one in found)
    weighted = sum(one.auc * one.n_members for one in found) / n_planted
    assert weighted == pytest.approx(0.5, abs=0.15)


def test_the_loss_of_a_row_depends_on_no_other_row(untrained: Asked) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(untrained.model, dtype=torch.float32)
    whole = losses(pipeline, read_rows(untrained.rows, 32))
    pq.write_table(pq.read_table(untrained.rows).slice(140), untrained.folder / "last.parquet")
    last = losses(pipeline, read_rows(untrained.folder / "last.parquet", 32))
    assert last == pytest.approx(whole[140:], rel=1e-4)


def test_random_rows_and_files_that_came_before_are_taken_away(tmp_path: Path) -> None:
    rows, asked = pq.read_table(ROWS), Asked(PLANTS, tmp_path, 32)
    assert len(random_rows(rows, asked, 400)) == len(rows) - 400
    left = exact_hash(rows, asked, 400)
    assert len(left) == len(rows) - 400
    assert set(left["jpg"].to_pylist()) == set(rows["jpg"].to_pylist()), "one of each file stays"
    every = exact_hash(rows, asked, len(rows))
    assert len(every) == len(set(rows["jpg"].to_pylist()))
