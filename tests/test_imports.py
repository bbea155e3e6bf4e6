"""Which folder may import which: the vector store stands below what is made with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("file", sorted((ROOT / "lance").glob("*.py")), ids=lambda file: file.name)
def test_the_store_imports_nothing_of_the_pipelines(file: Path) -> None:
    of_ours = {name for name in _imports(file) if name.startswith("memtriggers")}
    assert {name for name in of_ours if not name.startswith("memtriggers.lance")} == set()


def test_imports_are_found_wherever_they_stand() -> None:
    file = ROOT / "pipelines" / "lake.py"
    found = set(_imports(file))
    assert {"memtriggers.pipelines.errors", "memtriggers.lance.store", "duckdb"} <= found


def _imports(file: Path) -> Iterator[str]:
    """The full names of the modules that a module of ours imports, at the top or later."""
    folder = ("memtriggers", *file.parent.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
