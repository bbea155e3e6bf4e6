"""Runs the dbt project on one database in a child process, and says in one line what failed."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from ..core.errors import BuildError
from ..core.progress import progress
from .parsed import is_ours, keep, parsed_file

MODELS = Path(__file__).resolve().parents[2] / "models"
DATABASE = "warehouse.duckdb"  # as profiles.yml names it
# What a model makes of given rows changes with its code, not with the lake: a test of ours asks.
NOT_BUILT = ("--exclude-resource-type", "unit_test")
ROWS_SHOWN = 3
FAILED = ("error", "fail", "runtime error")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DbtRun:
    """One run: the folder that all its files go into, and what the models ask for."""

    project: Path
    folder: Path
    variables: Mapping[str, object]

    @cached_property
    def _kept(self) -> Path:
        """Where what dbt has read of the project is kept: all of its files are hashed for it."""
        return parsed_file(self.project)

    @property
    def database(self) -> Path:
        """The DuckDB file that the models are built in."""
        return self.folder / DATABASE

    def build(self) -> None:
        """Run every model, and every test of its rows.

        dbt keeps the database locked until its process ends, hence the child process.

        Raises:
            BuildError: names the model or test that failed, and its first rows or the message.

        """
        with self._child("build", *NOT_BUILT) as child:
            errors = _read_events(child)
        if child.returncode != 0:
            raise BuildError(
                f"{self._what_failed(errors)}; nothing was published, and the last build stays; "
                "memtriggers status says whether a stage is stale"
            )

    def results(self) -> list[dict[str, Any]]:
        """What dbt says of each model and test of the build; empty where it did not get there."""
        file = self.folder / "target" / "run_results.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"results": []}
        nodes: list[dict[str, Any]] = found["results"]
        return nodes

    def docs(self) -> Path:
        """Write dbt's documentation of the project as one page; returns its file.

        The models declare every column, so that no catalog of a database is asked for.

        Raises:
            BuildError: the project cannot be compiled.

        """
        with self._child("docs", "generate", "--static", "--empty-catalog") as child:
            errors = _read_events(child)
        if child.returncode != 0:
            raise BuildError(f"{self._what_failed(errors)}; the documentation was not written")
        return self.folder / "target" / "static_index.html"

    def manifest(self) -> dict[str, Any]:
        """dbt's description of the project: every source, model and test, and who reads whom.

        Raises:
            BuildError: the project cannot be parsed.

        """
        with self._child("parse") as child:
            errors = _read_events(child)
        if child.returncode != 0:
            raise BuildError(self._what_failed(errors))
        text = (self.folder / "target" / "manifest.json").read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def command(self, *verbs: str) -> list[str]:
        """The child's command line; -P keeps the user's folder out of what it imports."""
        again = ("--partial-parse-file-path", str(self._kept)) if is_ours(self._kept) else ()
        return [
            *(sys.executable, "-P", "-m", f"{__package__}.dbt_child", *verbs),
            *("--project-dir", str(self.project), "--profiles-dir", str(self.project)),
            *("--target-path", str(self.folder / "target"), "--log-path", str(self.folder)),
            *("--log-level", "none", "--log-level-file", "none", "--no-use-colors"),
            *("--partial-parse", *again, "--no-send-anonymous-usage-stats", "--no-version-check"),
        ]

    def environment(self) -> dict[str, str]:
        """The variables of profiles.yml; a user's own DBT_… must not change what is built."""
        with duckdb.connect() as connection:
            limits = connection.execute(
                "select current_setting('memory_limit'), current_setting('threads')::varchar"
            ).fetchone()
        assert limits is not None
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DBT_")}
        return {
            "MEMTRIGGERS_MEMORY_LIMIT": limits[0],
            "MEMTRIGGERS_THREADS": limits[1],
            **inherited,
            **{f"MEMTRIGGERS_{name.upper()}": str(v) for name, v in self.variables.items()},
        }

    @contextmanager
    def _child(self, *verbs: str) -> Iterator["subprocess.Popen[str]"]:
        # A session of its own: Ctrl-C reaches the parent alone, which ends the child.
        with (self.folder / "stderr").open("w") as stderr:
            child = subprocess.Popen(
                self.command(*verbs),
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
            try:
                yield child
            except BaseException:
                child.kill()
                raise
            finally:
                child.communicate()
        parsed = self.folder / "target" / "partial_parse.msgpack"
        if parsed.exists():
            keep(parsed, self._kept)

    def _what_failed(self, errors: list[str]) -> str:
        failed = [node for node in self.results() if node["status"] in FAILED]
        if failed:
            others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            return self._describe(failed[0]) + others
        crash = (self.folder / "stderr").read_text(encoding="utf-8").strip().splitlines()[-1:]
        return f"{self.project}: {_one_line(' '.join(errors or crash or ['dbt was killed']))}"

    def _describe(self, node: dict[str, Any]) -> str:
        kind, _, name = node["unique_id"].split(".", 2)
        kind = kind.replace("_", " ")
        if kind == "test":
            name = name.rpartition(".")[0] or name  # a generic test's id ends in a hash
        if node["status"] == "fail" and kind == "test":
            rows = self._first_rows(node["compiled_code"])
            return f"{kind} {name} found {rows} ({node['failures']} in all)"
        return f"{kind} {name} failed: {_one_line(node['message'] or '')}"

    def _first_rows(self, query: str) -> str:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(f"select * from ({query}) limit {ROWS_SHOWN}")
            names = [column[0] for column in found.description or ()]
            rows = found.fetchall()
        return "; ".join(
            ", ".join(f"{name} {_short(value)}" for name, value in zip(names, row, strict=True))
            for row in rows
        )


def _read_events(child: "subprocess.Popen[str]") -> list[str]:
    """Follow dbt's log to its end; returns the messages of its errors."""
    assert child.stdout is not None
    errors = []
    with progress("build") as advance:
        for line in child.stdout:
            event = json.loads(line)
            log.log(logging.WARNING if event["level"] == "warn" else logging.INFO, event["msg"])
            if event["level"] == "error":
                errors.append(event["msg"])
            if event["name"].endswith("Result"):
                advance(1)
    return errors


def _one_line(text: str, limit: int = 500) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit] + "…"


def _short(value: object) -> str:
    return _one_line(repr(value), 80)
