"""What the committed results of the study show, figure by figure."""

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.making.bundled import SAMPLE
from memtriggers.making.validation.lakes import VIEWS
from memtriggers.making.validation.summary import RESULTS, summary
from memtriggers.making.validation.tables import RISK_FIT
from memtriggers.making.validation.trainings import BASES, LARGER

N_ROWS = 3038


def rates(where: str, *runs: Any) -> list[Any]:
    """(cell's captions, cell's copies, mean over groups of the share of copies), in order."""
    paths = [str(RESULTS / run.name / "images.parquet") for run in runs]
    return duckdb.execute(
        f"""
        with of_groups as (
            select kind, n_captions, n_copies, group_id, avg(is_copy::int) as rate
            from read_parquet($paths) join read_csv($groups) using (group_id)
            where {where}
            group by all
        )
        select n_captions, n_copies, avg(rate) from of_groups group by all order by all
        """,
        {"paths": paths, "groups": str(SAMPLE / "planted" / "groups.csv")},
    ).fetchall()


ASKED = "guidance_scale = 3 and prompt_kind in ('words', 'held_out')"


def test_every_prompt_of_the_whole_rows_has_32_seeds_and_both_guidances() -> None:
    for run in BASES:
        found = duckdb.execute(
            "select guidance_scale, count(distinct prompt_id), count(*) / count(distinct prompt_id)"
            " from read_parquet($path) where prompt_kind <> 'empty' group by 1 order by 1",
            {"path": str(RESULTS / run.name / "images.parquet")},
        ).fetchall()
        with (SAMPLE / "planted" / "prompts.csv").open(encoding="utf-8", newline="") as file:
            n_prompts = len({row["prompt"] for row in csv.DictReader(file)})
        assert found == [(1.0, n_prompts, 32), (3.0, n_prompts, 32)]


MODELS = pytest.mark.parametrize("runs", [BASES, (LARGER,)], ids=["32 pixels", "64 pixels"])


@MODELS
def test_what_comes_often_is_copied_and_what_comes_once_is_not(runs: Any) -> None:
    by_copies = {n: rate for _, n, rate in rates(f"kind = 'word_level' and {ASKED}", *runs)}
    assert all(rate >= 0.5 for n, rate in by_copies.items() if n * VIEWS >= 2000)
    assert by_copies[1] <= 0.1


def test_groups_of_one_or_two_copies_are_not_copied_by_the_smaller_models() -> None:
    """The larger one copies what comes twice: the page says how often."""
    by_copies = {n: rate for _, n, rate in rates(f"kind = 'word_level' and {ASKED}", *BASES)}
    assert (by_copies[1] + by_copies[2]) / 2 <= 0.1


@MODELS
def test_an_image_without_words_of_its_own_does_not_come_back(runs: Any) -> None:
    where = "kind = 'image_alone' and guidance_scale = 3 and prompt_kind = 'held_out'"
    for _, n_copies, rate in rates(where, *runs):
        assert rate <= max(2 * n_copies / N_ROWS, 0.05), n_copies


@MODELS
def test_words_that_come_with_different_images_bring_none_of_them(runs: Any) -> None:
    for _, _, rate in rates(f"kind = 'words_alone' and {ASKED}", *runs):
        assert rate <= 0.05


@MODELS
def test_the_rate_rises_with_the_share(runs: Any) -> None:
    found = [rate for _, _, rate in rates(f"kind = 'share' and {ASKED}", *runs)]
    assert len(found) == 5 and found[-1] > 0.5
    assert found == sorted(found)


def test_the_risk_is_better_than_its_halves_on_held_out_groups() -> None:
    document = json.loads((RESULTS / RISK_FIT).read_text("utf-8"))
    figures = {one["name"]: one for one in document["held_out"]}
    for name in ("frequency alone", "share alone"):
        assert figures[name]["log_loss_excess"][0] > 0
        assert figures[name]["brier_excess"][0] > 0
    assert 0.8 <= figures["risk"]["slope"] <= 1.2


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_words_trigger_is_halved_with_fewer_rows_than_any_dedup_takes() -> None:
    rows = {row["arm"]: row for row in read(RESULTS / "rows_to_halve.csv")}
    ours = float(rows["trigger"]["rows_to_halve"])
    assert ours < 400
    for arm in ("cosine", "exact_hash", "random"):
        halved = rows[arm]["rows_to_halve"]
        assert float(halved or "inf") > ours
        assert halved or (
            float(rows[arm]["least_left"]) > 0.5 and int(rows[arm]["most_removed"]) >= ours
        )
    costs = {(row["arm"], row["n_asked"]): row for row in read(RESULTS / "mitigation.csv")}
    for arm in ("cosine", "exact_hash", "random"):
        assert float(costs[arm, "400"]["left_low"]) > float(costs["trigger", "400"]["left_high"])
    assert all(row["concept"] and row["utility"] for row in costs.values())


def test_the_page_says_what_the_results_say() -> None:
    page = (RESULTS.parent / "README.md").read_text("utf-8").splitlines()
    assert [line for line in summary().splitlines() if line not in page] == []
