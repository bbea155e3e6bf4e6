"""status: a drawing on a terminal, a table that programs can read in a pipe."""

import io
from collections.abc import Callable
from dataclasses import replace

from click.testing import CliRunner
from rich.console import Console

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.status import stage_statuses
from memtriggers.pipelines.upkeep.status_drawing import StageStatus, draw_flow


def drawn(rows: list[StageStatus], width: int = 120) -> list[str]:
    file = io.StringIO()
    draw_flow(Console(file=file, width=width), rows)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_flow_shows_counts_and_what_is_stale_and_why(
    make_study: Callable[..., Study],
    write_captions: Callable[..., object],
    lake: Lake,
    run_stages: Callable[..., None],
) -> None:
    write_captions("a red star", "a blue star", "a flag")
    study = make_study("laion.parquet", star={"include": ["star"]})
    run_stages(study, "filter")
    lines = drawn(stage_statuses(study, lake))
    stages = [line.split()[1] for line in lines if line[0:1] in {"●", "▲", "○"}]
    assert stages[: len(STAGES)] == list(STAGES)
    assert lines[0].split()[:5] == ["●", "filter", "3", "→", "2"]
    assert lines[1].strip() == "│"
    assert lines[0].endswith("← parquet") and lines[2].startswith("▲ words")
    assert "▲ words is stale: never run" in lines
    assert "○ generate is skipped: the study has no [generator]" in lines
    assert not [line for line in lines if line.startswith("● filter is")]


def test_the_drawing_is_cut_to_the_terminal_and_hostile_text_stays_text() -> None:
    row = StageStatus("build", "stale", ["input \x1b[31mred"], 10**9, 10**9, "2026-01-01T00:00:00")
    lines = drawn([row, replace(row, state="fresh")], width=60)
    assert all(len(line) <= 60 for line in lines[:3])
    assert lines[0].split()[2:5] == ["1,000,000,000", "→", "1,000,000,000"]
    assert "\x1b" not in "".join(lines) and "\\x1b[31mred" in lines[-1]


def test_in_a_pipe_it_is_a_table(make_study: Callable[..., Study], lake: Lake) -> None:
    study = make_study("laion.parquet")
    arguments = ["status", "--study", str(study.folder / "study.toml"), "--lake", str(lake.root)]
    (study.folder / "laion.parquet").write_bytes(b"")
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    header, *rows = result.stdout.partition("\n\n")[0].splitlines()
    assert header.split()[:4] == ["stage", "state", "in", "out"]
    assert [row.split()[0] for row in rows] == list(STAGES)
