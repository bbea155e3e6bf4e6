"""The dbt project as dbt understands it: what folders make of models, and who reads them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.core.registry import TABLES
from memtriggers.pipelines.warehouse.dbt_run import MODELS, DbtRun

SQL = MODELS.parent / "sql"
READERS = {"report": ("report",), "explorer": ("explore",)}  # exposures, and folders of queries


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return DbtRun(MODELS, tmp_path_factory.mktemp("manifest"), {}).manifest()


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = manifest["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


def test_a_folder_says_what_its_models_are(models: dict[str, dict[str, Any]]) -> None:
    made: dict[str, set[tuple[str, bool, str]]] = {}
    for node in models.values():
        folder = "/".join(Path(node["original_file_path"]).parts[:-1])
        config = node["config"]
        kind = (config["materialized"], config["contract"]["enforced"], node["schema"])
        made.setdefault(folder, set()).add(kind)
    mart = {("table", True, "main")}
    assert made == {
        "staging/lake": {("view", False, "staging")},
        "intermediate/marks": {("table", False, "staging")},
        **{f"marts/{name}": mart for name in ("corpus", "clusters", "replication", "objects")},
        "marts/functions": {("table_function", False, "main")},
    }


def test_each_table_of_the_lake_has_a_staging_model_and_a_key_that_is_tested(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    staging = {n for n, node in models.items() if "staging/lake" in node["original_file_path"]}
    assert staging == {f"stg_{name}" for name in TABLES}
    assert "test.memtriggers.keys_of_the_lake_are_unique" in manifest["nodes"]
    keys = {s["name"]: s["config"]["meta"]["key"] for s in manifest["sources"].values()}
    assert keys.keys() == TABLES.keys()
    for name, key in keys.items():
        assert key and set(key) <= TABLES[name].columns.keys(), name


def test_a_mart_tests_its_key(manifest: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    marts = {name for name, node in models.items() if node["config"]["contract"]["enforced"]}
    tested = {
        node["attached_node"].rpartition(".")[2]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") in ("unique", "unique_combination")
        and node["attached_node"]
    }
    one_to_one = {"sample_rows", "build_info", *(n for n in marts if n.startswith("object_"))}
    assert marts - tested == one_to_one | {"removal_list"}  # the staging model's, a test of its own


@pytest.mark.parametrize("name", READERS)
def test_an_exposure_lists_what_is_read(
    name: str, manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    exposure = manifest["exposures"][f"exposure.memtriggers.{name}"]
    listed = {model.rpartition(".")[2] for model in exposure["depends_on"]["nodes"]}
    read: set[str] = set()
    for folder in READERS[name]:
        for file in (SQL / folder).glob("*.sql"):
            (tree,) = duckdb.execute(
                "select json_serialize_sql(?)", [file.read_text("utf-8")]
            ).fetchone()
            read |= models.keys() & set(_tables_in(json.loads(tree), frozenset()))
    assert listed == read


def _tables_in(node: Any, made_here: frozenset[str]) -> Iterator[str]:
    """The tables that a query reads, which may have the name of what it makes of them."""
    if isinstance(node, list):
        for part in node:
            yield from _tables_in(part, made_here)
    elif isinstance(node, dict):
        for made in node.get("cte_map", {}).get("map", ()):
            yield from _tables_in(made["value"], made_here)
            made_here |= {made["key"]}
        if node.get("type") == "BASE_TABLE" and node["table_name"] not in made_here:
            yield node["table_name"]
        for name, part in node.items():
            if name != "cte_map":
                yield from _tables_in(part, made_here)
