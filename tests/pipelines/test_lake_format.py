"""The number of a lake's format: written with it, and heeded by every command that opens it."""

import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from memtriggers import Lake as PublicLake
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core import lake_format
from memtriggers.pipelines.core.errors import LakeError, MemtriggersError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.doctor import print_doctor

FIRST_EDITION = Path(__file__).parents[1] / "first_edition" / "lake.tar.xz"
WITHOUT_A_LAKE = {"init", "probe"}
ARGUMENTS = {
    "sql": ["select 1"],
    "search": ["a star"],
    "export": ["kept", "--threshold", "0.9", "--output", "kept.csv"],
}
READERS = ("status", "doctor", "sql", "search", "explore", "export")


def invoke(*arguments: str) -> Result:
    """A command in this process; its error is in `exception`, as `main` gets it."""
    return CliRunner().invoke(cli, arguments)


def error_of(*arguments: str) -> str:
    """The one line that a command prints of its error."""
    raised = invoke(*arguments).exception
    assert isinstance(raised, MemtriggersError), raised
    assert "\n" not in str(raised)
    return str(raised)


@pytest.fixture
def folder(
    tmp_path: Path,
    write_captions: Callable[..., Path],
    make_study: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A working directory with a study and no lake yet."""
    write_captions("a star", "a moon")
    make_study(star={"include": ["star"]})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first_edition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The lake of version 0.1, and its study beside it."""
    unpacked = tmp_path_factory.mktemp("first")
    with tarfile.open(FIRST_EDITION) as tar:
        tar.extractall(unpacked, filter="data")
    yield unpacked / "lake"
    shutil.rmtree(unpacked)


def contents(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below a folder."""
    files = [(path, path.lstat()) for path in sorted(root.rglob("*"))]
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in files}


def test_a_new_lake_gets_todays_number(folder: Path) -> None:
    assert invoke("filter").exit_code == 0
    assert (folder / "lake" / "format").read_bytes() == b"1\n"
    assert not list((folder / "lake").glob("format.*"))
    assert invoke("words").exit_code == 0
    assert (folder / "lake" / "format").read_bytes() == b"1\n"


@pytest.mark.parametrize("name", sorted(cli.commands.keys() - WITHOUT_A_LAKE))
def test_every_command_refuses_a_newer_lake_and_leaves_it_alone(folder: Path, name: str) -> None:
    lake = folder / "lake"
    (lake / "runs").mkdir(parents=True)
    (lake / "format").write_text("2\n")
    before = contents(folder)
    line = error_of(name, *ARGUMENTS.get(name, []), "--lake", "lake")
    assert line == (
        "lake: the lake has format 2, and this version of memtriggers knows formats up to 1; "
        "upgrade it: pip install --upgrade memtriggers"
    )
    assert contents(folder) == before


def test_every_command_that_has_no_lake_is_named_here() -> None:
    without = {
        name
        for name, command in cli.commands.items()
        if "lake" not in {option.name for option in command.params}
    }
    assert without == WITHOUT_A_LAKE


def test_the_command_line_exits_with_1_and_python_raises(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from memtriggers.pipelines.cli import main

    (folder / "lake").mkdir()
    (folder / "lake" / "format").write_text("12\n")
    monkeypatch.setattr("sys.argv", ["memtriggers", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (1, "")
    assert printed.err.startswith("Error: lake: the lake has format 12, ")
    assert printed.err.count("\n") == 1
    with pytest.raises(LakeError, match="format 12"):
        PublicLake("lake")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"", "nothing"),
        (b"\n", r"'\n'"),
        (b"1", "'1'"),  # cut before its end
        (b"0\n", r"'0\n'"),
        (b"-1\n", r"'-1\n'"),
        (b"one\n", r"'one\n'"),
        (b"1\n2\n", r"'1\n2\n'"),
        (b"1.0\n", r"'1.0\n'"),
        (b"9" * 5000 + b"\n", f"'{'9' * 20}'"),
        ("١\n".encode(), r"'١\n'"),
        (b"\xff\x00\n", r"'�\x00\n'"),
    ],
)
def test_a_file_that_is_no_number_is_one_line(folder: Path, content: bytes, shown: str) -> None:
    (folder / "lake").mkdir()
    (folder / "lake" / "format").write_bytes(content)
    for command in ("status", "filter", "doctor"):
        assert error_of(command) == (
            f"lake/format: holds {shown} where the number of the lake's format and a newline "
            "should be; if this version of memtriggers wrote the lake, put it back: "
            "echo 1 > lake/format"
        )


def test_a_file_that_cannot_be_read_is_one_line(folder: Path) -> None:
    (folder / "lake" / "format").mkdir(parents=True)
    assert error_of("status") == "lake/format: cannot be read: Is a directory"


def test_a_lake_of_0_1_opens_and_readers_leave_it_as_it_is(first_edition: Path) -> None:
    assert not (first_edition / "format").exists()
    (first_edition / "tmp").mkdir(exist_ok=True)  # where doctor's and sql's DuckDB would spill
    before = contents(first_edition)
    asked = invoke("sql", "select count(*) from samples", "--lake", str(first_edition))
    assert asked.exit_code == 0, asked.exception
    assert invoke("doctor", "--lake", str(first_edition)).exit_code == 0
    study = ("--study", str(first_edition.parent / "study.toml"))
    asked = invoke("status", *study, "--lake", str(first_edition))
    assert asked.exit_code == 0, asked.exception
    output = str(first_edition.parent / "kept.csv")
    export = ("export", "kept", "--threshold", "0.99", "--output", output)
    assert invoke(*export, "--lake", str(first_edition)).exit_code == 0
    assert contents(first_edition) == before


def test_a_lake_of_0_1_gets_its_number_when_it_is_written_to(
    first_edition: Path, folder: Path
) -> None:
    published = (first_edition / "current.duckdb").readlink()
    assert invoke("filter", "--lake", str(first_edition)).exit_code == 0
    assert (first_edition / "format").read_bytes() == b"1\n"
    assert (first_edition / "current.duckdb").readlink() == published


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two formats later: the first migration renames a folder, the second writes a file."""

    def rename(root: Path) -> None:
        if (root / "samples").exists():  # not yet
            (root / "samples").rename(root / "rows")

    def note(root: Path) -> None:
        (root / "third").write_text("here")

    monkeypatch.setattr(lake_format, "FORMAT", 3)
    monkeypatch.setattr(lake_format, "MIGRATIONS", {1: rename, 2: note})


@pytest.mark.parametrize("number", [None, 1, 2, 3])
@pytest.mark.usefixtures("third")
def test_an_older_lake_is_migrated_when_it_is_written_to(
    tmp_path: Path, number: int | None
) -> None:
    (tmp_path / "samples").mkdir()
    if number is not None:
        (tmp_path / "format").write_text(f"{number}\n")
    with Lake(tmp_path).lock():
        assert (tmp_path / "rows").exists() == (number in (None, 1))
        assert (tmp_path / "third").exists() == (number != 3)
    assert (tmp_path / "format").read_text() == "3\n"


@pytest.mark.usefixtures("third")
def test_a_new_lake_needs_no_migration(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "format.tmp").touch()  # of one that was killed as it began
    with Lake(tmp_path / "lake").lock():
        assert {path.name for path in (tmp_path / "lake").iterdir()} == {".lock", "format"}
    assert (tmp_path / "lake" / "format").read_text() == "3\n"


@pytest.mark.usefixtures("third")
@pytest.mark.parametrize("name", READERS)
def test_who_reads_an_older_lake_is_told_to_migrate_it(folder: Path, name: str) -> None:
    (folder / "lake").mkdir()
    (folder / "lake" / "format").write_text("2\n")
    before = contents(folder)
    assert error_of(name, *ARGUMENTS.get(name, []), "--lake", "lake") == (
        "lake: the lake has format 2, this version of memtriggers reads 3; "
        "migrate it: memtriggers refresh --lake lake"
    )
    assert contents(folder) == before
    assert "migrate it" in error_of("refresh", "--dry-run")


def test_a_killed_migration_goes_on_where_it_was(
    tmp_path: Path, third: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path) -> None:
        raise KeyboardInterrupt

    (tmp_path / "samples").mkdir()
    with monkeypatch.context() as patched:
        patched.setitem(lake_format.MIGRATIONS, 2, fail)
        with suppress(KeyboardInterrupt), Lake(tmp_path).lock():
            pytest.fail("it was interrupted")
    assert (tmp_path / "rows").exists() and (tmp_path / "format").read_text() == "2\n"
    with Lake(tmp_path).lock():
        assert (tmp_path / "third").exists()


def test_without_a_migration_the_error_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lake").mkdir()
    (folder / "lake" / "format").write_text("1\n")
    monkeypatch.setattr(lake_format, "FORMAT", 3)
    monkeypatch.setattr(lake_format, "MIGRATIONS", {1: lambda root: None})
    for name in ("filter", "status"):
        assert error_of(name) == (
            "lake: the lake has format 1, this version of memtriggers has 3, and no migration from "
            "2 to 3; make a new lake: --lake NEW"
        )


def test_a_lake_that_became_newer_after_it_was_opened_is_not_written_to(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.lock():
        pass
    (tmp_path / "format").write_text("2\n")
    before = contents(tmp_path)
    with pytest.raises(LakeError, match="format 2"), lake.lock():
        pytest.fail("it was locked")
    assert contents(tmp_path) == before
    with pytest.raises(LakeError, match="format 2"):
        print_doctor(lake, 10)


def test_every_stage_is_among_the_commands_that_are_asked() -> None:
    assert STAGES.keys() <= cli.commands.keys() - WITHOUT_A_LAKE


def test_todays_lakes_need_no_migration() -> None:
    assert set(lake_format.MIGRATIONS) == set(range(1, lake_format.FORMAT))
