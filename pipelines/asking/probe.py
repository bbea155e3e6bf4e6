"""probe: which words of a prompt bring an image back, without any training data."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..core.errors import MissingExtra
from ..core.gpus import choose_gpu
from ..core.study import Study
from ..core.terminal import print_table
from ..generation.model import find_generator

if TYPE_CHECKING:
    from ..replication.tokens import Probed


def print_probe(study: Study, prompt: str, as_json: bool) -> None:
    """Print what the words of a prompt do, as two tables or as one JSON document."""
    probed = probe(study, prompt)
    if as_json:
        click.echo(json.dumps(asdict(probed), indent=2, ensure_ascii=False))
        return
    click.echo(f"magnitude {probed.magnitude:.4f}")
    tokens = [
        (t.token or f"{t.n_tokens} together", t.kind, f"{t.significance:.4f}")
        for t in probed.tokens
    ]
    print_table(["token", "kind", "significance"], tokens)
    click.echo()
    words = [(word.word, f"{word.occlusion:+.4f}") for word in probed.words]
    print_table(["word", "occlusion"], words)


def probe(study: Study, prompt: str) -> "Probed":
    """The magnitude of a prompt for the study's generator, and what its tokens and words do to it.

    Raises:
        StudyError: the study has no `[generator]`.
        ModelError: the generator cannot be loaded or asked, or the prompt is empty or too long.
        MissingExtra: diffusers is not installed.

    """
    choice = find_generator(study)
    try:
        from ..generation.pipeline import load_pipeline
        from ..replication.noise import Probe
        from ..replication.tokens import probe_prompt
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"probe needs the package {error.name}; install: pip install 'memtriggers[generate]'"
        ) from None
    pipeline = load_pipeline(choice, choose_gpu(study.resources.device) or "cpu")
    score = study.score
    return probe_prompt(
        Probe(pipeline, choice.settings, score.probe_seeds, score.probe_steps), prompt
    )
