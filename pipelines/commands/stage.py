"""The command of each stage of the flow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..lake import Lake
from ..options import (
    device_option,
    discover_option,
    docs_option,
    lake_option,
    paired_option,
    renew_option,
    retry_option,
    scheduler_option,
    study_option,
    vector_options,
    verbose_option,
    workers_option,
)
from ..stages import Stage
from ..study import Objects, Resources
from ..study_file import load_study


def stage_command(stage: Stage) -> click.Command:
    """The command that runs one stage, with the options that its stage takes."""

    @lake_option()
    @study_option
    @verbose_option
    def command(
        study_file: Path,
        lake: Lake,
        retry: bool = False,
        renew: bool = False,
        vectors: dict[str, Any] | None = None,
        docs: bool = False,
        discover: bool = False,
        paired: Path | None = None,
        **resources: Any,
    ) -> None:
        study = load_study(study_file, Resources(**resources))
        if vectors:
            study = replace(study, data=replace(study.data, **vectors))
        if discover:
            study = replace(study, objects=replace(study.objects or Objects(), discover=True))
        with lake.lock():
            if retry:
                from ..fetch import forget_passing_failures

                forget_passing_failures(lake)
            if renew:
                from ..prompts import retire

                retire(lake)
            run = stage.run(study, lake)
            if docs:
                from ..build import write_docs

                click.echo(f"documentation: {write_docs(study, lake)}")
        if stage.name == "objects":
            from ..detection.terminal import print_objects

            print_objects(study, lake)
        if paired is not None:
            from ..detection.paired import write_paired_prompts

            click.echo(f"{write_paired_prompts(lake, paired)} prompts: {paired}")
        click.echo(run.summary)

    if stage.name == "fetch":
        command = retry_option(command)
    if stage.name == "prompts":
        command = renew_option(command)
    if stage.name == "build":
        command = docs_option(command)
    if stage.name in ("filter", "words"):
        command = scheduler_option(command)
    if stage.name == "objects":
        command = discover_option(paired_option(command))
    if stage.name in ("generate", "score", "objects"):
        command = device_option(workers_option(scheduler_option(command)))
    if stage.name == "cluster":
        command = device_option(workers_option(scheduler_option(command)))
    if stage.name == "embed":
        command = vector_options(device_option(workers_option(scheduler_option(command))))
    text = (
        f"{stage.help}\n\n\b\nExample:\n  memtriggers {stage.name} --study study.toml --lake lake"
    )
    return click.command(stage.name, help=text)(command)
