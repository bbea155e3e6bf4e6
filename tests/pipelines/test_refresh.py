"""refresh: exactly what is stale, whatever happened before; and what a scheduler reads of it."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import KeywordSet, Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.refresh import stale_stages
from memtriggers.tests import warm
from memtriggers.tests.processor import measured, of_children

FILTER, WORDS, FETCH, EMBED, CLUSTER, BUILD, REPORT = FLOW = (
    *("filter", "words", "fetch", "embed", "cluster", "build", "report"),
)
ROWS = {  # the number of each row's picture: rows with the same one are duplicates
    "a.parquet": (1, 1, 2, 3),
    "b.parquet": (1, 4, 4, 5),
}
TABLES = ("samples", "clusters", "cluster_members", "cluster_words", "word_sets", "removal_list")


@dataclass(frozen=True)
class Refreshed:
    """A study and its lake in a folder of their own, and the cluster that embeds for it."""

    folder: Path
    scheduler: str | None

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    @property
    def study(self) -> Study:
        return load_study(self.folder / "study.toml")

    def copy(self, folder: Path) -> "Refreshed":
        """The same study and a copy of the lake in another folder; the parquet is shared."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)

    def edit(self, old: str, new: str) -> None:
        path = self.folder / "study.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, *options: str, **given: Any) -> "subprocess.CompletedProcess[str]":
        there = ("--scheduler", self.scheduler) if self.scheduler else ()
        command = warm.command("memtriggers", "refresh", *there, *options)
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **given)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.lake.sql(f"from {name} order by all").fetchall() for name in TABLES}

    def stages_run(self) -> list[str]:
        files = sorted(self.lake.runs.glob("*.json"))
        return [json.loads(file.read_text("utf-8"))["stage"] for file in files]


def write_rows(path: Path, images: Sequence[bytes]) -> None:
    rows = [
        {"URL": f"{path.name}{n}.png", "TEXT": f"a star, {path.name} {n}", "image": image}
        for n, image in enumerate(images)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture(scope="module")
def refreshed(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_clip: Path,
    draw: Callable[..., bytes],
    cluster: str,
) -> Refreshed:
    """A small lake, up to date."""
    folder = tmp_path_factory.mktemp("refreshed")
    for name, pictures in ROWS.items():
        write_rows(folder / name, [draw(picture) for picture in pictures])
    shutil.copytree(tiny_clip, folder / "tiny")
    (folder / "study.toml").write_text(
        f'[data]\nparquet = "{folder}/*.parquet"\nimage_column = "image"\n'
        f'[clip]\nmodel = "{folder}/tiny"\n'
        "[cluster]\nthresholds = [0.99, 0.999]\n"
        '[[keyword_set]]\nname = "star"\ninclude = ["star"]\n'
    )
    refreshed = Refreshed(folder, cluster)
    done = refreshed.run()
    assert done.returncode == 0, done.stderr
    first = "nothing to compare with, this is the first build"
    assert re.fullmatch(rf"refreshed {', '.join(FLOW)} in \d+ s: {first}\n", done.stdout)
    return refreshed


def test_nothing_new_takes_two_seconds_and_starts_nothing(refreshed: Refreshed) -> None:
    code = """
import sys
from memtriggers.pipelines.cli import main
try:
    main()
finally:
    heavy = {"dbt", "dask", "distributed", "torch", "open_clip", "lancedb"} & set(sys.modules)
    assert not heavy, heavy
"""
    seconds = []
    for _ in range(3):
        with measured(of_children) as used:
            done = subprocess.run(
                [sys.executable, "-c", code, "refresh"],
                capture_output=True, text=True, cwd=refreshed.folder,
            )  # fmt: skip
        seconds += used
        assert (done.stdout, done.stderr) == ("nothing to do: every stage is up to date\n", "")
    assert min(seconds) < 2


def changed_keyword_sets(study: Study) -> Study:
    return replace(study, keyword_set=(*study.keyword_set, KeywordSet("red", ("red",))))


def changed_threshold(study: Study) -> Study:
    return replace(study, cluster=replace(study.cluster, thresholds=(0.98, 0.999)))


def changed_threshold_of_a_set(study: Study) -> Study:
    (star,) = study.keyword_set
    return replace(study, keyword_set=(replace(star, threshold=0.999),))


def changed_follow_up(study: Study) -> Study:
    return replace(study, follow_up=replace(study.follow_up, top=3))


def changed_clip(study: Study) -> Study:
    return replace(study, clip=replace(study.clip, model="ViT-B-32", pretrained="openai"))


def changed_languages(study: Study) -> Study:
    return replace(study, words=replace(study.words, languages=("en", "de")))


def changed_fetch(study: Study) -> Study:
    return replace(study, fetch=replace(study.fetch, short_side=128))


def changed_report(study: Study) -> Study:
    return replace(study, report=replace(study.report, clusters=3))


def without_a_file(study: Study) -> Study:
    only = str(study.folder / "a.parquet")
    return replace(study, data=replace(study.data, rows=(only,)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda study: study, ()),
        (changed_keyword_sets, FLOW),
        (without_a_file, FLOW),
        (changed_languages, (WORDS, CLUSTER, BUILD, REPORT)),
        (changed_fetch, (FETCH, EMBED, CLUSTER, BUILD, REPORT)),
        (changed_clip, (EMBED, CLUSTER, BUILD, REPORT)),
        (changed_threshold, (CLUSTER, BUILD, REPORT)),
        (changed_threshold_of_a_set, (CLUSTER, BUILD, REPORT)),
        (changed_follow_up, (CLUSTER, BUILD, REPORT)),
        (changed_report, (REPORT,)),
    ],
)
def test_a_change_makes_stale_what_reads_it(
    refreshed: Refreshed, change: Callable[[Study], Study], expected: tuple[str, ...]
) -> None:
    assert tuple(stale_stages(change(refreshed.study), refreshed.lake)) == expected


def cut(file: Path) -> None:
    """Leave what a full disk, or a copy that was broken off, leaves of a file."""
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[: len(content) // 2])


def test_damaged_files_are_made_again_and_said(refreshed: Refreshed, tmp_path: Path) -> None:
    damaged = refreshed.copy(tmp_path / "damaged")
    for name in ("samples", "keyword_matches", "bigrams", "clusters", "cluster_members"):
        cut(getattr(damaged.lake, name))
    damaged.lake.words.write_bytes(b"")
    last, *others = sorted(damaged.lake.runs.glob("*.json"), reverse=True)
    last.write_bytes(b"")
    cut(others[0])
    planned = damaged.run("--dry-run").stdout
    assert "filter: samples.parquet is damaged, keyword_matches.parquet is damaged\n" in planned
    assert "words: words.parquet is damaged, bigrams.parquet is damaged\n" in planned
    for command in ("status", "doctor"):
        told = CliRunner().invoke(
            cli,
            [
                command,
                "--lake",
                str(damaged.lake.root),
                *(("--study", str(damaged.folder / "study.toml")) if command == "status" else ()),
            ],
            catch_exceptions=False,
        )
        assert told.exit_code == 0, told.output

    done = damaged.run()
    assert (done.returncode, done.stdout.partition(" in ")[0]) == (
        0,
        "refreshed filter, words, cluster",  # the rows are the same: so is the build of them
    ), done.stderr
    assert stale_stages(damaged.study, damaged.lake) == {}
    assert damaged.tables() == refreshed.tables()
    runs = {run["run_id"]: run["status"] for run in damaged.lake.recorded_runs()}
    assert (runs[last.stem], runs[others[0].stem]) == ("killed", "killed")
    assert damaged.run().stdout.startswith("nothing to do")


def test_what_no_stage_can_make_again_is_named(refreshed: Refreshed, tmp_path: Path) -> None:
    damaged = refreshed.copy(tmp_path / "damaged")
    decided = damaged.lake.root / "decisions" / "cluster_marks.parquet"
    decided.parent.mkdir()
    decided.write_bytes(b"PAR1")
    damaged.edit("0.99, 0.999", "0.98, 0.999")
    done = damaged.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: lake/decisions/cluster_marks.parquet: is damaged, and no stage can make it again "
        "(what was decided in the explorer): bring it back from a backup, or begin anew without "
        "it: rm lake/decisions/cluster_marks.parquet\n"
    )
    decided.unlink()
    assert damaged.run("--dry-run").stdout.startswith("cluster: study key cluster")


def test_a_plan_says_why_and_runs_nothing(refreshed: Refreshed, tmp_path: Path) -> None:
    changed = refreshed.copy(tmp_path / "changed")
    changed.edit("0.99, 0.999", "0.5")
    n_before = len(changed.stages_run())
    planned = changed.run("--dry-run")
    assert planned.stdout.splitlines() == [
        "cluster: study key cluster, input thresholds",
        "build: cluster is stale",
        "report: build is stale",
    ]
    assert len(changed.stages_run()) == n_before


def test_a_removed_file_leaves_the_tables_and_is_said(refreshed: Refreshed, tmp_path: Path) -> None:
    changed = refreshed.copy(tmp_path / "changed")
    changed.edit(f"{refreshed.folder}/*.parquet", f"{changed.folder}/*.parquet")
    (changed.folder / "b.parquet").unlink()
    n_before = len(changed.stages_run())
    done = changed.run()
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"refreshed {', '.join(FLOW)} in \d+ s: 4 samples gone, .*cluster.*\n",
        done.stdout,
    )
    assert changed.stages_run()[n_before:] == list(FLOW)
    runs = changed.lake.sql("select n_in from runs where stage = 'embed' order by run_id")
    assert runs.fetchall() == [(8,), (0,)]  # what stays is there already
    assert changed.lake.sql("select count(*), min(source_file) from samples").fetchall() == [
        (4, str(changed.folder / "a.parquet"))
    ]


def test_only_new_rows_are_fetched_embedded_and_compared(
    refreshed: Refreshed, tmp_path: Path, draw: Callable[..., bytes]
) -> None:
    changed = refreshed.copy(tmp_path / "changed")
    files = f'"{refreshed.folder}/*.parquet"'
    changed.edit(files, f'[{files}, "c.parquet"]')
    write_rows(changed.folder / "c.parquet", [draw(1), draw(2), draw(6)])
    n_before, planned = len(changed.stages_run()), changed.run("--dry-run").stdout.splitlines()
    done = changed.run()
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in planned] == changed.stages_run()[n_before:]
    assert ": 3 samples new, " in done.stdout
    runs = changed.lake.sql(
        "select stage, list(n_in order by run_id) from runs "
        "where stage in ('filter', 'fetch', 'embed', 'cluster') group by stage order by min(run_id)"
    )
    assert runs.fetchall() == [
        (FILTER, [8, 11]),
        (FETCH, [8, 3]),
        (EMBED, [8, 3]),
        (CLUSTER, [8, 3]),
    ]
    sizes = changed.lake.sql("select n_samples from clusters where threshold = 0.999 order by all")
    assert sizes.fetchall() == [(2,), (2,), (4,)]


def test_since_a_build_there_is_nothing_to_do(refreshed: Refreshed, tmp_path: Path) -> None:
    changed = refreshed.copy(tmp_path / "changed")
    changed.edit("[cluster]", "[report]\nclusters = 3\n[cluster]")
    done = changed.run("--since", "2h")
    assert re.fullmatch(r"nothing to do: there is a build since .* UTC\n", done.stdout)
    for earlier in ("2020-01-01", "2020-01-01T05:00+02:00"):
        assert changed.run("--since", earlier).stdout.startswith("nothing to do")
    assert changed.run("--since", "2999-01-01", "--dry-run").stdout == "report: study key report\n"
    refused = changed.run("--since", "yesterday")
    assert refused.returncode == 2
    assert "'yesterday' is neither a time ago (90m, 20h, 7d) nor a date" in refused.stderr


def test_two_at_once_do_the_work_once(refreshed: Refreshed) -> None:
    with refreshed.lake.lock():
        second = refreshed.run()
    assert second.returncode == 1
    assert f"process {os.getpid()} is writing to this lake; wait for it" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert second.stdout == ""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_undisturbed(
    refreshed: Refreshed, tmp_path: Path
) -> None:
    chance, killed = random.Random(0), Refreshed(tmp_path / "killed", scheduler=None)
    killed.folder.mkdir()
    shutil.copy(refreshed.folder / "study.toml", killed.folder)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "memtriggers", "refresh"],
            cwd=killed.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(chance.uniform(0.5, 8))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = killed.run()
    assert done.returncode == 0, done.stderr
    assert killed.tables() == refreshed.tables()
    assert not list(killed.lake.scratch.glob("build-*"))
