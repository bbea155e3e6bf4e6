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
print(len(definitions.resolve_job_def("refresh").nodes))
"""
RUN = """
from dagster import materialize
from memtriggers.pipelines.upkeep.dagster import stage_assets
result = materialize([a for a in stage_assets([]) if a.op.name in ("filter", "words")])
print([result.asset_materializations_for_node(n)[0].metadata["n_out"].value
       for n in ("filter", "words")])
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
    write_captions("a red star", "a blue star")
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
    assert done.stdout == "12\n[2, 4]\n"
    assert (tmp_path / "lake" / "samples" / "samples.parquet").exists()
