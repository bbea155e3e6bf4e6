"""What lies in files is seen whenever it changes, and nothing runs when it does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.captions.files import find_files
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp, file_fingerprint, read_parquet_stamp
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.declared.inputs import INPUTS, in_recorded_words
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.refresh import stale_stages

LONG_AGO = 1_600_000_000 * 10**9  # ns

RunStages = Callable[..., None]
MakeStudy = Callable[..., Study]
Write = Callable[..., Path]


def set_time(file: Path, time: int = LONG_AGO) -> None:
    os.utime(file, ns=(time, time))


def why(study: Study, lake: Lake, stage: str) -> list[str]:
    return STAGES[stage].why_stale(study, lake)


@pytest.fixture
def filtered(write_laion: Write, make_study: MakeStudy, run_stages: RunStages) -> Study:
    write_laion({}, {})
    study = make_study()
    run_stages(study, "filter", "words")
    return study


def test_a_touch_or_the_same_rows_again_run_nothing(
    filtered: Study, lake: Lake, write_laion: Write
) -> None:
    file = write_laion({}, {})
    for time in (LONG_AGO, 4_000_000_000 * 10**9):
        set_time(file, time)
        assert why(filtered, lake, "filter") == why(filtered, lake, "words") == []


def test_other_rows_are_seen_whatever_the_clock_says(
    filtered: Study, lake: Lake, write_laion: Write
) -> None:
    set_time(write_laion({}, {"TEXT": "a picture of thing X"}))
    assert why(filtered, lake, "filter") == why(filtered, lake, "words") == ["input parquet"]


def test_the_same_size_and_time_is_trusted_but_for_rehash(
    filtered: Study, lake: Lake, write_laion: Write
) -> None:
    file = write_laion({}, {})
    set_time(file)
    assert not why(filtered, lake, "filter")
    size = file.stat().st_size
    data = file.read_bytes()
    file.write_bytes(data.replace(b"UNLIKELY", b"UNLIKELX"))
    set_time(file)
    assert file.stat().st_size == size and file.read_bytes() != data
    assert not why(filtered, lake, "filter")
    command = ["refresh", "--dry-run", "--study", str(filtered.folder / "study.toml")]
    plan = CliRunner().invoke(cli, [*command, "--lake", str(lake.root)])
    assert "filter" not in plan.output
    plan = CliRunner().invoke(cli, [*command, "--lake", str(lake.root), "--rehash"])
    assert "filter: input parquet\n" in plan.output


def test_names_of_files_count(filtered: Study, lake: Lake) -> None:
    (filtered.folder / "laion.parquet").rename(filtered.folder / "other.parquet")
    assert why(filtered, lake, "filter") == ["input parquet"]


@pytest.fixture
def of_last_version(
    filtered: Study, lake: Lake, monkeypatch: pytest.MonkeyPatch, run_stages: RunStages
) -> Study:
    """A lake whose stamps are those of 0.2: paths, sizes and times."""

    def by_time(study: Study, lake: Lake) -> str:
        return file_fingerprint(find_files(study))

    with monkeypatch.context() as patch:
        patch.setitem(INPUTS, "parquet", by_time)
        run_stages(filtered, "filter", "words")
    return filtered


def test_an_upgrade_makes_nothing_stale(
    of_last_version: Study, lake: Lake, run_stages: RunStages
) -> None:
    stamp = recorded(lake)
    assert stamp.inputs["parquet"] == file_fingerprint(find_files(of_last_version))
    assert not why(of_last_version, lake, "filter") and not why(of_last_version, lake, "words")
    assert set(stale_stages(of_last_version, lake)).isdisjoint({"filter", "words"})
    set_time(of_last_version.folder / "laion.parquet")
    assert why(of_last_version, lake, "filter") == ["input parquet"]  # as 0.2 would have said
    run_stages(of_last_version, "filter")
    set_time(of_last_version.folder / "laion.parquet", LONG_AGO + 1)
    assert not why(of_last_version, lake, "filter")


def test_words_are_not_counted_again_after_an_upgrade(
    of_last_version: Study, lake: Lake, make_study: MakeStudy, run_stages: RunStages
) -> None:
    counted = pq.read_table(lake.words)
    pq.write_table(counted.slice(1), lake.words)  # a count would put the first word back
    study = make_study(other={"include": ["thing"]})
    assert why(study, lake, "words") == ["study key keyword_set"]
    run_stages(study, "words")
    assert pq.read_table(lake.words).num_rows == counted.num_rows - 1
    assert not why(study, lake, "words")


def recorded(lake: Lake) -> Stamp:
    stamp = read_parquet_stamp(lake.samples)
    assert stamp is not None
    return stamp


def test_a_file_of_prompts_counts_by_its_bytes(
    make_study: MakeStudy, lake: Lake, tmp_path: Path
) -> None:
    study, file = make_study(sections='[prompts]\nfile = "mine.csv"'), tmp_path / "mine.csv"
    assert INPUTS["prompt_file"](study, lake) == "none"
    file.write_text("keyword_set,prompt\na,one\n")
    before = INPUTS["prompt_file"](study, lake)
    set_time(file)
    assert INPUTS["prompt_file"](study, lake) == before
    of_0_2, now = (Stamp({}, {"prompt_file": text}) for text in (time_of(file), before))
    assert in_recorded_words(now, of_0_2, study, lake) == of_0_2
    file.write_text("keyword_set,prompt\na,two\n")
    set_time(file)
    assert INPUTS["prompt_file"](study, lake) != before


def time_of(file: Path) -> str:
    return file_fingerprint([str(file)])
