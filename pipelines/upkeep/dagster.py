"""Dagster definitions: the stages and dbt's models as assets, refreshed every night.

    export MEMTRIGGERS_STUDY=study.toml
    dagster dev -m memtriggers.pipelines.upkeep.dagster

The lake is the folder `lake` beside the study, or MEMTRIGGERS_LAKE.
Dagster brings the clock and the picture; what is stale is decided by the lake, as in `refresh`.

All assets are one step. One that had nothing to do reports no materialization, and between steps
Dagster would then skip all that reads it, though the study may have changed for that alone.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
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

from ..core.errors import BuildError
from ..core.find_lake import lake_of_environment, study_of_environment
from ..core.lake import Lake
from ..core.losses import standing_warnings
from ..core.registry import TABLES
from ..core.runs import Run
from ..core.study import Study
from ..core.study_file import load_study
from ..declared.inputs import INPUTS
from ..stages import ORDER, STAGES, Stage
from ..warehouse.dbt_run import MODELS, DbtRun
from ..warehouse.tested import PASSED, WARNED, read_tests

# Its tables are published by a second build, after the stages that read those of the first.
_SECOND_BUILD = "build_again"
_OF_THE_WHOLE_LAKE = "model.memtriggers.samples"  # what a test that names no model is a check of
_UNIQUE_ID = "dagster_dbt/unique_id"  # in the metadata of what dagster-dbt makes

Event = MaterializeResult[Any] | AssetCheckResult


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


class DbtAssets(NamedTuple):
    """What dagster-dbt makes of the dbt project."""

    models: list[AssetSpec]
    """One a model, with its description and what it reads, which comes before it."""
    tests: list[AssetCheckSpec]
    """One a test of rows: a check of the model that it is declared with, or that it names first."""


def dbt_assets() -> DbtAssets:
    """The models and the tests of the dbt project."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = DbtRun(MODELS, Path(folder), {}).manifest()
    tests = {i: n for i, n in manifest["nodes"].items() if n["resource_type"] == "test"}
    for test in tests.values():
        named = [*test["depends_on"]["nodes"], _OF_THE_WHOLE_LAKE]
        test["attached_node"] = test.get("attached_node") or named[0]
    # One stage writes several sources.
    settings = DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    translator = StageTranslator(settings)
    models = build_dbt_asset_specs(manifest=manifest, dagster_dbt_translator=translator)
    by_id = {model.metadata[_UNIQUE_ID]: model for model in models}
    by_key = {model.key: model for model in models}
    reads = {key: [dep.asset_key for dep in model.deps] for key, model in by_key.items()}
    in_order = [by_key[key] for key in TopologicalSorter(reads).static_order() if key in by_key]
    specs = [
        translator.get_asset_check_spec(by_id[test["attached_node"]], manifest, unique_id, None)
        for unique_id, test in tests.items()
    ]
    return DbtAssets(in_order, [spec for spec in specs if spec is not None])


def refresh_assets(dbt: DbtAssets) -> AssetsDefinition:
    """Every stage, model and test; any part of them can be refreshed alone."""
    specs = {
        name: dbt.models if name == "build" else [_spec(name, dbt.models)]
        for name in (*STAGES, _SECOND_BUILD)
    }
    checks = {spec.metadata[_UNIQUE_ID]: spec for spec in dbt.tests}

    @multi_asset(
        name="refresh",
        specs=[spec for of_stage in specs.values() for spec in of_stage],
        check_specs=dbt.tests,
        can_subset=True,
    )
    def refresh(context: AssetExecutionContext) -> Iterator[Event]:
        yield from _refreshing(context, specs, checks)

    return refresh


def _spec(name: str, models: list[AssetSpec]) -> AssetSpec:
    stage = STAGES["build" if name == _SECOND_BUILD else name]
    if name == _SECOND_BUILD:
        later = ORDER[ORDER.index("build") + 1 :]
        deps = [AssetKey(before) for before in stage.inputs if before in later]
        return AssetSpec(name, deps=deps, description=stage.help)
    deps = [AssetKey(before) for before in stage.inputs if before not in (*INPUTS, "build")]
    if name == "prompts" or "build" in stage.inputs:
        deps += [model.key for model in models]
    if "build" in stage.inputs:
        deps.append(AssetKey(_SECOND_BUILD))
    return AssetSpec(name, deps=deps, description=stage.help)


def _refreshing(
    context: AssetExecutionContext,
    specs: Mapping[str, list[AssetSpec]],
    checks: Mapping[str, AssetCheckSpec],
) -> Iterator[Event]:
    """Run what was chosen and is stale; an asset that was not made again reports nothing."""
    lake, study = Lake(lake_of_environment().root), load_study(study_of_environment())
    assets, tests = set(context.selected_asset_keys), set(context.selected_asset_check_keys)
    for place, name in enumerate(ORDER):
        makes = specs[_SECOND_BUILD if name in ORDER[:place] else name]
        chosen = [spec.key for spec in makes if spec.key in assets]
        try:
            run = _run_if_stale(STAGES[name], study, lake) if chosen else None
        except BuildError:
            yield from _checked(lake, checks, tests)
            raise
        if run is None:
            continue
        context.log.info(run.summary)
        yield from (MaterializeResult(key, metadata=_counts(run)) for key in chosen)
        if name == "build":
            yield from _checked(lake, checks, tests)
            tests.clear()  # Dagster takes one event of each
    for warning in standing_warnings(study, lake):
        context.log.warning(warning)


def _run_if_stale(stage: Stage, study: Study, lake: Lake) -> Run | None:
    """None where there was nothing to do."""
    with lake.lock():
        is_due = stage.is_wanted(study) and stage.why_stale(study, lake)
        return stage.run(study, lake) if is_due else None


def _counts(run: Run) -> dict[str, Any]:
    counts = {"n_in": run.n_in, "n_out": run.n_out, "n_lost": run.n_lost}
    return counts | {f"lost: {reason}": n for reason, n in (run.lost or {}).items()}


def _checked(
    lake: Lake, checks: Mapping[str, AssetCheckSpec], chosen: Collection[AssetCheckKey]
) -> Iterator[AssetCheckResult]:
    """What dbt's tests said of the build that was just made."""
    for test in read_tests(lake):
        spec = checks[test.test]
        if spec.key in chosen:
            is_warning = test.status == WARNED
            yield AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=test.status == PASSED,
                severity=AssetCheckSeverity.WARN if is_warning else AssetCheckSeverity.ERROR,
                metadata={"n_failures": test.n_failures, "message": test.message},
            )


_job = define_asset_job("refresh", selection=AssetSelection.all())

definitions = Definitions(
    assets=[refresh_assets(dbt_assets())],
    jobs=[_job],
    schedules=[ScheduleDefinition(name="nightly", job=_job, cron_schedule="17 3 * * *")],
    executor=in_process_executor,  # one stage after the other: the lake has one writer
)
