"""Which thresholds are used: named ones, or those around the one that is recommended, and why."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.clip.model import ClipChoice, find_clip
from memtriggers.pipelines.clip.recommended import (
    Recommendation,
    recommended_threshold,
    write_beside_weights,
)
from memtriggers.pipelines.clip.thresholds import resolve_thresholds
from memtriggers.pipelines.core.errors import LakeError, ModelError
from memtriggers.pipelines.core.lake import Lake, write_text
from memtriggers.pipelines.core.study import Clip, Data, Study
from memtriggers.pipelines.stages import STAGES, expected_stamp


@pytest.fixture
def folder(tiny_clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_clip, tmp_path / "tiny"))


@pytest.fixture
def study(make_study: Callable[..., Study], folder: Path) -> Study:
    return dataclasses.replace(make_study(), clip=Clip(str(folder)))


@pytest.fixture
def evaluated(study: Study, lake: Lake) -> Callable[..., None]:
    """Say that evaluations of the study's model recommend this."""

    def write(on: str, **recommended: float) -> None:
        found = {pairs: {"threshold": t, "reason": pairs} for pairs, t in recommended.items()}
        document = json.dumps({"recommended": found})
        write_text(lake.evaluation(find_clip(study).clip_id, on) / "summary.json", document)

    return write


def test_a_keyword_set_is_shown_at_its_own_threshold(
    make_study: Callable[..., Study], lake: Lake
) -> None:
    sets = {"star": {"include": ["star"], "threshold": 0.8}, "flag": {"include": ["flag"]}}
    found = resolve_thresholds(make_study(sections="[report]\nthreshold = 0.9\n", **sets), lake)
    assert (found.of("star"), found.of("flag")) == (0.8, 0.9)
    assert {0.8, 0.9} < set(found.computed)


def recommend(study: Study, lake: Lake) -> float:
    return recommended_threshold(find_clip(study), lake).threshold


def test_without_an_evaluation_it_is_as_ever_and_says_so(study: Study, lake: Lake) -> None:
    found = recommended_threshold(find_clip(study), lake)
    assert found == Recommendation(0.9, "not evaluated; run: memtriggers evaluate")
    assert resolve_thresholds(study, lake).computed == (0.85, 0.9, 0.95)
    assert resolve_thresholds(study, lake).report == 0.9


def test_the_best_evidence_recommends(
    study: Study, lake: Lake, evaluated: Callable[..., None]
) -> None:
    choice = find_clip(study)
    evaluated("sample", copies=0.7)
    assert recommend(study, lake) == 0.7
    write_beside_weights(choice, Recommendation(0.75, "as delivered"), {})
    assert recommended_threshold(choice, lake) == Recommendation(0.75, "as delivered")
    evaluated("labelled", copies=0.8)
    assert recommend(study, lake) == 0.8
    evaluated("lake", copies=0.83)
    assert recommend(study, lake) == 0.83
    evaluated("labelled", copies=0.8, labelled=0.87)
    assert recommend(study, lake) == 0.87


def test_what_came_with_other_weights_says_nothing(study: Study, lake: Lake, folder: Path) -> None:
    write_beside_weights(find_clip(study), Recommendation(0.75, "of the weights before"), {})
    with (folder / "open_clip_model.safetensors").open("ab") as weights:
        weights.write(b" ")
    assert recommend(study, lake) == 0.9


def test_what_came_with_the_weights_holds_under_another_name(
    study: Study, lake: Lake, folder: Path
) -> None:
    write_beside_weights(find_clip(study), Recommendation(0.75, "as delivered"), {})
    renamed = folder.rename(folder.with_name("renamed"))
    moved = dataclasses.replace(study, clip=Clip(str(renamed)))
    assert recommend(moved, lake) == 0.75


def test_the_bundled_model_comes_with_what_was_measured_of_these_weights(lake: Lake) -> None:
    found = recommended_threshold(find_clip(Study(Path(), Data(()), ())), lake)
    measured = re.fullmatch(
        r"pair precision (0\.99\d|1\.000) and recall (0\.\d+) on 5 copies of each of 435 .*",
        found.reason,
    )
    assert measured, "write it anew: memtriggers evaluate --sample --write-recommendation"
    assert 0.5 < found.threshold <= 0.99


def test_a_model_of_a_hub_has_no_folder_to_write_to() -> None:
    with pytest.raises(ModelError, match="ViT-B-32: comes from a hub"):
        write_beside_weights(ClipChoice("id", "ViT-B-32", "openai"), Recommendation(0.9, ""), {})


def test_a_file_that_cannot_be_read_is_named(
    study: Study, lake: Lake, folder: Path, evaluated: Callable[..., None]
) -> None:
    (folder / "recommended_threshold.json").write_text("{")
    with pytest.raises(ModelError, match=r"recommended_threshold\.json: cannot be read .* remove"):
        recommend(study, lake)
    evaluated("lake", copies=0.8)
    (lake.evaluation(find_clip(study).clip_id, "lake") / "summary.json").write_text("[1")
    with pytest.raises(LakeError, match=r"summary\.json: cannot be read .* remove it"):
        recommend(study, lake)


@pytest.mark.parametrize(
    ("recommended", "computed"),
    [
        (0.9, (0.85, 0.9, 0.95)),
        (0.97, (0.92, 0.97, 0.99)),
        (0.99, (0.94, 0.99)),
        (0.31, (0.26, 0.31, 0.36)),
    ],
)
def test_clusters_are_computed_around_the_recommended_threshold(
    study: Study,
    lake: Lake,
    evaluated: Callable[..., None],
    recommended: float,
    computed: tuple[float, ...],
) -> None:
    evaluated("lake", copies=recommended)
    assert resolve_thresholds(study, lake).computed == computed
    assert resolve_thresholds(study, lake).report == recommended


@pytest.mark.parametrize(
    ("sections", "computed", "report"),
    [
        ("[cluster]\nthresholds = [0.8, 0.7, 0.75]", (0.7, 0.75, 0.8), 0.75),
        ("[cluster]\nthresholds = [0.8, 0]\n[report]\nthreshold = 0", (0.0, 0.8), 0.0),
        ("[report]\nthreshold = 0.6", (0.6, 0.85, 0.9, 0.95), 0.6),
    ],
)
def test_what_the_study_names_is_used(
    make_embedded_study: Callable[..., Study],
    lake: Lake,
    sections: str,
    computed: tuple[float, ...],
    report: float,
) -> None:
    found = resolve_thresholds(make_embedded_study(sections), lake)
    assert (found.computed, found.report) == (computed, report)


@pytest.mark.parametrize("name", ["cluster", "build", "report"])
def test_a_new_evaluation_makes_what_reads_thresholds_stale(
    study: Study,
    lake: Lake,
    evaluated: Callable[..., None],
    write_captions: Callable[..., Path],
    name: str,
) -> None:
    write_captions("a star")
    before = expected_stamp(STAGES[name], study, lake)
    evaluated("lake", copies=0.8)
    assert expected_stamp(STAGES[name], study, lake).changes_since(before) == ["input thresholds"]
    named = dataclasses.replace(
        study, cluster=dataclasses.replace(study.cluster, thresholds=(0.5, 0.6))
    )
    before = expected_stamp(STAGES[name], named, lake)
    evaluated("lake", copies=0.7)
    assert expected_stamp(STAGES[name], named, lake) == before


def status(study: Study, lake: Lake, *arguments: str) -> str:
    file = ["--study", str(study.folder / "study.toml"), "--lake", str(lake.root)]
    done = CliRunner().invoke(cli, ["status", *file, *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_status_says_which_thresholds_and_why(
    make_embedded_study: Callable[..., Study], lake: Lake, write_captions: Callable[..., Path]
) -> None:
    write_captions("a star")
    study = make_embedded_study("[cluster]\nthresholds = [0.8]")
    lines = status(study, lake).splitlines()[-2:]
    assert lines[0] == "thresholds: 0.8 (named by the study); the report shows 0.8"
    assert lines[1].startswith("recommended for vit-b-32-openai-")
    assert lines[1].endswith(": 0.9 (not evaluated; run: memtriggers evaluate)")
    found: dict[str, Any] = json.loads(status(study, lake, "--json"))["thresholds"]
    assert (found["used"], found["recommended"]) == ([0.8], 0.9)
    around = status(make_embedded_study(), lake).splitlines()[-2]
    assert around == (
        "thresholds: 0.85, 0.9, 0.95 (around the recommended one); the report shows 0.9"
    )
