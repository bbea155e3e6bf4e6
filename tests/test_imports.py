"""Which folder may import which: the vector store stands below what is made with it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "lance" / "store.py"


@pytest.mark.parametrize("file", sorted((ROOT / "lance").glob("*.py")), ids=lambda file: file.name)
def test_the_store_imports_nothing_of_the_pipelines(file: Path) -> None:
    of_ours = {name for name in _imports(file) if name.startswith("memtriggers")}
    assert {name for name in of_ours if not name.startswith("memtriggers.lance")} == set()


def test_lancedb_is_imported_by_the_store_alone_and_when_it_is_asked_for() -> None:
    """It takes seconds of processor time, which only a search or an index is worth."""
    product = [file for folder in ("lance", "pipelines") for file in (ROOT / folder).rglob("*.py")]
    asking = [file for file in product if "lancedb" in {n.split(".")[0] for n in _imports(file)}]
    assert asking == [STORE]
    assert "lancedb" not in set(_imported(STORE, ast.parse(STORE.read_text("utf-8")).body))


def test_imports_are_found_wherever_they_stand() -> None:
    found = set(_imports(ROOT / "pipelines" / "core" / "lake.py"))
    assert {"memtriggers.pipelines.core.errors", "memtriggers.lance.store", "duckdb"} <= found


def _imports(file: Path) -> Iterator[str]:
    """The full names of what a module of ours imports, at the top or later."""
    return _imported(file, ast.walk(ast.parse(file.read_text("utf-8"))))


def _imported(file: Path, nodes: Iterable[ast.AST]) -> Iterator[str]:
    folder = ("memtriggers", *file.parent.relative_to(ROOT).parts)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
