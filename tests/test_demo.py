"""The demo, run once as a person runs it, and what its tables must say."""

import csv
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import lance
import networkx
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES
from memtriggers.pipelines.core.lake import Lake
from memtriggers.tests.reports import Report, check_figures

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "demo.toml"
THRESHOLD = 0.82
PLANTED = ROOT / "sample" / "planted"
GENERATION = ("[prompts]", "[generator]", "[score]")
MARTS = (
    "samples", "rejected_rows", "source_files", "keyword_sets", "keyword_matches", "funnel",
    "words", "clusters", "cluster_members", "cluster_thresholds",
    "keyword_clusters", "near_duplicates", "cluster_words", "word_sets", "removal_list", "runs",
    "risk_fits", "trigger_validation",
)  # fmt: skip


def memtriggers(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "memtriggers", *map(str, arguments)]


def ask(lake: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(lake / "current.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_ten_minutes_of_a_processor_and_three_gigabytes(demo: Any) -> None:
    print(f"demo: {demo.seconds:.0f} s of processors, {demo.peak_bytes / 1e9:.2f} GB at most")
    assert demo.seconds < 600
    assert demo.peak_bytes < 3e9
    assert str(demo.lake / "report" / "index.html") in demo.output


def test_it_scans_exactly_the_rows_that_its_model_was_trained_on(demo: Any) -> None:
    """The model's recipe holds a digest of its rows; the study names the same file."""
    study = tomllib.loads(STUDY.read_text("utf-8"))
    rows = (STUDY.parent / study["data"]["rows"]).resolve()
    model = (STUDY.parent / study["generator"]["model"]).resolve()
    recipe = json.loads((model / "recipe.json").read_text("utf-8"))
    assert recipe["rows_sha256"] == hashlib.sha256(rows.read_bytes()).hexdigest()
    assert recipe["views"] == study["risk"]["views"]
    assert ask(demo.lake, "select n_rows from source_files") == [(pq.read_metadata(rows).num_rows,)]


def test_the_copies_of_a_planted_group_lie_in_one_cluster(demo: Any) -> None:
    clusters: dict[str, set[str | None]] = {}
    found = ask(
        demo.lake,
        "select group_id, cluster_id, count(*) from "
        f"(from read_csv('{PLANTED / 'rows.csv'}') where role in ('exact', 'variant')) "
        "join samples using (url) join cluster_members using (sample_id) "
        f"join (select group_id, kind, n_copies from read_csv('{PLANTED / 'groups.csv'}')) "
        f"using (group_id) where threshold = {THRESHOLD} and n_copies > 1 "
        "and kind in ('word_level', 'share') group by all",
    )
    for group_id, cluster_id, _ in found:
        clusters.setdefault(group_id, set()).add(cluster_id)
    assert len(clusters) == 6
    assert all(len(ids) == 1 and None not in ids for ids in clusters.values()), clusters
    assert max(n for *_, n in found) == 64


def test_what_was_planted_often_comes_back_and_what_was_planted_once_does_not(demo: Any) -> None:
    found = ask(
        demo.lake,
        "select prompt, replication_rate, ci_low, ci_high from replication "
        "join prompts using (prompt_id) "
        "where metric = 'l2_relative' and reference = 'representatives'",
    )
    rates = {prompt: rest for prompt, *rest in found}
    rate = {prompt: values[0] for prompt, values in rates.items()}
    assert rate["angry horse"] > 0.9 and rate["dancing tree"] > 0.9  # 64 and 16 copies
    assert rate["brown lamp"] < 0.2  # one
    assert rate["happy lamp"] < 0.2  # the words alone
    assert rate["broken robot"] > 0.9 > 0.2 > rate["quiet horse"]  # 24 of 24 captions, 4 of 24
    assert all(low <= value <= high for value, low, high in rates.values())
    assert rates["angry horse"][1] > rates["brown lamp"][2], "whichever seeds one takes"


def test_the_planted_prompts_ask_for_their_own_groups() -> None:
    """They are those of the study, and name rows of the groups that their words are planted in."""
    with (PLANTED / "prompts.csv").open(encoding="utf-8", newline="") as file:
        asked = {row["prompt"]: row for row in csv.DictReader(file)}
    with (STUDY.parent / "demo_prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = list(csv.DictReader(file))
    groups = dict(
        duckdb.execute(
            "select md5(url || chr(31) || TEXT), group_id from read_parquet($rows) "
            "join read_csv($facts) using (url)",
            {"rows": str(PLANTED / "planted.parquet"), "facts": str(PLANTED / "rows.csv")},
        ).fetchall()
    )
    kinds = {"keywords": "words", "short": "held_out"}
    for row in prompts:
        known = asked[row["prompt"]]
        assert (groups[row["cluster"]], kinds[row["family"]]) == (
            known["group_id"],
            known["prompt_kind"],
        )


def test_what_it_says_to_ask_answers(demo: Any) -> None:
    commands = re.findall(r"memtriggers (sql .*)", demo.output)
    assert len(commands) == 3
    for command in commands:
        asked = memtriggers(*shlex.split(command), "--format", "csv")
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) > 1, command


def test_the_risk_says_so_from_the_rows_alone(demo: Any) -> None:
    risks = dict(
        ask(
            demo.lake,
            "select keyword_set, max(replication_risk) from word_sets "
            f"where threshold = {THRESHOLD} group by keyword_set",
        )
    )
    assert risks["angry horse"] > 0.9 > 0.5 > risks["quiet horse"]  # 4 of 24 captions
    assert "brown lamp" not in risks  # no cluster


def test_the_full_study_is_shown_as_one_that_was_measured_before(demo: Any) -> None:
    assert ask(demo.lake, "select count(distinct group_id) from trigger_validation")[0][0] >= 120
    page = (demo.lake / "report" / "index.html").read_text("utf-8")
    assert "What the risk was measured on" in page and "Not measured in this lake" in page


def test_the_report_says_what_comes_back_of_every_prompt(demo: Any) -> None:
    report = Report((demo.lake / "report" / "index.html").read_text("utf-8"))
    check_figures(report, Lake(demo.lake))
    (found,) = report.rows["findings"]
    assert int(found["n_prompts"][0]) == ask(demo.lake, "select count(*) from prompts")[0][0]
    assert found["copied_prompt"][0] == "angry horse"
    shown = report.rows["replication"]
    assert len(shown) == int(found["n_prompts"][0])
    assert shown[0]["keyword_set"][0] == "angry horse", "the largest cluster first"
    assert ("brown lamp", "–", "1") in {
        tuple(row[name][0] for name in ("keyword_set", "cluster_rank", "n_samples"))
        for row in shown
    }


def test_a_second_refresh_finds_nothing_to_do(demo: Any) -> None:
    before = sorted((demo.lake / "runs").iterdir())
    command = memtriggers("refresh", "--study", STUDY, "--lake", demo.lake)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "nothing to do: every stage is up to date\n"
    assert sorted((demo.lake / "runs").iterdir()) == before
    command = memtriggers("refresh", "--dry-run", "--study", STUDY, "--lake", demo.lake)
    planned = subprocess.run(command, capture_output=True, text=True, check=True)
    assert planned.stdout == done.stdout


@pytest.mark.parametrize("threshold", [THRESHOLD, 0.9, 0.95])
def test_clusters_are_the_components_of_the_graph(demo: Any, threshold: float) -> None:
    (table,) = (demo.lake / "lance").glob("image_vectors-*.lance")
    stored = lance.dataset(str(table)).to_table()
    ids = stored["sample_id"].to_pylist()
    vectors = np.array(stored["vector"].to_pylist(), dtype=np.float32).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(ids)))
    graph.add_edges_from(zip(*np.nonzero(vectors @ vectors.T >= threshold), strict=True))
    components = [[ids[i] for i in c] for c in networkx.connected_components(graph) if len(c) > 1]
    expected = sorted((min(members), sample) for members in components for sample in members)
    with duckdb.connect(str(demo.lake / "current.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select cluster_id, sample_id from cluster_members "
            "where threshold = $t and cluster_id is not null order by all",
            {"t": threshold},
        ).fetchall()
    assert found == expected
    assert len(expected) > 50


def test_the_published_file_stands_alone(demo: Any, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "renamed.db"
    copy.parent.mkdir()
    copy.write_bytes((demo.lake / "current.duckdb").read_bytes())
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copy}' as other (read_only)")
        for mart in MARTS:
            (n,) = connection.execute(f"select count(*) from other.{mart}").fetchone() or (0,)
            assert n > 0 or mart == "rejected_rows", mart
        connection.execute("use other")
        cluster = connection.execute(
            "select cluster_id from clusters where threshold = 0.9"
        ).fetchone()
        assert cluster is not None
        for call in (
            "duplicates_of('angry horse', 0.9)",
            f"cluster_words_of('{cluster[0]}', 0.9)",
            "removal_list_at(0.95, 'best')",
            "why_replicated('angry horse')",
        ):
            assert connection.execute(f"from {call}").fetchall() != [], call


def test_every_sample_is_accounted_for(demo: Any) -> None:
    with duckdb.connect(str(demo.lake / "current.duckdb"), read_only=True) as connection:
        statuses = connection.execute("select status, count(*) from samples group by 1").fetchall()
        n_matched = connection.execute("select count(distinct sample_id) from keyword_matches")
        assert [("embedded", n) for n in n_matched.fetchone() or ()] == statuses
        lost = connection.execute(
            "select keyword_set from funnel group by 1 "
            "having max(n_samples) - sum(n_lost) != min(n_samples)"
        ).fetchall()
    assert lost == []


def kill_once(process: "subprocess.Popen[str]", when: Callable[[], bool]) -> None:
    while process.poll() is None:
        if when():
            os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def without_generator(folder: Path) -> Path:
    """The demo's study, scanned alone."""
    blocks = STUDY.read_text("utf-8").replace("../sample", str(ROOT / "sample")).split("\n\n")
    kept = [block for block in blocks if not block.startswith(GENERATION)]
    study = folder / "study.toml"
    study.write_text("\n\n".join(kept), encoding="utf-8")
    return study


def kill_in_the_middle(command: list[str], when: Callable[[], bool]) -> None:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    killer = threading.Thread(target=kill_once, args=(process, when))
    killer.start()
    assert process.wait() == -signal.SIGKILL
    killer.join()


def test_killed_in_the_middle_of_embed(demo: Any, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    command = memtriggers("refresh", "--study", without_generator(tmp_path), "--lake", lake)

    def half_embedded() -> bool:
        return any((lake / "lance").glob("image_vectors-*.lance/_versions/*"))

    kill_in_the_middle(command, half_embedded)
    assert not (lake / "current.duckdb").exists()
    assert 0 < stored_vectors(lake) < stored_vectors(demo.lake)

    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = "nothing to compare with, this is the first build"
    assert re.fullmatch(
        rf"refreshed embed, cluster, build, report in \d+ s: {first}\n", done.stdout
    )
    for mart in MARTS:
        if mart != "runs":
            assert rows_of(lake, mart) == rows_of(demo.lake, mart), mart


def test_killed_in_the_middle_of_generate(demo: Any, tmp_path: Path) -> None:
    """A part of the images is taken away; what makes it again is killed after its first commit."""
    lake = Lake(shutil.copytree(demo.lake, tmp_path / "lake", symlinks=True))
    before, scores = generations(lake), score_tables(lake)
    taken = [row["image_id"] for row in before.values() if row["seed"] >= 12]
    (vectors,) = lake.vectors.glob("generated_vectors-*.lance")
    for table in (GENERATED_IMAGES.name, vectors.stem):
        VectorStore(lake.vectors).delete(table, f"image_id in ({', '.join(map(repr, taken))})")
    kept = len(generations(lake))

    stages = ("generate", "score")
    first, second = (memtriggers(s, "--study", STUDY, "--lake", lake.root) for s in stages)
    kill_in_the_middle(first, lambda: len(generations(lake)) > kept)
    assert kept < len(generations(lake)) < len(before)
    for command in (first, second):
        subprocess.run(command, capture_output=True, check=True)
    after = generations(lake)
    # An image depends a little on those that it is generated with, its vector on those it is
    # embedded with.
    for image_id, row in before.items():
        assert np.abs(pixels_of(row) - pixels_of(after[image_id])).max() <= 1
    assert without_images(after) == without_images(before)
    for name, rows in score_tables(lake).items():
        for row, expected in zip(rows, scores[name], strict=True):
            assert row == pytest.approx(expected, abs=1e-4), name


def generations(lake: Lake) -> dict[str, dict[str, Any]]:
    """The rows of the generated images but for when they were made; each is there once."""
    rows = VectorStore(lake.vectors).dataset(GENERATED_IMAGES.name).to_table().to_pylist()
    found = {row["image_id"]: row for row in rows}
    assert len(found) == len(rows)
    for row in rows:
        del row["generated_at"]
    return found


def pixels_of(row: dict[str, Any]) -> Any:
    return np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"), np.int16)


def without_images(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [{key: row[key] for key in row if key != "image"} for row in rows.values()]
    return sorted(kept, key=lambda row: row["image_id"])


def score_tables(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {
        path.name: pq.read_table(path).to_pylist()
        for path in sorted(lake.replication_scores.parent.glob("*.parquet"))
    }


def stored_vectors(lake: Path) -> int:
    (table,) = (lake / "lance").glob("image_vectors-*.lance")
    return int(lance.dataset(str(table)).count_rows())


def rows_of(lake: Path, mart: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(lake / "current.duckdb"), read_only=True) as connection:
        return connection.execute(f"select * from {mart} order by all").fetchall()
