"""Which folder may import which: each stands on those below it, and the store on none of ours."""

import ast
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from memtriggers.pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "lance" / "store.py"
# From the lowest up: none imports what stands later, not even when it is asked for. What trains the
# bundled models stands on the product.
ROOMS = (
    *(
        "lance",
        "core",
        "formats",
        "captions",
        "images",
        "clip",
        "clusters",
        "generation",
        "replication",
    ),
    *("detection", "warehouse", "page", "evaluation"),
    *("the stages", "declared", "stages", "upkeep", "schedule", "asking", "explorer", "commands"),
    *("cli", "making"),
)
FILES = [f for folder in ("lance", "pipelines", "making") for f in (ROOT / folder).rglob("*.py")]


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


def test_no_room_imports_a_higher_one() -> None:
    up = {
        f"{one} imports {other}"
        for one, others in _modules_by_module().items()
        for other in others
        if ROOMS.index(_room(other)) > ROOMS.index(_room(one))
    }
    assert up == set()


def test_no_imports_go_round_in_a_circle() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    TopologicalSorter(_modules_by_module()).prepare()


def _room(module: str) -> str:
    _, folder, *below = module.split(".")
    if folder != "pipelines":
        return folder
    return "the stages" if below[0] in STAGES and len(below) == 1 else below[0]


def _modules_by_module() -> dict[str, set[str]]:
    """Each module of the product and those of ours that it imports."""
    names = {
        ".".join(("memtriggers", *f.relative_to(ROOT).with_suffix("").parts)): f for f in FILES
    }
    return {name: names.keys() & set(_imports(file)) - {name} for name, file in names.items()}


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
