"""The command of each stage of the flow."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..core.command_options import lake_option, study_option, verbose_option, warn
from ..core.lake import Lake
from ..core.losses import loss_warnings
from ..core.study_file import load_study
from ..stages import Stage


def stage_command(stage: Stage) -> click.Command:
    """The command that runs one stage, with the options that it declares."""

    @lake_option()
    @study_option
    @verbose_option
    def command(study_file: Path, lake: Lake, **values: Any) -> None:
        study = load_study(study_file)
        given = [(o, values[o.name]) for o in stage.options if values[o.name] not in (None, False)]
        for option, value in given:
            study = study if option.changes is None else option.changes(study, value)
        with lake.lock():
            for option, value in given:
                if option.before is not None:
                    option.before(study, lake, value)
            run = stage.run(study, lake)
            lines = [o.after(study, lake, value) for o, value in given if o.after is not None]
        # Without the lock: whoever reads what is printed, a pager for example, may take long.
        if stage.shows is not None:
            stage.shows(study, lake)
        warnings = loss_warnings(study, [asdict(run)])
        for line in (*lines, "; warning: ".join((run.summary, *warnings))):
            click.echo(line)
        warn(warnings)

    for option in reversed(stage.options):
        command = option(command)
    text = f"{stage.help}\n\n\b\nExample:\n  memtriggers {stage.name} --study study.toml"
    return click.command(stage.name, help=text)(command)
