"""The lake lies beside its study, unless it is named; until 0.3, `./lake` may stand in for it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.find_lake import lake_of_environment, refresh_command

BESIDE = "my studies/lake"
WARNING = (
    "WARNING: ./lake for a study in another folder goes with 0.3; say --lake lake, or move it "
    "beside the study\n"
)
STUDY = ("--study", "my studies/study.toml")
WITHOUT_STUDY = {
    "sql": ("select 1",),
    "export": ("kept", "--threshold", "0.9", "--output", "kept.csv"),
}


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path,
    make_study: Callable[..., object],
    write_captions: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The working directory; a study and its parquet lie in a folder below it."""
    make_study()
    write_captions("a star")
    below = tmp_path / "my studies"
    below.mkdir()
    for name in ("study.toml", "laion.parquet"):
        (tmp_path / name).rename(below / name)
    for variable in ("MEMTRIGGERS_LAKE", "MEMTRIGGERS_STUDY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def memtriggers(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def told(*arguments: str) -> tuple[str, str, str]:
    """The lake of `status`, why it is that one, and what is said on stderr."""
    done = memtriggers("status", "--json", *arguments)
    document = json.loads(done.stdout)
    return document["lake"], document["lake_why"], done.stderr


def test_it_lies_beside_the_study() -> None:
    assert told(*STUDY) == (BESIDE, "beside my studies/study.toml", "")
    printed = memtriggers("status", *STUDY).stdout
    assert f"\nlake: {BESIDE} (beside my studies/study.toml)\nthresholds: " in printed
    assert memtriggers("filter", *STUDY).exit_code == 0
    assert Path(BESIDE, "samples", "samples.parquet").exists()
    assert not Path("lake").exists()


def test_a_study_here_has_its_lake_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("my studies")
    assert told() == ("lake", "beside study.toml", "")
    Path("lake").mkdir()
    assert told("--study", str(Path("study.toml").absolute())) == (
        str(Path("lake").absolute()),
        f"beside {Path('study.toml').absolute()}",
        "",
    )


def test_a_lake_that_is_named_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("lake").mkdir()
    monkeypatch.setenv("MEMTRIGGERS_LAKE", "of the environment")
    assert told(*STUDY) == ("of the environment", "named by MEMTRIGGERS_LAKE", "")
    for order in ((*STUDY, "--lake", "typed"), ("--lake", "typed", *STUDY)):
        assert told(*order) == ("typed", "named by --lake", "")


def test_the_one_of_the_working_directory_stands_in_with_a_warning() -> None:
    Path("lake").mkdir()
    why = f"in the working directory, as there is no {BESIDE}"
    assert told(*STUDY) == ("lake", why, WARNING)
    Path(BESIDE).mkdir()
    assert told(*STUDY) == (BESIDE, "beside my studies/study.toml", "")


def test_the_study_of_the_environment_is_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMTRIGGERS_STUDY", STUDY[1])
    assert told() == (BESIDE, "beside my studies/study.toml", "")
    assert lake_of_environment().root == Path(BESIDE)
    monkeypatch.setenv("MEMTRIGGERS_LAKE", "of the environment")
    assert lake_of_environment().root == Path("of the environment")


@pytest.mark.parametrize("name", WITHOUT_STUDY)
def test_commands_without_a_study_look_beside_that_of_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "Error: {}: nothing is published yet; run: memtriggers refresh {}--lake {}"

    def said() -> str:
        return f"Error: {memtriggers(name, *WITHOUT_STUDY[name]).exception}"

    assert said() == error.format("lake", "", "lake")
    monkeypatch.setenv("MEMTRIGGERS_STUDY", STUDY[1])
    assert said() == error.format(BESIDE, shlex.join(STUDY) + " ", shlex.quote(BESIDE))
    monkeypatch.setenv("MEMTRIGGERS_LAKE", "named")
    assert said() == error.format("named", "", "named")


def test_the_demo_keeps_a_lake_of_its_own() -> None:
    said = " ".join(memtriggers("demo", "--help").output.split())
    assert "The folder of the lake. [default: memtriggers-demo]" in said


def test_a_schedule_names_the_lake_that_was_found(folder: Path) -> None:
    printed = memtriggers("refresh", *STUDY, "--print-schedule", "cron").stdout
    words = shlex.split(printed)
    assert words[words.index("--lake") + 1] == str(folder / BESIDE)


def test_what_refreshes_a_lake_names_the_study_beside_it() -> None:
    assert refresh_command(Path("lake")) == "memtriggers refresh --lake lake"
    assert refresh_command(Path(BESIDE)) == (
        f"memtriggers refresh {shlex.join(STUDY)} --lake '{BESIDE}'"
    )


@pytest.mark.parametrize("other", ["lake", "no lake"])
def test_what_init_prints_next_runs_the_study_in_a_lake_of_its_own(other: str) -> None:
    Path(other).mkdir()
    done = memtriggers("init", "my studies/laion.parquet", "--output", "my own/study.toml")
    (line,) = [line for line in done.stdout.splitlines() if "next: " in line]
    program, *arguments = shlex.split(line.partition("next: ")[2])
    planned = memtriggers(*arguments, "--dry-run")
    assert (program, planned.exit_code, planned.stderr) == ("memtriggers", 0, "")
    assert told(*arguments[1:])[0] == "my own/lake"
