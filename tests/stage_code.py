"""The code that each stage reaches, as one hash: what tells whether a stage may compute otherwise.

After a change, note the new hashes:

    python -m memtriggers.tests.stage_code filter words --because "only an error's text changed"
    python -m memtriggers.tests.stage_code filter      # its version in stages.py was raised

"all" stands for every stage whose code changed. The line that is noted last stands in
`stage_code.json`, those before it in git.
"""

import argparse
import ast
import hashlib
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from memtriggers.pipelines.core.database import MACROS
from memtriggers.pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parents[1]
NOTED = Path(__file__).with_name("stage_code.json")
_SQL = {
    file.relative_to(ROOT / "sql").with_suffix("").as_posix(): file
    for file in (ROOT / "sql").rglob("*.sql")
}
_MAY_HAVE_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_of(stage: str) -> str:
    """The hash of the Python and SQL that a stage reaches; comments and docstrings do not count."""
    digest = hashlib.sha256()
    for file in sorted(reached_by(stage)):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\x1f{_essence(file)}\x1e".encode())
    return digest.hexdigest()[:16]


def reached_by(stage: str) -> set[Path]:
    """Every module of ours that the stage imports, at the top or later, and the SQL they name."""
    seen: set[Path] = set()
    waiting = [ROOT / "pipelines" / f"{stage}.py"]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _named_in(file) if file.suffix == ".py" else ()
    return seen | set((ROOT / "models").rglob("*.sql")) if stage == "build" else seen


@cache
def _named_in(file: Path) -> frozenset[Path]:
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    imports = (n for n in nodes if isinstance(n, ast.ImportFrom) and n.level)
    found = {module for node in imports for module in _modules(file, node)}
    return frozenset(found | set(_children(file, nodes)) | set(_queries(nodes)))


def _modules(file: Path, node: ast.ImportFrom) -> Iterator[Path]:
    target = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
    for module in (target, *(target / alias.name for alias in node.names)):
        for candidate in (module.with_name(f"{module.name}.py"), module / "__init__.py"):
            if candidate.is_file() and candidate.is_relative_to(ROOT):
                yield candidate


def _children(file: Path, nodes: list[ast.AST]) -> Iterator[Path]:
    """A module beside it that is run as a process: f"{__package__}.dbt_child"."""
    for text in _texts(nodes):
        if re.fullmatch(r"\.\w+", text) and file.with_name(f"{text[1:]}.py").is_file():
            yield file.with_name(f"{text[1:]}.py")


def _queries(nodes: list[ast.AST]) -> Iterator[Path]:
    for node in nodes:
        called = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
        if called == "query":
            yield from _queries_of(node.args[0], nodes)
        elif called == "dbt_macro":
            yield MACROS / f"{ast.literal_eval(node.args[0])}.sql"


def _queries_of(name: ast.expr, nodes: list[ast.AST]) -> Iterator[Path]:
    """The files that query(name) may read: one, those of a pattern, or any named in the module."""
    if isinstance(name, ast.Constant):
        yield _SQL[name.value]
    elif isinstance(name, ast.JoinedStr):
        parts = [re.escape(p.value) if isinstance(p, ast.Constant) else ".*" for p in name.values]
        yield from (file for known, file in _SQL.items() if re.fullmatch("".join(parts), known))
    else:
        keys = {id(key) for node in nodes if isinstance(node, ast.Dict) for key in node.keys}
        said = _texts([node for node in nodes if id(node) not in keys])
        yield from (_SQL[text] for text in said if text in _SQL)


def _texts(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def _essence(file: Path) -> str:
    text = file.read_text("utf-8")
    lines = _without_comments(text) if file.suffix == ".py" else re.split(r"\n", text)
    kept = (line.rstrip() for line in lines)
    return "\n".join(line for line in kept if line and not line.startswith("--"))


def _without_comments(text: str) -> list[str]:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _MAY_HAVE_DOCSTRING) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            for row in range(docstring.lineno - 1, docstring.end_lineno or docstring.lineno):
                lines[row] = ""
    return lines


def read_noted() -> dict[str, dict[str, Any]]:
    """By stage: its version, the hash of its code, and why another hash gives the same results."""
    noted: dict[str, dict[str, Any]] = json.loads(NOTED.read_text("utf-8"))
    return noted


def note(stages: list[str], because: str | None) -> None:
    """Write down the code of these stages; raises SystemExit without a reason or a new version."""
    noted = read_noted() if NOTED.exists() else {}
    for name in STAGES if stages == ["all"] else stages:
        version, code = STAGES[name].version, code_of(name)
        before = noted.get(name, {"version": 0, "code": None})
        if before["code"] == code and before["version"] == version:
            continue
        if version == before["version"] and not because:
            sys.exit(f'{name}: raise its version in stages.py, or say --because "..."')
        reason = because if version == before["version"] else None
        noted[name] = {"version": version, "code": code, "same_results_because": reason}
    NOTED.write_text(json.dumps(noted, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*STAGES, "all"])
    parser.add_argument("--because")
    arguments = parser.parse_args()
    note(arguments.stages, arguments.because)
