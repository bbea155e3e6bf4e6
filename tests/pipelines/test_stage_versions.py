"""Each stage has a version of its own: an upgrade recomputes what computes otherwise, no more."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import VERSION, Stamp
from memtriggers.pipelines.core.study import Data, KeywordSet, Risk, Study
from memtriggers.pipelines.stages import STAGES, expected_stamp
from memtriggers.pipelines.warehouse.risk_fit import risk_fit_fingerprint
from memtriggers.tests.stage_code import ROOT, code_of, reached_by, read_noted


@pytest.mark.parametrize("name", STAGES)
def test_code_that_changed_says_whether_its_results_do(name: str) -> None:
    noted = read_noted()[name]
    assert (STAGES[name].version, code_of(name)) == (noted["version"], noted["code"]), (
        f"{name} reaches code that changed. If it computes something else now, raise its version "
        "in pipelines/stages.py; then run: python -m memtriggers.tests.stage_code "
        f'{name} [--because "why its results stay the same"]'
    )


def test_what_a_stage_reaches_is_found_wherever_it_is_named() -> None:
    reached = {n: {f.relative_to(ROOT).as_posix() for f in reached_by(n)} for n in STAGES}
    captions = {"pipelines/captions/source.py", "sql/filter/kept_rows.sql"}
    assert captions | {"sql/filter/distinct_samples.sql"} <= reached["filter"]  # in a loop
    encoder = "pipelines/clip/encoder.py"
    assert {encoder, "sql/embed/samples.sql"} <= reached["embed"]  # imported in a worker
    child = {"pipelines/warehouse/dbt_child.py", "models/macros/wilson.sql"}
    assert child | {"models/marts/clusters/removal_list.sql"} <= reached["build"]  # a process, dbt
    assert "sql/report/findings.sql" in reached["report"]  # named by a pattern
    assert "models/macros/is_copy.sql" in reached["score"]  # a macro of dbt's
    assert "sql/words/merged_word_counts.sql" in reached["words"]
    assert encoder not in reached["filter"]
    assert "sql/embed/samples.sql" not in reached["fetch"]


def test_a_stamp_of_the_first_edition_is_that_of_version_1() -> None:
    first = Stamp({"data": "a"}, {"filter": "b", "memtriggers": "0.1.0"})
    assert Stamp({"data": "a"}, {"filter": "b", VERSION: "1"}).changes_since(first) == []
    second = Stamp({"data": "a"}, {"filter": "b", VERSION: "2"})
    assert second.changes_since(first) == [VERSION]


def test_a_raised_version_makes_its_stage_stale_alone(lake: Lake) -> None:
    study = Study(lake.root, Data(("x.parquet",)), (KeywordSet("star", ("star",)),))
    stage = STAGES["report"]
    before = expected_stamp(stage, study, lake)
    raised = expected_stamp(replace(stage, version=stage.version + 1), study, lake)
    assert raised.changes_since(before) == [VERSION]
    assert expected_stamp(stage, study, lake).changes_since(before) == []


def test_a_fit_that_an_upgrade_writes_again_makes_nothing_stale(tmp_path: Path) -> None:
    fit, study = tmp_path / "fit.json", Study(tmp_path, Data(("x",)), (), risk=Risk(fit="fit.json"))
    fit.write_text("{}")
    before = risk_fit_fingerprint(study)
    os.utime(fit, (1, 1))
    assert risk_fit_fingerprint(study) == before
    fit.write_text("[]")
    assert risk_fit_fingerprint(study) != before
