"""A stage that loses everything it was given says so: what was not read never looks clean."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.losses import Outcome, refuse_total_loss
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES

IMAGES = 'image_root = "images"'


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", "memtriggers", *arguments]
    return subprocess.run(whole, cwd=folder, capture_output=True, text=True)


def test_a_refresh_that_reads_no_image_fails_each_time_until_one_is_there(
    tmp_path: Path, lake: Lake, write_laion: Any, make_study: Any, draw: Callable[..., bytes]
) -> None:
    """In `studies`, say, where the images lie beside another folder."""
    write_laion(*({"URL": f"{name}.png", "TEXT": name} for name in "abcd"))
    images = tmp_path / "images"
    images.mkdir()
    (images / "d.png").write_text("no picture")
    make_study(data=IMAGES)
    for _ in range(2):
        done = command(tmp_path, "refresh")
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith(
            "Error: fetch: none of 4 samples has an image: not_found 3, not_an_image 1; the first "
            f"was a.png ({images / 'a.png'}); mend where [data]"
        )
        assert "Traceback" not in done.stderr
        assert not lake.report.exists() and not lake.current.exists()
    (images / "a.png").write_bytes(draw(1))
    done = command(tmp_path, "fetch", "--retry")
    assert (done.returncode, done.stdout) == (
        4,
        "fetch: 3 in, 1 out, 2 lost (not_found 2); warning: fetch: 3 of 4 samples have no image "
        "(not_found 2, not_an_image 1): more than [fetch] max_lost = 0.5\n",
    )
    assert "fetch" not in STAGES["fetch"].why_stale(load_study(tmp_path / "study.toml"), lake)


def test_new_rows_that_all_fail_do_not_stop_a_lake_that_has_images(
    tmp_path: Path, write_samples: Any, make_study: Any, run_stages: Any, draw: Any, lake: Lake
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.png").write_bytes(draw(0))
    study = make_study(data=IMAGES)
    for rows in ([{}], [{}, {}]):
        write_samples(*rows)
        run_stages(study, "fetch")
    counts = VectorStore(lake.vectors).dataset("images").to_table()["status"].to_pylist()
    assert counts == ["ok", "not_found"]


def test_samples_that_are_all_rejected_are_an_error(
    write_laion: Any, make_study: Any, run_stages: Any, lake: Lake
) -> None:
    path = write_laion({"URL": ""}, {"URL": ""}, {"URL": "no address"})
    with pytest.raises(StageError) as lost:
        run_stages(make_study(), "filter")
    assert str(lost.value).startswith(
        "filter: none of 3 matching samples is clean: url_is_empty 2, url_is_not_http 1; "
        f"the first was row 0 of {path}; name the right columns"
    )
    assert not lake.samples.exists()


def test_captions_without_a_word_are_an_error(
    write_captions: Any, make_study: Any, run_stages: Any
) -> None:
    write_captions(None, "", "...")
    with pytest.raises(StageError, match="words: no caption of 3 rows contains a word; name"):
        run_stages(make_study(), "words")


def test_an_empty_source_is_no_loss(write_laion: Any, make_study: Any, run_stages: Any) -> None:
    write_laion()
    run_stages(make_study(), "filter", "words")


def test_the_three_most_common_reasons_and_the_first_row_are_named() -> None:
    outcomes = [
        Outcome("timeout", 1_000, "b.parquet", 0, "https://b.example/0.jpg", "after 10 s"),
        Outcome("dns", 30, "a.parquet", 7, None, None),
        Outcome("http_404", 2, "a.parquet", 9, "https://a.example/9.jpg", "Not Found"),
        Outcome("empty", 1, "a.parquet", 10, "https://a.example/10.jpg", "0 bytes"),
    ]
    with pytest.raises(StageError) as lost:
        refuse_total_loss("fetch", "samples has an image", outcomes, "look")
    assert str(lost.value) == (
        "fetch: none of 1,033 samples has an image: timeout 1,000, dns 30, http_404 2, 1 other "
        "reason 1; the first was row 7 of a.parquet; look"
    )
    refuse_total_loss("fetch", "samples has an image", [], "look")
