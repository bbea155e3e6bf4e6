"""Each table of the lake is declared once: paths, dbt's files and what stages write follow it."""

import ast
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.registry import EXPORTS, TABLES, tables_of
from memtriggers.pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
MARTS = {
    model["name"]: {column["name"]: column for column in model["columns"]}
    for file in (ROOT / "models" / "marts").glob("*/*.yml")
    for model in yaml.safe_load(file.read_text("utf-8")).get("models", ())
    if "columns" in model  # a table function has none
}
CAST = {"runs": {"started_at", "finished_at"}}  # by a mart: texts of JSON files to moments


def test_dbt_reads_the_tables_of_the_registry_in_its_words() -> None:
    (source,) = yaml.safe_load((ROOT / "models/staging/lake/staging.yml").read_text("utf-8"))[
        "sources"
    ]
    said = {table["name"]: table["description"] for table in source["tables"]}
    assert said.keys() == TABLES.keys()
    for name, table in TABLES.items():
        assert said[name].startswith((f"One row per {table.grain}", f"One row, {table.grain}"))
        assert (ROOT / f"models/staging/lake/stg_{name}.sql").exists()


@pytest.mark.parametrize("name", sorted(MARTS.keys() & TABLES.keys()))
def test_a_mart_has_the_columns_and_types_of_its_table(name: str) -> None:
    marts = {column: said["data_type"] for column, said in MARTS[name].items()}
    expected = {
        column: kind
        for column, kind in TABLES[name].columns.items()
        if column not in CAST.get(name, ())
    }
    assert marts.items() >= expected.items()


def test_every_table_has_a_writer_and_a_place_of_its_own() -> None:
    writers = {*STAGES, "explore"}
    assert {table.stage for table in TABLES.values()} <= writers
    places = [(table.folder, table.name) for table in TABLES.values() if table.folder]
    assert len(set(places)) == len(places)
    for stage in ("filter", "words", "cluster", "prompts", "score", "objects"):
        assert any(table.is_recorded for table in tables_of(stage))


def test_the_lake_knows_the_path_of_every_table_and_of_nothing_else(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.samples == tmp_path / "samples" / "samples.parquet"
    assert lake.images == tmp_path / EXPORTS / "images.parquet"
    for name in ("sampels", "build_info", "_samples"):
        with pytest.raises(AttributeError, match=f"no table or path '{name}'"):
            getattr(lake, name)


def test_no_module_asks_a_lake_for_what_it_has_not() -> None:
    """A type checker lets any name pass where a class answers by name."""
    known = {*TABLES, *vars(Lake)} | {"root"}
    asked = {
        (file.name, node.attr)
        for folder in ("pipelines", "lance", "making", "benchmarks", "tests")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "lake"
    }
    assert {attribute for _, attribute in asked} <= known | {"path", "lake"}


def test_what_a_stage_writes_is_what_is_declared(clip_art: Any) -> None:
    lake, n_found = Lake(clip_art.lake), 0
    for table in TABLES.values():
        path = None if table.folder is None else getattr(lake, table.name)
        if path is not None and path.exists():
            n_found += 1
            found = duckdb.sql(f"describe from read_parquet('{path}')").fetchall()
            assert {n: k.lower() for n, k, *_ in found} == table.columns, table.name
            if table.folder != EXPORTS:
                assert pq.read_schema(path).names == list(table.columns), table.name
    assert n_found > 12
