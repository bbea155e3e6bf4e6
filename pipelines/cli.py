"""The command line: one command a stage, in the order of the flow, and a few beside them."""

import sys
from typing import Any, NoReturn

import click

from .. import __version__
from .commands.evaluate import evaluate
from .commands.query import explore, export, probe, search, sql
from .commands.refresh import demo, refresh, status
from .commands.setup import doctor, init
from .commands.stage import stage_command
from .core.command_options import verbose_option
from .core.errors import MemtriggersError, store_errors
from .stages import STAGES


class Flow(click.Group):
    """Lists the stages in the order of the flow, then the rest, instead of by the alphabet."""

    @store_errors()
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the vector store refuses is an error like any other."""
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command in the order in which it was added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists: the flow, and what stands beside it."""
        for title, inside in (("The flow", True), ("Beside the flow", False)):
            rows = [
                (name, command.get_short_help_str(limit=90))
                for name, command in self.commands.items()
                if (name in STAGES) == inside
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=Flow,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", message="memtriggers %(version)s")
@verbose_option
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find what a text-to-image model will memorize, before it is trained.

    \b
    Example:
      memtriggers demo
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _stage in STAGES.values():
    cli.add_command(stage_command(_stage))

for _command in (
    refresh,
    status,
    evaluate,
    init,
    demo,
    sql,
    search,
    explore,
    probe,
    doctor,
    export,
):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line; a user's error is one line and exit code 1."""
    try:
        code = cli.main(standalone_mode=False) or 0
    except MemtriggersError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; what is finished is kept: run the command again", err=True)
        code = 130
    sys.exit(code)
