"""What dbt's tests said when they last ran on the lake, whether the build was published or not."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..core.lake import Lake, write_text

PASSED, WARNED, FAILED, BROKEN = "pass", "warn", "fail", "error"  # what dbt calls them
_FILE = "tests.json"  # in builds/


class Tested(NamedTuple):
    """One test that ran."""

    test: str
    """dbt's unique_id of it."""
    status: str
    """PASSED, WARNED, FAILED, or BROKEN where the test itself could not be run."""
    n_failures: int
    """The rows that it found."""
    message: str | None
    """What dbt says of it; nothing where it passed."""


def keep_tests(lake: Lake, results: Iterable[Mapping[str, Any]]) -> None:
    """Write down the tests among dbt's results, in the place of those of the build before."""
    ran = [
        Tested(node["unique_id"], node["status"], node["failures"] or 0, node["message"])
        for node in results
        if node["unique_id"].startswith("test.")
        and node["status"] in (PASSED, WARNED, FAILED, BROKEN)
    ]
    lake.builds.mkdir(parents=True, exist_ok=True)
    write_text(lake.builds / _FILE, json.dumps([test._asdict() for test in ran]))


def read_tests(lake: Lake) -> list[Tested]:
    """The tests that the last build ran; none where it did not come that far.

    A test whose model failed did not run, and is not among them.
    """
    file = lake.builds / _FILE
    return [Tested(**test) for test in json.loads(file.read_text("utf-8"))] if file.exists() else []
