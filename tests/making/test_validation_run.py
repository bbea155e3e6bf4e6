"""The study from end to end, at a tiny size: trained, scanned, asked, curated and trained again."""

import csv
import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from memtriggers.making.bundled import SAMPLE
from memtriggers.making.train_diffusion import AutoencoderRecipe
from memtriggers.making.validation import __main__ as command
from memtriggers.making.validation import lakes, rates, tables, trainings
from memtriggers.making.validation.trainings import Run
from memtriggers.tests import warm

pytestmark = pytest.mark.slow
PLANTED = SAMPLE / "planted"
GROUPS = [
    *(f"word_level-{n}-{n}-{i}" for n in (1, 8, 16) for i in (0, 1)),
    *("share-24-12-0", "share-24-12-1", "image_alone-8-8-0", "words_alone-12-0-0"),
]
BASE, TRIGGER = Run("nothing", 1), Run("trigger", 1, 20)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten groups of the planted rows, and what six other captions are about."""
    folder = tmp_path_factory.mktemp("plants")
    groups, rows, prompts = (
        read_csv(PLANTED / f"{name}.csv") for name in ("groups", "rows", "prompts")
    )
    others = [row for row in prompts if row["prompt_kind"] == "utility"][:6]
    asked = [row for row in prompts if row["group_id"] in GROUPS] + others
    whole = pq.read_table(PLANTED / "planted.parquet")
    planted = pa.array([row["url"] for row in rows if row["group_id"] in GROUPS])
    is_kept = pc.or_(
        pc.is_in(whole["URL"], planted),
        pc.is_in(whole["TEXT"], pa.array([row["prompt"] for row in others])),
    )
    pq.write_table(whole.filter(is_kept), folder / "planted.parquet")
    unseen = pq.read_table(PLANTED / "unseen.parquet").slice(0, 40)
    pq.write_table(unseen, folder / "unseen.parquet")
    write_csv(folder / "groups.csv", [row for row in groups if row["group_id"] in GROUPS])
    write_csv(folder / "rows.csv", rows)
    write_csv(folder / "prompts.csv", asked)
    return folder


@pytest.fixture(scope="module")
def study(plants: Path, tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Any:
    """The command, run once on them: two models that know next to nothing, four seeds a prompt.

    What such models draw is no copy of anything, so that the limit is put where half of it lies.
    """
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        for module in (command, tables, trainings):
            patch.setattr(module, "BASES", (BASE,))
        patch.setattr(command, "RUNS", (BASE, TRIGGER))
        patch.setattr(tables, "CURATED", (TRIGGER,))
        patch.setattr(command, "GUIDANCE", (3.0,))
        patch.setattr(trainings, "N_SEEDS", 4)
        patch.setattr(trainings, "VIEWS", 20)
        recipe = partial(AutoencoderRecipe, steps=60)
        patch.setattr(trainings, "AutoencoderRecipe", recipe)
        patch.setattr(lakes, "MEMTRIGGERS", warm.command("memtriggers"))
        for module in (lakes, rates):
            patch.setattr(module, "STEPS", 4)
        patch.setenv("MEMTRIGGERS_SCHEDULER", cluster)
        patch.setattr(rates, "N_UNPROMPTED", 64)
        patch.setattr(rates, "COPY", 1.0)

        def run() -> None:
            patch.setattr("sys.argv", ["validation", str(folder), "--plants", str(plants)])
            command.main()

        run()
        yield folder, run


def read(folder: Path, run: Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.read_images(run, folder / "results").to_pylist()
    return rows


def test_every_prompt_and_seed_is_one_row(study: Any, plants: Path) -> None:
    folder, _ = study
    asks = Counter(
        (row["group_id"], row["prompt_kind"]) for row in read_csv(plants / "prompts.csv")
    )
    found = Counter((row["group_id"], row["prompt_kind"]) for row in read(folder, BASE))
    assert found == {
        **{ask: 4 * n for ask, n in asks.items()},
        ("image_alone-8-8-0", "empty"): 64,
    }
    curated = {(row["group_id"], row["prompt_kind"]) for row in read(folder, TRIGGER)}
    assert {kind for _, kind in curated} == {"words", "held_out", "utility"}


def test_what_words_trigger_is_removed(study: Any, plants: Path) -> None:
    folder, _ = study
    whole = pq.read_table(plants / "planted.parquet")
    left = pq.read_table(trainings.asked_of(TRIGGER, plants, folder).rows)
    gone = set(whole["URL"].to_pylist()) - set(left["URL"].to_pylist())
    facts = {row["url"]: row for row in read_csv(plants / "rows.csv")}
    assert 0 < len(gone) <= 20
    assert {facts[url]["role"] for url in gone} <= {"exact", "variant"}
    assert all(facts[url]["group_id"].startswith(("word_level", "share")) for url in gone)
    still = {facts[url]["group_id"] for url in left["URL"].to_pylist()}
    assert still == {*GROUPS, "background"}, "one of each cluster stays"


def test_the_tables_say_what_was_left(study: Any) -> None:
    folder, _ = study
    nothing, trigger = read_csv(folder / "results" / "mitigation.csv")
    assert (nothing["arm"], nothing["n_removed"], float(nothing["left"])) == ("nothing", "0", 1.0)
    assert trigger["arm"] == "trigger" and 0 < int(trigger["n_removed"]) <= 20
    assert 0 <= float(trigger["concept"]) <= 1
    for name in ("risk_fit.json", "risk_fit.csv", "copies_until.csv", "rows_to_halve.csv"):
        assert (folder / "results" / name).stat().st_size > 0


def test_a_run_that_has_its_tables_is_not_done_again(study: Any) -> None:
    folder, run = study
    written = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*")}
    run()
    assert written == {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*")}


def test_the_same_seeds_give_the_same_tables(study: Any, plants: Path) -> None:
    """Trained again from the first step on, in another lake."""
    folder, run = study
    before = read(folder, BASE)
    for place in (folder / BASE.name, folder / "results" / BASE.name):
        shutil.rmtree(place)
    run()
    after = read(folder, BASE)
    keys = ("generator_id", "group_id", "prompt_kind", "prompt_id", "seed")
    assert [[row[key] for key in keys] for row in before] == [
        [row[key] for key in keys] for row in after
    ]
    distances = [[row["distance"] for row in rows] for rows in (before, after)]
    assert np.abs(np.subtract(*distances)).max() < 1e-4
