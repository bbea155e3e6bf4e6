"""The Dagster definitions: every stage and model, in the order of the flow, and a run of them."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if importlib.util.find_spec("dagster_dbt") is None:  # imported, it would bring all of dbt along
    pytest.skip("needs memtriggers[dagster]", allow_module_level=True)

# In a process of its own, where Dagster's warnings are its own.
LOOK = """
from dagster import AssetKey
from memtriggers.pipelines.upkeep.dagster import definitions
graph = definitions.resolve_asset_graph()
def parents(*path):
    return {"/".join(key.path) for key in graph.get(AssetKey(path)).parent_keys}
assert parents("filter") == set(), parents("filter")
assert parents("embed") == {"filter", "fetch"}, parents("embed")
assert parents("cluster") == {"filter", "fetch", "embed"}, parents("cluster")
assert parents("warehouse", "staging", "stg_samples") == {"filter"}
from memtriggers.pipelines.core.registry import TABLES
writers = {"filter", "words", "fetch", "embed", "cluster"}
late = set()  # of stages after it, and of itself, build reads what they wrote the night before
for table in TABLES.values():
    (stage,) = parents("warehouse", "staging", f"stg_{table.name}")
    if stage not in writers:
        late.add(table.name)
assert late >= {"prompts", "generations", "replication_scores", "previous_samples"}, late
assert late.isdisjoint(("samples", "words", "images", "image_vectors", "clusters", "word_sets"))
assert parents("build_again") == {"prompts", "generate", "score", "objects"}, parents("build_again")
assert parents("generate") == {"prompts"}, parents("generate")
assert "warehouse/cluster_words" in parents("prompts"), parents("prompts")
assert "build_again" in parents("report")
assert "warehouse/clusters" in parents("report"), parents("report")
assert "sample" in (graph.get(AssetKey(["warehouse", "clusters"])).description or "")
(schedule,) = definitions.schedules
assert (schedule.name, schedule.cron_schedule) == ("nightly", "17 3 * * *")
(test,) = [key for key in graph.asset_check_keys if key.name == "cluster_sizes_add_up"]
assert test.asset_key == AssetKey(["warehouse", "cluster_members"]), test
"""
RUN = """
import os
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import AssetSelection, materialize
study, (assets,) = Path(os.environ["MEMTRIGGERS_STUDY"]), definitions.assets
models = [spec.key for spec in assets.specs if spec.key.path[0] == "warehouse"]
wanted = AssetSelection.assets("filter", "words", *models)
def refresh():
    result = materialize([assets], selection=wanted, raise_on_error=False)
    made = {}
    for event in result.get_asset_materialization_events():
        materialization = event.materialization
        counts = {name: value.value for name, value in materialization.metadata.items()}
        made["/".join(materialization.asset_key.path)] = counts
    tests = {test.check_name: test for test in result.get_asset_check_evaluations()}
    return result.success, made, tests

is_well, made, tests = refresh()
assert is_well
assert made["filter"] == {"n_in": 3, "n_out": 2, "n_lost": 0}, made["filter"]
assert made["words"] == {"n_in": 3, "n_out": 4, "n_lost": 0}, made["words"]
assert made["warehouse/samples"] == {"n_in": 2, "n_out": 2, "n_lost": 0}, made
assert len(made) == 2 + len(models)
assert tests.keys() == {key.name for key in graph.asset_check_keys}
assert all(test.passed for test in tests.values()), tests

assert refresh() == (True, {}, {}), "there was nothing to do, and nothing was tested"

words = Path("../lake/words/words.parquet")
table = pq.read_table(words)
pq.write_table(pa.concat_tables([table, table]), words)
# What `build` alone reads: nothing before it is made again.
study.write_text("[cluster]\\nmin_cluster_size = 4\\n" + study.read_text())
is_well, made, tests = refresh()
assert (is_well, made) == (False, {}), "it ran, and published nothing"
failed = {name: test for name, test in tests.items() if not test.passed}
assert failed.keys() == {"keys_of_the_lake_are_unique", "unique_words_word"}, failed
assert failed["unique_words_word"].metadata["n_failures"].value == 4, failed
assert failed["unique_words_word"].asset_key == AssetKey(["warehouse", "words"])
"""

OLD_NAME = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from memtriggers.pipelines import schedule
assert schedule.definitions is definitions
(warning,) = [w for w in said if "memtriggers" in str(w.message)]
assert warning.category is DeprecationWarning and "pipelines.upkeep.dagster" in str(warning.message)
"""


def test_the_definitions_load_with_the_flow_in_them_and_run_what_is_stale(
    tmp_path: Path, write_captions: Callable[..., Path], make_study: Callable[..., object]
) -> None:
    write_captions("a red star", "a blue star", None)
    make_study(star={"include": ["star"]})
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        LOOK + RUN + OLD_NAME,
    ]  # seconds of imports, once
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "MEMTRIGGERS_STUDY": "../study.toml"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lake" / "samples" / "samples.parquet").exists()
