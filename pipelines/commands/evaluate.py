"""The command `evaluate`: its options, and what they may not be together."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..core.command_options import lake_option, study_option, verbose_option
from ..core.lake import Lake
from ..core.study import METRICS, Data, Study
from ..core.study_file import load_study
from ..stages import one_line_errors

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _named_files(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    for value in values:
        if not all(value.partition("=")):
            raise click.BadParameter(f"{value!r} is not NAME=FILE.npy", ctx, param)
    return tuple((name, Path(file)) for name, _, file in (v.partition("=") for v in values))


@click.command()
@lake_option()
@study_option
@verbose_option
@click.option(
    "--sample",
    is_flag=True,
    help="On the bundled sample's held-out images, of the bundled model where there is no study; "
    "with --scores, on the bundled study of planted rows.",
)
@click.option(
    "--pairs",
    type=_FILE,
    help="A parquet or csv file with sample_id and other_sample_id: the true pairs, all others of "
    "these images being false; with a column is_duplicate, only its pairs count.",
)
@click.option(
    "--label-column",
    metavar="NAME",
    help="A column of the source parquet: images with the same label are true pairs, all other "
    "pairs are false.",
)
@click.option(
    "--vectors",
    multiple=True,
    metavar="NAME=FILE.npy",
    callback=_named_files,
    help="Vectors of another model, row i being row i of the one source file; may be repeated.",
)
@click.option(
    "--sscd",
    type=_FILE,
    help="SSCD as TorchScript, one more peer; if left out, the study's [copy_model]. Loading it "
    "runs the program in the file.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Of the copies, and of which images.",
)
@click.option(
    "--limit",
    default=2_000,
    show_default=True,
    type=click.IntRange(min=2),
    help="Images to evaluate on, at most.",
)
@click.option(
    "--copies",
    type=click.IntRange(min=1),
    help="Copies of each image; if left out, 5 with --sample, else 1.",
)
@click.option(
    "--write-recommendation",
    is_flag=True,
    help="With --sample: write recommended_threshold.json beside the model's weights.",
)
@click.option(
    "--scores",
    type=_FILE,
    help="Instead: judge detectors of memorization by what the lake's generations copy, beside our "
    "own. A parquet or csv file with prompt_id and score (larger: more suspect); optional: seed "
    "(the score is of one image), detector, generator_id.",
)
@click.option(
    "--metric",
    default="clip",
    show_default=True,
    type=click.Choice(METRICS),
    help="With --scores: what says that a generation is a copy.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def evaluate(
    study_file: Path, lake: Lake, scores: Path | None, metric: str, as_json: bool, **options: Any
) -> None:
    """Measure how well the model tells copies from other images, and recommend a threshold.

    \b
    Example:
      memtriggers evaluate --label-column work
    """
    _check(**options)
    _check_scores(scores, **options)
    if scores is not None:
        _evaluate_detectors(
            None if options["sample"] else lake, scores, metric, options["seed"], as_json
        )
        return
    with one_line_errors("evaluate", "embed"):
        from ..evaluation.evaluate import Request, evaluate
        from ..evaluation.printed import print_evaluation

        summary = evaluate(Request(**options), _study(study_file, options["sample"]), lake)
        if as_json:
            click.echo(json.dumps(summary.document, indent=2))
            return
        print_evaluation(summary)
        click.echo(f"written to {lake.evaluation(summary.clip_id, summary.on)}")


def _evaluate_detectors(
    lake: Lake | None, scores: Path, metric: str, seed: int, as_json: bool
) -> None:
    with one_line_errors("evaluate", "embed"):
        from ..evaluation.detectors import evaluate_detectors, evaluate_on_planted
        from ..evaluation.printed import print_detectors

        figures = (
            evaluate_on_planted(scores, seed)
            if lake is None
            else evaluate_detectors(lake, scores, metric, seed)
        )
        if as_json:
            click.echo(json.dumps([asdict(one) for one in figures], indent=2))
        else:
            print_detectors(figures)


def _check_scores(scores: Path | None, sample: bool, **others: Any) -> None:
    """Refuse what would be heeded by the other half of the command only."""
    is_given = click.get_current_context().get_parameter_source
    named = {name: is_given(name) is ParameterSource.COMMANDLINE for name in ("metric", *others)}
    if scores is None and named["metric"]:
        raise click.UsageError("--metric needs --scores")
    if scores is None:
        return
    if sample and named["metric"]:
        raise click.UsageError("--metric is of a lake: the bundled study has l2_relative alone")
    for name in others:
        if named[name] and name != "seed":
            raise click.UsageError(f"--{name.replace('_', '-')} says nothing about --scores")


def _check(
    sample: bool,
    pairs: Path | None,
    label_column: str | None,
    vectors: tuple[tuple[str, Path], ...],
    write_recommendation: bool,
    **others: Any,
) -> None:
    labels = [pairs, label_column]
    if sum(given is not None for given in (sample or None, *labels)) > 1:
        raise click.UsageError("give one of: --sample, --pairs, --label-column")
    if vectors and labels == [None, None]:
        raise click.UsageError("--vectors needs --pairs or --label-column: it has no copies")
    if write_recommendation and not sample:
        raise click.UsageError("--write-recommendation needs --sample: a model's file is for all")


def _study(study_file: Path, sample: bool) -> Study:
    """The study, or with --sample the bundled model where no study file is named or found."""
    source = click.get_current_context().get_parameter_source("study_file")
    if sample and source is ParameterSource.DEFAULT and not study_file.exists():
        return Study(Path(), Data(()), ())
    return load_study(study_file)
