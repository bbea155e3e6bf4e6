"""Reads a report as a browser does, and holds each of its figures against its query."""

import json
from html.parser import HTMLParser
from typing import Any

from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.page.answers import percent, shown

FORMATS = {"shown": shown, "percent": percent}
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Report(HTMLParser):
    """What a report shows: each query's text, and the figures that it stands for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sql: dict[str, str] = {}
        self.rows: dict[str, list[dict[str, tuple[str, str]]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[dict[str, Any]] = [{}]
        self.feed(text)
        assert len(self._open) == 1, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag in VOID:
            return
        scope = self._open[-1] | {"tag": tag}
        scope["query"] = given.get("data-query", scope.get("query"))
        if "data-row" in given:
            scope["row"] = {}
            self.rows.setdefault(scope["query"], []).append(scope["row"])
        if "data-column" in given:
            scope["cell"] = (given["data-column"], given.get("data-format", "shown"))
            scope["row"][scope["cell"][0]] = ("", scope["cell"][1])
        if "data-sql" in given:
            scope["sql"] = given["data-sql"]
        self._open.append(scope)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        scope = self._open[-1]
        if scope.get("tag") != "style":
            self.text += data
        if "sql" in scope:
            self.sql[scope["sql"]] = self.sql.get(scope["sql"], "") + data
        if "cell" in scope:
            column, form = scope["cell"]
            scope["row"][column] = (scope["row"][column][0] + data, form)


def ask_command_line(lake: Lake, sql: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(
        cli, ["sql", sql, "--lake", str(lake.root), "--format", "json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def _in_order(name: str, rows: list[Any], answer: list[dict[str, Any]]) -> list[Any]:
    """The images of prompts stand beside their prompts, and are told by their scores."""
    if name != "generations":
        return rows
    places: dict[str, list[int]] = {}
    for place, expected in enumerate(answer):
        places.setdefault(shown(expected["score"]), []).append(place)
    ordered: dict[int, Any] = {places[row["score"][0]].pop(): row for row in rows}
    return [ordered[place] for place in range(len(answer))]


def check_figures(report: Report, lake: Lake) -> int:
    """Hold every figure against its query on the command line; returns how many there were."""
    n_figures = 0
    for name, rows in report.rows.items():
        answer = ask_command_line(lake, report.sql[name])
        assert len(rows) == len(answer), name
        for row, expected in zip(_in_order(name, rows, answer), answer, strict=True):
            for column, (text, form) in row.items():
                assert " ".join(text.split()) == " ".join(FORMATS[form](expected[column]).split())
                n_figures += 1
    return n_figures
