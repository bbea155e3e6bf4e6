"""Queries on the published tables: each form, read-only, and nothing hostile in the terminal."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow.parquet as pq
import pytest

from memtriggers import Lake
from memtriggers.pipelines.core.errors import LakeError
from memtriggers.pipelines.core.terminal import printable

# Tests that run in the background have Ctrl-C ignored, and hand that down.
WITH_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from memtriggers.pipelines.cli import main
main()
"""
QUERY = "select keyword_set, include, n_samples from keyword_sets order by n_samples desc"


def sql(clip_art: Any, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "memtriggers", "sql", "--lake", str(clip_art.lake), *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def expected(clip_art: Any) -> list[dict[str, Any]]:
    return json.loads(sql(clip_art, QUERY, "--format", "json").stdout)


def test_json(expected: list[dict[str, Any]]) -> None:
    assert expected[0] == {"keyword_set": "flag", "include": ["flag"], "n_samples": 123}


def test_csv(clip_art: Any, expected: list[dict[str, Any]]) -> None:
    rows = list(csv.DictReader(io.StringIO(sql(clip_art, QUERY, "--format", "csv").stdout)))
    assert [row["n_samples"] for row in rows] == [str(row["n_samples"]) for row in expected]


def test_a_table_in_a_pipe_is_not_cut(clip_art: Any) -> None:
    lines = sql(clip_art, "select caption from samples order by length(caption) desc").stdout
    longest = json.loads(
        sql(clip_art, "select max(length(caption)) as n from samples", "--format", "json").stdout
    )
    assert max(map(len, lines.splitlines())) == longest[0]["n"]


def test_parquet_and_a_query_from_a_file(
    clip_art: Any, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    (tmp_path / "query.sql").write_text(f"-- the sets\n{QUERY};\n", encoding="utf-8")
    output = tmp_path / "rows.parquet"
    done = sql(
        clip_art,
        "--file",
        str(tmp_path / "query.sql"),
        "--format",
        "parquet",
        "--output",
        str(output),
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert pq.read_table(output).to_pylist() == expected
    assert "--output FILE" in sql(clip_art, QUERY, "--format", "parquet").stderr


@pytest.mark.parametrize(
    "statement",
    ["drop table samples", "insert into runs select * from runs", "nonsense", "", "-- nothing"],
)
def test_what_is_refused_is_said_without_a_traceback(clip_art: Any, statement: str) -> None:
    done = sql(clip_art, statement)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "Error" in done.stderr and "Traceback" not in done.stderr


def test_an_interrupt_is_one_line(clip_art: Any) -> None:
    query = "select sum(a.range * b.range) from range(1000000) a, range(1000000) b"
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C, "sql", "--lake", str(clip_art.lake), query],
        stderr=subprocess.PIPE,
        text=True,
    )
    database = str((clip_art.lake / "current.duckdb").resolve())
    opened = psutil.Process(process.pid)
    while database not in {file.path for file in opened.open_files()}:  # then it is asked
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.strip() == "Interrupted; what is finished is kept: run the command again"


def test_the_tables_are_listed_with_what_a_row_is(clip_art: Any) -> None:
    listed = json.loads(sql(clip_art, "--tables", "--format", "json").stdout)
    names = {row["name"].split("(")[0] for row in listed}
    assert {"samples", "funnel", "cluster_words", "duplicates_of", "removal_list_at"} <= names
    assert all(row["description"] for row in listed)


def test_a_reader_that_has_seen_enough_ends_it_quietly(clip_art: Any) -> None:
    query = "select * from samples, range(100)"
    command = f"{sys.executable} -m memtriggers sql --lake {clip_art.lake} '{query}' --format csv"
    done = subprocess.run(f"{command} | head -n 1", shell=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("sample_id,")


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("\x1b]0;owned\x07red\r\nline") == r"\x1b]0;owned\x07red\r\nline"
    assert printable("Café שלום 🎨") == "Café שלום 🎨"
    assert printable(None) == ""


def test_values_are_bound(clip_art: Any) -> None:
    query = "select keyword_set from keyword_sets where keyword_set = $name"
    done = sql(clip_art, query, "--set", "name=flag", "--format", "csv")
    assert done.stdout == "keyword_set\nflag\n"
    hostile = sql(clip_art, query, "--set", "name=' or true --", "--format", "csv")
    assert hostile.stdout == "keyword_set\n"
    assert "Traceback" not in (missing := sql(clip_art, query)).stderr
    assert (missing.returncode, missing.stdout) == (1, "")


def test_a_piped_shell_reads_statements_and_goes_on_after_an_error(clip_art: Any) -> None:
    typed = "select 'a;b' as x;\n\ndrop table samples;\nselect -- a; comment\n 41 + 1 as y"
    done = sql(clip_art, input=typed, env={**os.environ, "PATH": ""})
    assert done.returncode == 0
    assert done.stdout.split() == ["x", "a;b", "y", "42"]
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr


# A virtual environment need not be activated to have DuckDB's command line in it.
WITH_OURS = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])


@pytest.mark.skipif(
    shutil.which("duckdb", path=WITH_OURS) is None, reason="the duckdb command line is absent"
)
def test_the_shell_is_duckdbs_where_it_is_installed(clip_art: Any) -> None:
    typed = "select keyword_set from keyword_sets where keyword_set = 'flag';\n"
    script = f".mode csv\n{typed}drop table samples;\n"
    done = sql(clip_art, input=script, env={**os.environ, "PATH": WITH_OURS})
    assert done.stdout.split() == ["keyword_set", "flag"]
    assert "read-only" in done.stderr


def test_a_lake_answers_in_python(clip_art: Any) -> None:
    query = "select n_samples from keyword_sets where keyword_set = 'flag'"
    assert Lake(str(clip_art.lake)).sql(query).fetchall() == [(123,)]
    bound = query.replace("'flag'", "$name")
    assert Lake(clip_art.lake).sql(bound, {"name": "flag"}).fetchall() == [(123,)]
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        Lake(clip_art.lake).sql("drop table samples")
    with pytest.raises(LakeError, match="nothing is published yet"):
        Lake("nowhere").sql(query)


def test_a_lake_answers_with_a_data_frame(clip_art: Any) -> None:
    pytest.importorskip("pandas")
    frame = Lake(clip_art.lake).sql("from keyword_sets").df()
    assert set(frame["keyword_set"]) == {"star", "flag", "card", "roadsign", "flower"}
