"""The objects stage on planted rows: what was pasted in is found, at the rate that it has.

The study is the bundled one, on a part of its rows and of an image's tiles: a forward pass for each
of the 35 tiles of all 800 images takes minutes.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import BACKGROUND_IMAGES, GENERATED_IMAGES, IMAGES
from memtriggers.pipelines.captions.clip_tokens import count_clip_tokens
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.generate import GENERATORS
from memtriggers.pipelines.prompts import PROMPTS
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.reports import Report, check_figures

ROOT = Path(__file__).parents[3]
STUDIES, PLANTED = ROOT / "studies", ROOT / "sample" / "planted"
N_OF_A_SET = 32  # images of each keyword
N_LABELLED, N_OTHERS = 60, 60  # images of the background, of 600
SHARE = 0.5  # of the images of each keyword, by the plan of making/plant.py
ASKED = {  # prompt: its keyword set, family, and how many of its images show the flag, of how many
    "a yogurt poster": ("yogurt", "short", 9, 10),
    "yogurt": ("yogurt", "keywords", 5, 10),
    "a flag with yogurt": ("yogurt", "irrelevant", 2, 2),  # which asks for it
    "something else": ("yogurt", "without_name", 2, 2),  # which does not say the keyword
}

GENERATOR = {
    "generator_id": "g",
    "model": "planted",
    "weights_hash": "0",
    "scheduler": "DDIMScheduler",
    "steps": 1,
    "guidance_scale": 1.0,
    "width": 128,
    "height": 128,
    "dtype": "float32",
}

pytestmark = pytest.mark.slow  # the whole of a bundled study


@dataclass(frozen=True)
class Planted:
    """The study, the lake in which the stage has run, what it said, and what is true."""

    study: Path
    lake: Lake
    workers: tuple[str, str]  # the option that names them
    output: str
    truth: dict[str, str]  # role by sample_id
    held_out: set[str]  # sample_ids of the groups whose images nobody labelled


def run(study: Path, lake: Lake, *arguments: str) -> str:
    given = ["--study", str(study), "--lake", str(lake.root)]
    result = CliRunner().invoke(cli, [*arguments, *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, ten_tiles: None, cluster: str) -> Planted:
    """The study of objects, run on images and on what is made to look generated, once."""
    folder = tmp_path_factory.mktemp("objects")
    lake, rows = Lake(folder / "lake"), read_rows()
    study = write_study(folder, rows)
    for stage in ("filter", "fetch"):
        run(study, lake, stage)
    generate(lake, [row for row in rows if row["group_id"].startswith("object_level")])
    workers = ("--scheduler", cluster)
    output = run(study, lake, "objects", *workers)
    truth = {row["sample_id"]: row["role"] for row in rows}
    held_out = {
        row["sample_id"]
        for row in rows
        if row["group_id"] in ("object_level-32-16-1", "object_level-32-16-3")
    }
    return Planted(study, lake, workers, output, truth, held_out)


def write_study(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The bundled study, and the rows that it is asked about."""
    labelled, rows = read_labels(), sorted(rows, key=lambda row: row["sample_id"])
    others = [row for row in rows if not row["group_id"].startswith("object_level")]
    kept = [
        *[row for row in others if row["sample_id"] in labelled][:N_LABELLED],
        *[row for row in others if row["sample_id"] not in labelled][:N_OTHERS],
    ]
    for group in sorted({row["group_id"] for row in rows} - {row["group_id"] for row in others}):
        for role in ("object", "other"):
            of_role = [row for row in rows if (row["group_id"], row["role"]) == (group, role)]
            kept += of_role[: N_OF_A_SET // 2]
    table = [{name: row[name] for name in ("URL", "TEXT", "jpg")} for row in kept]
    pq.write_table(pa.Table.from_pylist(table), folder / "planted.parquet")
    text = (STUDIES / "objects.toml").read_text("utf-8").replace("../sample/planted/", "")
    (folder / "planted_flags.csv").write_bytes((STUDIES / "planted_flags.csv").read_bytes())
    (folder / "objects.toml").write_text(text, "utf-8")
    return folder / "objects.toml"


def read_labels() -> set[str]:
    with (STUDIES / "planted_flags.csv").open(encoding="utf-8") as file:
        return {row["sample_id"] for row in csv.DictReader(file)}


def read_rows() -> list[dict[str, Any]]:
    """The planted rows with their sample_id, group and role."""
    with (PLANTED / "rows.csv").open(encoding="utf-8", newline="") as file:
        known = {row["url"]: row for row in csv.DictReader(file)}
    table = pq.read_table(PLANTED / "planted.parquet", columns=["URL", "TEXT", "jpg"])
    return [
        known[row["URL"]]
        | row
        | {"sample_id": hashlib.md5(f"{row['URL']}\x1f{row['TEXT']}".encode()).hexdigest()}
        for row in table.to_pylist()
    ]


def generate(lake: Lake, rows: list[dict[str, Any]]) -> None:
    """Put planted images where generations are: of each prompt so many show the flag."""
    shows: Iterator[Any] = (row["jpg"] for row in rows if row["role"] == "object")
    others: Iterator[Any] = (row["jpg"] for row in rows if row["role"] == "other")
    prompts, images = [], []
    for text, (keyword_set, family, n_with, n) in ASKED.items():
        prompt_id = hashlib.md5(text.encode()).hexdigest()
        prompts.append(
            {
                "prompt_id": prompt_id,
                "keyword_set": keyword_set,
                "threshold": 0.9,
                "cluster_id": "c",
                "family": family,
                "prompt": text,
                "source": "file",
                "clip_tokens": count_clip_tokens(text),
                "status": "ok",
            }
        )
        images += [
            {
                "image_id": hashlib.md5(f"{text}{seed}".encode()).hexdigest(),
                "generator_id": "g",
                "prompt_id": prompt_id,
                "seed": seed,
                "status": "ok",
                "image": next(shows if seed < n_with else others),
                "width": 128,
                "height": 128,
                "generated_at": datetime.now(UTC),
            }
            for seed in range(n)
        ]
    lake.prompts.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(prompts, PROMPTS), lake.prompts)
    lake.generators.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([GENERATOR], GENERATORS), lake.generators)
    store = VectorStore(lake.vectors)
    store.append(GENERATED_IMAGES, pa.Table.from_pylist(images, GENERATED_IMAGES.schema))


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_discovery_finds_what_was_pasted_in_as_the_first_candidate(planted: Planted) -> None:
    first = [row for row in read(planted.lake.object_candidates) if row["candidate_rank"] == 1]
    assert {row["keyword_set"]: row["object"] for row in first} == dict.fromkeys(
        ("yogurt", "yellow ball", "nomad", "quiet bird", "abbot"), "US flag"
    )
    assert all(row["q_value"] < 0.01 and row["ci_low"] > 3 for row in first)
    assert all(row["background_rate"] <= 0.025 for row in first)


def test_the_interval_of_the_rate_contains_the_true_share(planted: Planted) -> None:
    rates = {
        r["keyword_set"]: r for r in read(planted.lake.object_rates) if r["population"] == "train"
    }
    assert len(rates) == 5
    for keyword_set, row in rates.items():
        assert row["n"] == N_OF_A_SET and row["rate"] <= SHARE, keyword_set
        assert row["corrected_ci_low"] <= SHARE <= row["corrected_ci_high"], keyword_set
    assert sum(row["rate"] for row in rates.values()) / 5 < SHARE, "it misses some"
    unseen = [rates[name]["corrected_rate"] for name in ("yellow ball", "quiet bird")]
    assert sum(unseen) / 2 == pytest.approx(SHARE, abs=0.15), "of labels that are of other sets"


def test_few_images_without_it_are_taken_for_it(planted: Planted) -> None:
    """Of keyword sets and a background of which no image was labelled."""
    labelled = read_labels()
    seen = [
        row
        for row in read(planted.lake.object_detections)
        if row["image_id"] not in labelled
        and not row["is_named"]
        and planted.truth.get(row["image_id"], "object") != "object"
    ]
    assert len(seen) > 0.9 * (N_OTHERS + 2 * N_OF_A_SET // 2), "a caption may say flag"
    assert sum(row["shows"] for row in seen) / len(seen) < 0.03
    found = [
        row["shows"]
        for row in read(planted.lake.object_detections)
        if row["image_id"] in planted.held_out and planted.truth[row["image_id"]] == "object"
    ]
    assert sum(found) / len(found) > 0.5


def test_a_box_lies_on_the_corner_that_the_flag_was_pasted_into(planted: Planted) -> None:
    boxes = [
        row["box"]
        for row in read(planted.lake.object_detections)
        if row["shows"] and planted.truth.get(row["image_id"]) == "object"
    ]
    # It covers 0.4 to 0.5 of the width at one of the corners.
    near = [
        min(left, 1 - right) < 0.2 and min(top, 1 - bottom) < 0.2
        for left, top, right, bottom in boxes
    ]
    assert sum(near) / len(near) > 0.8
    assert all(0 <= x <= 1 for box in boxes for x in box)


def test_generations_are_counted_where_the_prompt_asks_for_the_keyword_alone(
    planted: Planted,
) -> None:
    made = [r for r in read(planted.lake.object_rates) if r["population"] == "generated"]
    prompts = {r["family"]: r for r in made if r["prompt_id"] is not None}
    assert prompts.keys() == {"short", "keywords"}
    assert all(row["n"] == 10 for row in prompts.values())
    assert prompts["short"]["rate"] > prompts["keywords"]["rate"]
    (both,) = (row for row in made if row["family"] is None)
    assert both["n"] == 20 and both["generator_id"] == "g"
    trained = next(r for r in read(planted.lake.object_rates) if r["keyword_set"] == "yogurt")
    assert both["amplification"] == pytest.approx(
        both["corrected_rate"] / trained["corrected_rate"]
    )
    assert both["amplification_ci_low"] < 14 / 20 / SHARE < both["amplification_ci_high"]


def test_errors_are_printed_with_what_was_found(planted: Planted) -> None:
    assert "precision  recall  specificity" in planted.output
    assert "amplification" in planted.output and f"of {N_OF_A_SET}" in planted.output
    detectors = read(planted.lake.object_detectors)
    assert {row["population"] for row in detectors} == {"train", "generated"}
    for row in detectors:
        assert row["method"] == "labels"
        with_it = 3 * N_OF_A_SET // 2
        found = row["n_labelled_with"], row["n_labelled_without"]
        assert found == (with_it, with_it + N_LABELLED)
        assert row["specificity"] > 0.95 and row["sensitivity"] > 0.5 and row["precision"] > 0.8


def test_a_second_run_embeds_and_fetches_nothing_and_says_the_same(planted: Planted) -> None:
    store = VectorStore(planted.lake.vectors)
    names = sorted(path.stem for path in planted.lake.vectors.glob("*object_tiles*.lance"))
    assert len(names) == 2
    versions = {name: store.version(name) for name in (*names, BACKGROUND_IMAGES.name, IMAGES.name)}
    before = [read(path) for path in sorted((planted.lake.root / "objects").glob("*.parquet"))]
    run(planted.study, planted.lake, "objects", *planted.workers)
    after = [read(path) for path in sorted((planted.lake.root / "objects").glob("*.parquet"))]
    assert before == after and len(after) == 4
    assert versions == {name: store.version(name) for name in versions}


def test_a_lost_tile_is_made_again_and_nothing_else(planted: Planted) -> None:
    """What a kill leaves: some images have their tiles, others have none."""
    store = VectorStore(planted.lake.vectors)
    (name,) = (p.stem for p in planted.lake.vectors.glob("object_tiles*.lance"))
    n, before = store.count(name), read(planted.lake.object_detections)
    store.delete(name, "sample_id < '01'")
    assert store.count(name) < n
    run(planted.study, planted.lake, "objects", *planted.workers)
    assert store.count(name) == n
    scores = [(row["image_id"], row["shows"]) for row in read(planted.lake.object_detections)]
    assert scores == [(row["image_id"], row["shows"]) for row in before]


def test_captions_without_the_object_become_prompts(planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "paired.csv"
    assert "prompts: " in run(planted.study, planted.lake, "objects", "--paired", str(file))
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    detections = {r["image_id"]: r for r in read(planted.lake.object_detections)}
    assert len(rows) == sum(
        not row["shows"] for row in detections.values() if row["population"] == "train"
    )
    assert {row["family"] for row in rows} == {"caption"}
    assert all(row["keyword_set"] in row["prompt"] for row in rows)
    assert not any(detections[row["cluster"]]["shows"] for row in rows)


def test_the_tables_are_published_and_a_change_of_labels_makes_the_stage_stale(
    planted: Planted,
) -> None:
    study = load_study(planted.study)
    assert STAGES["objects"].why_stale(study, planted.lake) == []
    run(planted.study, planted.lake, "embed", *planted.workers)
    for stage in ("words", "cluster", "build", "report"):
        run(planted.study, planted.lake, stage)
    with duckdb.connect(str(planted.lake.current), read_only=True) as connection:
        (n,) = connection.execute(
            "select count(*) from object_detections join samples on sample_id = image_id "
            "where shows and not is_named"
        ).fetchone() or (0,)
        first = connection.execute(
            "select distinct object from object_candidates where candidate_rank = 1"
        ).fetchall()
    assert n > 30 and first == [("US flag",)]
    assert STAGES["objects"].why_stale(study, planted.lake) != [], "clusters are there now"
    report = Report(planted.lake.report.read_text(encoding="utf-8"))
    shown = [row for name in report.rows if name.startswith("object_") for row in report.rows[name]]
    assert len(shown) > 30 and check_figures(report, planted.lake) > 0
    boxes = [given for tag, given in report.elements if tag == "rect" and "x" in given]
    assert len(boxes) > 20
