"""Whatever was lost, all say the same of it: exit code, last line, status and report."""

import html
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.tests import warm

WARNING = re.compile(r'<p class="warning" role="alert">(.*?)</p>', re.DOTALL)


@dataclass(frozen=True)
class Curator:
    """A folder with a study, pictures beside it, and what is said of its lake."""

    folder: Path
    scheduler: str

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    def write(self, name: str, *paths: str) -> None:
        rows = [{"url": path, "caption": f"a star, {name} {path}"} for path in paths]
        pq.write_table(pa.Table.from_pylist(rows), self.folder / name)

    def set(self, old: str, new: str) -> None:
        study = self.folder / "study.toml"
        text = study.read_text("utf-8")
        assert old in text
        study.write_text(text.replace(old, new), "utf-8")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = warm.command("memtriggers", *arguments)
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def refresh(self) -> "subprocess.CompletedProcess[str]":
        return self.run("refresh", "--scheduler", self.scheduler)

    def status(self) -> tuple[list[str], dict[str, str]]:
        """The warnings, and the error of each stage that failed."""
        done = self.run("status", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        failed = {s["stage"]: s["error"] for s in said["stages"] if s["error"] is not None}
        return said["warnings"], failed

    def head(self) -> list[str]:
        """What the head of the report warns of, as a person reads it."""
        before, found, _ = self.lake.report.read_text("utf-8").partition('<dl class="facts">')
        assert found
        texts = (re.sub(r"<[^>]+>", "", text) for text in WARNING.findall(before))
        return [" ".join(html.unescape(text).split()) for text in texts]


@pytest.fixture
def curator(tmp_path: Path, draw: Callable[..., bytes], tiny_clip: Path, cluster: str) -> Curator:
    (tmp_path / "images").mkdir()
    for number in range(4):
        (tmp_path / "images" / f"{number}.png").write_bytes(draw(number))
    (tmp_path / "study.toml").write_text(
        '[data]\nparquet = "*.parquet"\nimage_root = "images"\n'
        f'[fetch]\nmax_lost = 0.5\n[clip]\nmodel = "{tiny_clip}"\n'
        "[cluster]\nthresholds = [0.5]\n"
        '[[keyword_set]]\nname = "star"\ninclude = ["star"]\n',
        "utf-8",
    )
    return Curator(tmp_path, cluster)


def test_all_say_the_same(curator: Curator) -> None:
    all_is_well(curator)
    some_are_lost(curator)
    most_are_lost(curator)
    more_may_be_lost(curator)
    a_stage_fails(curator)


def all_is_well(curator: Curator) -> None:
    curator.write("a.parquet", *(f"{number}.png" for number in range(4)))
    done = curator.refresh()
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    assert "fetch: 4 in, 4 out, 0 lost\n" in done.stderr
    assert curator.status() == ([], {})
    assert curator.head() == []
    report = curator.lake.report.read_text("utf-8")
    findings = report.partition('id="findings"')[2].partition("</section>")[0]
    assert "could not" not in findings and "Of the others nothing is known" not in findings


def some_are_lost(curator: Curator) -> None:
    curator.write("b.parquet", "5.png", "6.png")
    done = curator.refresh()
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    assert "fetch: 2 in, 0 out, 2 lost (not_found 2)\n" in done.stderr
    assert curator.status() == ([], {})
    assert curator.head() == []
    ((n_lost, lost, n_asked, n_missing),) = curator.lake.sql(
        "select n_lost, lost, n_asked, n_missing from runs where stage = 'fetch' "
        "order by started_at desc limit 1"
    ).fetchall()
    assert (n_lost, lost, n_asked, n_missing) == (2, {"not_found": 2}, 6, 2)
    expected = {"keep": 1, "drop": 3, "not_judged": 2}
    counts = "select action, count(*) from removal_list where keep_rule = 'best' group by all"
    assert dict(curator.lake.sql(counts).fetchall()) == expected
    findings = curator.lake.report.read_text("utf-8").partition('id="findings"')[2]
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", findings)).split())
    assert "Measured on 4 of 6 samples that match" in text
    assert "take out 3 samples, 75.0 % of the 4 that were judged; 2 could not be." in text


def most_are_lost(curator: Curator) -> None:
    curator.write("c.parquet", *(f"{number}.png" for number in range(7, 13)))
    warning = "fetch: 8 of 12 samples have no image (not_found 8): more than [fetch] max_lost = 0.5"
    done = curator.refresh()
    for _ in range(2):
        assert done.returncode == 4, done.stderr
        assert done.stdout.endswith(f"; warning: {warning}\n") and done.stdout.count("\n") == 1
        assert curator.status() == ([warning], {})
        (said,) = curator.head()
        assert said.startswith(f"Lost more than the study allows: {warning}.")
        done = curator.refresh()
    assert done.stdout.startswith("nothing to do: every stage is up to date; warning: ")
    assert f"warning: {warning}" in curator.run("status").stdout
    since = curator.run("refresh", "--since", "1d")
    assert since.returncode == 4 and since.stdout.endswith(f"; warning: {warning}\n")
    alone = curator.run("fetch")
    assert (alone.returncode, alone.stderr) == (4, "")
    assert alone.stdout == f"fetch: 0 in, 0 out, 0 lost; warning: {warning}\n"


def more_may_be_lost(curator: Curator) -> None:
    """A limit changes what is said, and nothing that is computed."""
    curator.set("max_lost = 0.5", "max_lost = 0.7")
    done = curator.refresh()
    assert (done.returncode, done.stderr.count(" in, ")) == (0, 1), done.stderr
    assert re.fullmatch(r"refreshed report in \d+ s\n", done.stdout)
    assert curator.status() == ([], {})
    assert curator.head() == []


def a_stage_fails(curator: Curator) -> None:
    whole = (curator.folder / "c.parquet").read_bytes()
    (curator.folder / "c.parquet").write_bytes(whole[:-9])
    done = curator.refresh()
    assert (done.returncode, done.stdout) == (1, "")
    error = done.stderr.splitlines()[-1].removeprefix("Error: ")
    assert "c.parquet: not a readable parquet file" in error
    assert curator.status() == ([], {"filter": error})
    assert f" UTC: {error}" in curator.run("status").stdout
    (said,) = curator.head()
    assert re.match(r"The refresh of [-0-9]+ [:0-9]+ UTC failed\. What follows", said)
    assert said.endswith(error)
    (curator.folder / "c.parquet").write_bytes(whole)
    assert curator.refresh().returncode == 0
    assert curator.status() == ([], {})
    assert curator.head() == []


def test_a_lake_that_read_nothing_fails_everywhere(curator: Curator) -> None:
    curator.write("a.parquet", "5.png", "6.png")
    done = curator.refresh()
    assert (done.returncode, done.stdout) == (1, "")
    error = done.stderr.splitlines()[-1].removeprefix("Error: ")
    assert error.startswith("fetch: none of 2 samples has an image: not_found 2; the first was")
    assert curator.status() == ([], {"fetch": error})
    assert not curator.lake.report.exists()


def test_rejected_rows_warn_likewise(curator: Curator) -> None:
    curator.write("a.parquet", "0.png", "", "  ")
    done: Any = curator.run("filter")
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == (
        "filter: 3 in, 1 out, 2 lost (url_is_empty 2); warning: filter: 2 of 3 matching samples "
        "are rejected (url_is_empty 2): more than [data] max_rejected = 0.5\n"
    )
