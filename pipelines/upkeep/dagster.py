"""Dagster definitions: the stages and dbt's models as assets, refreshed every night.

    export MEMTRIGGERS_STUDY=study.toml
    dagster dev -m memtriggers.pipelines.upkeep.dagster

The lake is the folder `lake` beside the study, or MEMTRIGGERS_LAKE.
Dagster brings the clock and the picture; what is stale is decided by the lake, as in `refresh`.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    Definitions,
    MaterializeResult,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    multi_asset,
)
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    build_dbt_asset_specs,
)

from ..core.find_lake import lake_of_environment, study_of_environment
from ..core.lake import Lake
from ..core.registry import TABLES
from ..core.study_file import load_study
from ..declared.inputs import INPUTS
from ..stages import ORDER, STAGES, Stage
from ..warehouse.dbt_run import MODELS, DbtRun

# Its tables are published by a second build, after the stages that read those of the first.
_SECOND_BUILD = "build_again"


class StageTranslator(DagsterDbtTranslator):
    """A source of the dbt project is the asset of the stage before `build` that writes it."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        """The stage for a source that a stage writes; else the key that dagster-dbt gives."""
        if dbt_resource_props["resource_type"] == "source":
            writer = TABLES[dbt_resource_props["name"]].stage
            if writer in ORDER[: ORDER.index("build")]:
                return AssetKey(writer)
        key: AssetKey = super().get_asset_key(dbt_resource_props)
        return key.with_prefix("warehouse")


def model_specs() -> list[AssetSpec]:
    """One asset a dbt model, with its description and what it reads."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = DbtRun(MODELS, Path(folder), {}).manifest()
    # One stage writes several sources.
    settings = DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    translator = StageTranslator(settings)
    return list(build_dbt_asset_specs(manifest=manifest, dagster_dbt_translator=translator))


def stage_assets(models: list[AssetSpec]) -> Iterator[AssetsDefinition]:
    """The assets of each stage, in the order of the flow: `build` makes those of the models."""
    for place, name in enumerate(ORDER):
        is_second = name in ORDER[:place]
        specs = models if name == "build" and not is_second else [_spec(name, models, is_second)]
        asset = multi_asset(name=_SECOND_BUILD if is_second else name, specs=specs)
        yield asset(_refreshing(STAGES[name], specs))


def _spec(name: str, models: list[AssetSpec], is_second: bool) -> AssetSpec:
    stage = STAGES[name]
    if is_second:
        deps = [AssetKey(before) for before in stage.inputs if before in ORDER[ORDER.index(name) :]]
        return AssetSpec(_SECOND_BUILD, deps=deps, description=stage.help)
    deps = [AssetKey(before) for before in stage.inputs if before not in (*INPUTS, "build")]
    if name == "prompts" or "build" in stage.inputs:
        deps += [model.key for model in models]
    if "build" in stage.inputs:
        deps.append(AssetKey(_SECOND_BUILD))
    return AssetSpec(name, deps=deps, description=stage.help)


def _refreshing(
    stage: Stage, specs: Iterable[AssetSpec]
) -> Callable[[], Iterator[MaterializeResult[Any]]]:
    def refresh() -> Iterator[MaterializeResult[Any]]:
        lake = Lake(lake_of_environment().root)
        study = load_study(study_of_environment())
        counts: dict[str, int | None] = {}
        with lake.lock():
            if stage.is_wanted(study) and stage.why_stale(study, lake):
                run = stage.run(study, lake)
                counts = {"n_in": run.n_in, "n_out": run.n_out}
        for spec in specs:
            yield MaterializeResult(spec.key, metadata=counts)

    return refresh


_job = define_asset_job("refresh", selection=AssetSelection.all())

definitions = Definitions(
    assets=list(stage_assets(model_specs())),
    jobs=[_job],
    schedules=[ScheduleDefinition(name="nightly", job=_job, cron_schedule="17 3 * * *")],
    executor=in_process_executor,  # one stage after the other: the lake has one writer
)
