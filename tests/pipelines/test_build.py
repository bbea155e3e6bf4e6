"""build: what it publishes from an empty lake, and what stays when something goes wrong."""

import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.core.errors import BuildError, MissingExtra
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.registry import TABLES
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Data, KeywordSet, Study
from memtriggers.pipelines.warehouse import dbt_run
from memtriggers.pipelines.warehouse.parsed import is_ours, keep, parsed_file
from memtriggers.pipelines.warehouse.previous import export_previous, keep_for_next
from memtriggers.pipelines.warehouse.publish import publish

STAMP = Stamp({"cluster": "1"}, {"filter": "2"})
STUDY = Study(Path(), Data(("x.parquet",)), (KeywordSet("star", ("star",)),))
PUBLISHED = f"20260101T000000Z-{STAMP.digest}.duckdb"


@pytest.fixture
def published(lake: Lake) -> Lake:
    """A lake with a build in it, as small as one can be."""
    _publish(lake, PUBLISHED)
    return lake


def _publish(lake: Lake, name: str) -> None:
    lake.scratch.mkdir(parents=True, exist_ok=True)
    database = lake.scratch / name
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "create table build_info as select ? as build, ? as stamp", [name, STAMP.text]
        )
        connection.execute("create table samples as select 'x' as sample_id, 1 as n_rows")
        connection.execute("create table cluster_members (threshold double, cluster_id varchar)")
        connection.execute("alter table cluster_members add column sample_id varchar")
        keep_for_next(connection, lake.builds / Path(name).stem, STAMP, None)
    publish(lake, database, Path(name).stem)


def names_of_builds(lake: Lake) -> list[str]:
    return sorted(file.name for file in lake.builds.glob("*.duckdb"))


def _assert_nothing_changed(lake: Lake) -> None:
    assert names_of_builds(lake) == [PUBLISHED]
    assert build.recorded(lake) == (STAMP, STAMP.digest)
    assert not any(lake.scratch.iterdir())


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project, to break."""
    copy = tmp_path / "models"
    shutil.copytree(build.MODELS, copy)
    monkeypatch.setattr(build, "MODELS", copy)
    return copy


@pytest.fixture
def one_model(models: Path) -> Path:
    """The copy without all models but `words`: what fails, fails soon."""
    _remove_all_but(models, "words", "stg_words", "staging")
    return models


def _remove_all_but(models: Path, *names: str) -> None:
    for pattern in ("staging/*/*", "intermediate/*/*", "marts/**/*.*", "tests/*.sql"):
        for file in models.glob(pattern):
            if file.stem not in names:
                file.unlink()


def test_an_empty_lake_builds_with_empty_typed_tables(
    tmp_path: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(dbt_run, "NOT_BUILT", ())  # the models' unit tests run here, too
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBT_TARGET", "of another project")
    files = sorted(models.rglob("*"))
    lake = Lake(Path("lake"))
    counts = build.run(STUDY, lake, STAMP)

    assert (counts.n_in, counts.n_out) == (0, 0)
    assert build.recorded(lake) == (STAMP, STAMP.digest)
    assert not any(lake.scratch.iterdir())
    assert sorted(models.rglob("*")) == files  # dbt writes nothing beside the models
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []
    n_unit_tests = sum(file.read_text().count("    expect:") for file in models.rglob("*.yml"))
    assert f"{n_unit_tests} unit tests" in caplog.text
    with duckdb.connect(str(lake.current), read_only=True) as connection:
        for name in ("samples", "clusters", "removal_list", "funnel", "runs", "changes"):
            assert connection.execute(f"select count(*) from {name}").fetchone() == (0,)
        columns = connection.execute("describe samples").fetchall()
    types = {name: kind for name, kind, *_ in columns}
    assert (types["words"], types["similarity"]) == ("VARCHAR[]", "DOUBLE")


def _build_with(
    size: int, models: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> tuple[bool, bool]:
    """Whether dbt read the whole project, and whether a test met another size than three."""
    caplog.clear()
    folder.mkdir()
    run = dbt_run.DbtRun(models, folder, {"min_cluster_size": size})
    with duckdb.connect(str(run.database)) as connection:
        connection.execute("create schema lake; create table lake.words (word varchar)")
    try:
        run.build()
    except BuildError as error:
        assert "test size_is_three found size" in str(error)
    has_read_all = "Unable to do partial parsing" in caplog.text
    return has_read_all, "FAIL 1 size_is_three" in caplog.text


def test_dbt_reads_the_project_once_and_heeds_what_changed(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEMTRIGGERS_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.INFO)
    _remove_all_but(models)
    size = models / "tests" / "size_is_three.sql"
    size.write_text("select {{ env_var('MEMTRIGGERS_MIN_CLUSTER_SIZE') }} as size where size <> 3")

    assert _build_with(3, models, tmp_path / "1", caplog) == (True, False)
    assert _build_with(2, models, tmp_path / "2", caplog) == (False, True)
    size.write_text(size.read_text().replace("<>", "="))
    assert _build_with(3, models, tmp_path / "3", caplog) == (True, True)


def test_what_dbt_has_read_is_not_taken_from_others(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is SQL in it, which would be run."""
    monkeypatch.setenv("MEMTRIGGERS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "read").touch()
    kept = parsed_file(models)
    assert not is_ours(kept)
    keep(tmp_path / "read", kept)
    assert is_ours(kept)
    for may_be_written in (kept, kept.parent):
        may_be_written.chmod(0o777)
        assert not is_ours(kept)
        may_be_written.chmod(0o700)
    assert is_ours(kept)
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    (tmp_path / "cache").touch()  # where nothing can be kept, nothing fails
    keep(tmp_path / "read", kept)
    assert not is_ours(kept)


def test_a_failing_data_test_publishes_nothing_and_shows_rows(
    published: Lake, one_model: Path
) -> None:
    (one_model / "tests" / "broken.sql").write_text("select 'x' as sample_id, 7 as n_rows")
    with pytest.raises(BuildError, match=r"test broken found sample_id 'x', n_rows 7 \(1 in all\)"):
        build.run(STUDY, published, STAMP)
    _assert_nothing_changed(published)


def test_a_key_that_is_there_twice_publishes_nothing_and_is_named(
    published: Lake, models: Path
) -> None:
    _remove_all_but(models, "staging", "keys_of_the_lake_are_unique")
    row = {"word": "star", "n_captions": 1, "n_occurrences": 1, "is_stop_word": False}
    published.words.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row, row], TABLES["words"].schema), published.words)
    found = r"""lake_table 'words', key '\["star"\]', n_rows 2 \(1 in all\)"""
    with pytest.raises(BuildError, match=f"keys_of_the_lake_are_unique found {found}"):
        build.run(STUDY, published, STAMP)
    _assert_nothing_changed(published)


def test_a_model_that_fails_publishes_nothing(published: Lake, one_model: Path) -> None:
    (one_model / "marts" / "corpus" / "words.sql").write_text(
        "select nope from {{ ref('stg_words') }}"
    )
    with pytest.raises(BuildError, match=r'model words failed: .* column "nope" not found'):
        build.run(STUDY, published, STAMP)
    _assert_nothing_changed(published)


def test_a_model_that_cannot_be_parsed_publishes_nothing(published: Lake, one_model: Path) -> None:
    (one_model / "marts" / "corpus" / "words.sql").write_text(
        "select * from {{ ref('no_such_model') }}"
    )
    with pytest.raises(BuildError, match=r"marts/corpus/words\.sql.* 'no_such_model'"):
        build.run(STUDY, published, STAMP)
    _assert_nothing_changed(published)


def test_a_file_that_is_no_parquet_is_named(published: Lake) -> None:
    published.words.parent.mkdir(parents=True)
    published.words.write_text("not parquet")
    leftover = published.scratch / "build-of-a-killed-process"
    leftover.mkdir()
    with pytest.raises(BuildError, match=r"words\.parquet: cannot be read as words"):
        build.run(STUDY, published, STAMP)
    _assert_nothing_changed(published)


def test_a_column_that_is_missing_is_named(published: Lake) -> None:
    published.words.parent.mkdir(parents=True)
    duckdb.sql("select 'star' as word").write_parquet(str(published.words))
    with pytest.raises(BuildError, match=r"words\.parquet.*n_captions"):
        build.run(STUDY, published, STAMP)


def test_lance_tables_without_pylance_say_what_to_install(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = lake.vectors / "images.lance" / "_versions"
    versions.mkdir(parents=True)
    (versions / "1.manifest").touch()
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(MissingExtra, match=r"memtriggers\[embed\]"):
        build.run(STUDY, lake, STAMP)


def test_an_interrupt_ends_dbt_and_removes_what_it_wrote(published: Lake) -> None:
    code = f"""
import signal
from pathlib import Path
from memtriggers.pipelines import build
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Data, KeywordSet, Study
signal.signal(signal.SIGINT, signal.default_int_handler)
study = Study(Path(), Data(("x.parquet",)), (KeywordSet("star", ("star",)),))
build.run(study, Lake(Path({str(published.root)!r})), Stamp({{}}, {{}}))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    while not list(published.scratch.glob("build-*/target")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert stderr.strip().endswith("KeyboardInterrupt")
    _assert_nothing_changed(published)


def test_the_last_three_builds_are_kept(lake: Lake) -> None:
    names = [f"2026010{day}T000000Z-{STAMP.digest}.duckdb" for day in range(1, 6)]
    for name in names:
        _publish(lake, name)
    assert names_of_builds(lake) == names[2:]
    assert sorted(folder.name for folder in lake.builds.glob("*/")) == [n[:-7] for n in names[2:]]
    assert lake.current.readlink() == Path("builds") / names[-1]


def test_the_last_published_are_kept_whatever_their_names_say(lake: Lake) -> None:
    """The clock ran ahead, or the lake comes from a machine whose clock did."""
    ahead = [f"2099010{day}T000000Z-{STAMP.digest}.duckdb" for day in range(1, 4)]
    for name in ahead:
        _publish(lake, name)
    (lake.builds / "published.txt").unlink()  # as 0.1 left it
    for day in range(1, 5):
        name = f"2026010{day}T000000Z-{STAMP.digest}.duckdb"
        _publish(lake, name)
        assert lake.current.readlink() == Path("builds") / name
        assert build.recorded(lake) == (STAMP, STAMP.digest)
    assert names_of_builds(lake) == [
        f"2026010{day}T000000Z-{STAMP.digest}.duckdb" for day in range(2, 5)
    ]


OPEN_FOR_WRITING = """
import os, sys
import duckdb
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
try:
    duckdb.connect("current.duckdb")
except duckdb.Error as error:
    print(error)
else:
    sys.exit("it was opened")
print(duckdb.connect("current.duckdb", read_only=True).execute("from samples").fetchall())
"""


def test_nobody_opens_what_is_published_for_writing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(folder), lake := Path(folder) / "lake"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        _publish(Lake(lake), PUBLISHED)
        done = subprocess.run(
            [sys.executable, "-c", OPEN_FOR_WRITING, str(lake)], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert "Permission denied" in done.stdout
    assert "[('x', 1)]" in done.stdout


HOLD_OPEN = """
import os, sys
import duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_shell_that_holds_the_published_file_costs_no_changes(published: Lake) -> None:
    (published.builds / PUBLISHED).chmod(0o644)  # as root, or as 0.1 left it
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(published.current)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException):
            duckdb.connect(str(published.current), read_only=True)
        assert build.recorded(published) == (STAMP, STAMP.digest)  # and is not built again
        assert export_previous(published, Stamp({}, {})) == Path(PUBLISHED).stem
        holder.communicate("")
    rows = duckdb.read_parquet(str(published.parquet("exports", "previous_samples"))).fetchall()
    assert rows == [("x", 1)]


NIGHT = Stamp({"cluster": "1"}, {"filter": "3", "prompts": "none"})


def publish_again(lake: Lake, previous: str) -> str:
    """Publish what is published as the build of the next night; returns its name."""
    database, name = lake.scratch / "second.duckdb", f"20260102T000000Z-{NIGHT.digest}"
    shutil.copy(lake.current, database)
    with duckdb.connect(str(database), read_only=True) as connection:
        keep_for_next(connection, lake.builds / name, NIGHT, Path(previous).stem)
    publish(lake, database, name)
    return name


def test_the_second_build_of_a_refresh_says_what_the_first_one_did(published: Lake) -> None:
    """What `prompts` and the stages behind it bring changes no sample and no cluster."""
    assert export_previous(published, NIGHT) == Path(PUBLISHED).stem
    name = publish_again(published, Path(PUBLISHED).stem)
    prompted = Stamp(NIGHT.study, NIGHT.inputs | {"prompts": "made"})
    assert export_previous(published, prompted) == Path(PUBLISHED).stem
    another = Stamp(NIGHT.study, NIGHT.inputs | {"filter": "4"})
    assert export_previous(published, another) == name


def test_a_build_of_the_first_edition_is_compared_with(published: Lake) -> None:
    shutil.rmtree(published.builds / Path(PUBLISHED).stem)
    assert export_previous(published, NIGHT) == PUBLISHED  # as build_info names it here
    publish_again(published, PUBLISHED)
    prompted = Stamp(NIGHT.study, NIGHT.inputs | {"prompts": "made"})
    assert (
        export_previous(published, prompted) == PUBLISHED
    )  # by the second build of the night, too
    rows = duckdb.read_parquet(str(published.parquet("exports", "previous_samples"))).fetchall()
    assert rows == [("x", 1)]


def test_a_build_that_is_missing_or_damaged_counts_as_none(published: Lake) -> None:
    (published.builds / PUBLISHED).unlink()
    (published.builds / PUBLISHED).write_bytes(b"not a database")
    assert build.recorded(published) is None
    (published.builds / PUBLISHED).unlink()
    assert build.recorded(published) is None
    assert build.recorded(Lake(published.root / "elsewhere")) is None
