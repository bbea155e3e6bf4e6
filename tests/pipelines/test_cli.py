"""What a person meets at the prompt: help, exit codes, one clear line."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.commands.stage import stage_command
from memtriggers.pipelines.core.command_options import Option, sets
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.processor import measured, of_children

COMMANDS = sorted(cli.commands)


def memtriggers(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """The command as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "memtriggers", *arguments], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_one_sentence_and_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    first = (cli.commands[name].help or "").split("\n")[0]
    assert first.endswith(".") and first.count(". ") == 0
    assert f"Example:\n    memtriggers {name}" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    options = [p for p in cli.commands[name].params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert f"`{name}`" in readme


def test_a_new_option_is_declared_in_one_place(
    tmp_path: Path, make_study: Callable[..., object], write_captions: Callable[..., Path]
) -> None:
    write_captions("a star")
    make_study(star={"include": ["star"]})
    said: list[str] = []
    shout = Option(
        "--shout-it",
        "Say the words aloud.",
        changes=sets("words", "bigram_min_captions"),
        before=lambda study, lake, value: said.append(f"before, {value}"),
        after=lambda study, lake, value: f"{value}, {study.words.bigram_min_captions}",
        type=int,
    )
    stage = STAGES["words"]
    command = stage_command(replace(stage, options=(*stage.options, shout)))
    assert "--shout-it INTEGER" in CliRunner().invoke(command, ["--help"]).output
    files = ["--study", str(tmp_path / "study.toml"), "--lake", str(tmp_path / "lake")]
    without = CliRunner().invoke(command, files, catch_exceptions=False)
    assert (without.output, said) == ("words: 1 in, 2 out, 0 lost\n", [])
    given = CliRunner().invoke(command, [*files, "--shout-it", "7"], catch_exceptions=False)
    assert (given.output, said) == ("7, 7\nwords: 1 in, 2 out, 0 lost\n", ["before, 7"])


def test_no_argument_shows_the_flow_in_order() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 0
    places = [result.output.index(f"\n  {name} ") for name in STAGES]
    assert places == sorted(places)
    assert result.output.index("Beside the flow") > places[-1]


def test_help_answers_at_once() -> None:
    code = (
        "import sys, memtriggers.pipelines.cli\n"
        "heavy = {'torch', 'dask', 'dbt', 'lancedb', 'lance', 'duckdb', 'pyarrow', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    seconds = []
    for _ in range(5):
        with measured(of_children) as used:
            assert memtriggers("--help").returncode == 0
        seconds += used
    assert min(seconds) < 0.6  # 0.2 where nothing else uses the caches


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["filter"], 1, "Error: study.toml: no such study file"),
        (["filter", "--stdy", "x"], 2, "No such option '--stdy'"),
        (["nothing"], 2, "No such command 'nothing'"),
        (["sql", "select 1"], 1, "Error: lake: nothing is published yet"),
        (["sql"], 1, "Error: lake: nothing is published yet"),
        (["explore"], 1, "Error: lake: nothing is published yet"),
        (["explore", "--port", "high"], 2, "Invalid value for '--port'"),
        (["sql", "select 1", "--tables"], 2, "give one of: a QUERY, --file, --tables, --examples"),
        (["sql", "--example", "none"], 1, "no example is called 'none'; see: memtriggers sql --ex"),
        (["sql", "--example", "what_goes", "--set", "x=1"], 1, "what_goes takes keep_rule, thresh"),
        (["sql", "select $x", "--set", "x"], 2, "'x' is not NAME=VALUE"),
        (["init", "none.parquet"], 1, "none.parquet: no such file"),
        (["export", "kept", "--threshold", "0.9", "--output", "x.txt"], 1, "must end in .parquet"),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = memtriggers(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_damaged_table_of_the_store_is_one_line(tmp_path: Path) -> None:
    versions = tmp_path / "lake" / "lance" / "images.lance" / "_versions"
    versions.mkdir(parents=True)
    (versions / "1.manifest").write_bytes(b"not a manifest")
    result = memtriggers("doctor", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: lake/lance/images.lance: cannot be read: ")
    assert result.stderr.count("\n") == 1


def test_an_unreadable_parquet_file_is_one_line(
    tmp_path: Path, make_study: Callable[..., object]
) -> None:
    make_study()
    (tmp_path / "part-0.parquet").write_bytes(b"PAR1 cut short")
    result = memtriggers("refresh", cwd=tmp_path)
    assert result.returncode == 1
    assert "part-0.parquet: not a readable parquet file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_parquet_file_that_is_damaged_inside_is_one_line(
    tmp_path: Path, make_study: Callable[..., object], write_captions: Callable[..., Path]
) -> None:
    make_study()
    path = write_captions(*(f"a star with the number {number}" for number in range(20_000)))
    content = bytearray(path.read_bytes())
    content[1000:9000] = bytes(8000)
    path.write_bytes(content)
    result = memtriggers("filter", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {path}: is damaged within (")
    assert len(result.stderr.splitlines()) == 1


def test_status_before_anything_has_run(
    tmp_path: Path, make_study: Callable[..., object], write_captions: Callable[..., Path]
) -> None:
    write_captions("a star")
    make_study()
    result = memtriggers("status", "--json", cwd=tmp_path)
    stages = json.loads(result.stdout)["stages"]
    assert [stage["stage"] for stage in stages] == list(STAGES)
    skipped = [stage["stage"] for stage in stages if stage["state"] == "skipped"]
    assert skipped == ["prompts", "generate", "score", "objects"], "the study has none of that"
    assert {stage["state"] for stage in stages} == {"stale", "skipped"}
    assert not (tmp_path / "lake").exists()


def test_status_says_why_a_stage_is_stale(
    tmp_path: Path, make_study: Callable[..., object], write_captions: Callable[..., Path]
) -> None:
    write_captions("a star")
    make_study(star={"include": ["star"]})
    assert memtriggers("filter", cwd=tmp_path).returncode == 0
    make_study(moon={"include": ["moon"]})
    first = json.loads(memtriggers("status", "--json", cwd=tmp_path).stdout)["stages"][0]
    assert (first["state"], first["why"]) == ("stale", ["study key keyword_set"])
    write_captions("a star", "a moon")
    first = json.loads(memtriggers("status", "--json", cwd=tmp_path).stdout)["stages"][0]
    assert first["why"] == ["study key keyword_set", "input parquet"]


def test_a_set_that_matches_nothing_is_said_and_is_no_error(
    tmp_path: Path, make_study: Callable[..., object], write_captions: Callable[..., Path]
) -> None:
    write_captions("a star")
    make_study(moon={"include": ["moon"]})
    result = memtriggers("filter", cwd=tmp_path)
    assert result.returncode == 0
    assert "keyword set 'moon' matches no caption" in result.stderr
