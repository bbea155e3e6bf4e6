"""A diffusers pipeline, loaded without executing anything that its files bring."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging

from ..core.errors import ModelError
from ..core.study import Generator
from .generate_job import GeneratorChoice


def download(settings: Generator) -> Path:
    """The folder in the hub's cache that holds the model's safetensors.

    Raises:
        ModelError: there is no such model, the hub cannot be reached, or it has pickles only.

    """
    try:
        with _quiet():
            folder = DiffusionPipeline.download(
                settings.model, revision=settings.revision, use_safetensors=True
            )
    except Exception as error:  # whatever the hub's client makes of it
        raise ModelError(
            f"generator: model: {settings.model!r}: no such folder, and it does not come from the "
            "hub: look at its name, its revision and the network, or name a folder "
            f"({_first_line(error)})"
        ) from None
    return Path(folder)


def load_pipeline(choice: GeneratorChoice, device: str) -> Any:
    """The pipeline on its device, with the scheduler and the LoRA of its settings.

    Raises:
        ModelError: it cannot be loaded, or the LoRA is of another model; one line that names the
            folder or the file.

    """
    with _one_line_errors(f"generator: model: {choice.folder}"):
        pipeline = DiffusionPipeline.from_pretrained(
            choice.folder,
            torch_dtype=getattr(torch, choice.settings.dtype),
            use_safetensors=True,
            local_files_only=True,
        )
        if choice.settings.scheduler is not None:
            pipeline.scheduler = _scheduler(choice.scheduler, pipeline.scheduler)
        if choice.lora is not None:
            _add_lora(pipeline, Path(choice.lora))
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(device)


def _add_lora(pipeline: Any, path: Path) -> None:
    """Add it whole: of weights that have no place in the model, diffusers only takes note."""
    with _one_line_errors(f"generator: lora: {path}"):
        options = {"weight_name": path.name, "use_safetensors": True, "local_files_only": True}
        found = pipeline.lora_state_dict(path.parent, **options)
        given = found[0] if isinstance(found, tuple) else found
        pipeline.load_lora_weights(path.parent, **options)
        n_given, n_taken = sum("lora" in name for name in given), _count_lora(pipeline)
        if n_taken != n_given:
            raise ModelError(
                f"generator: lora: {path}: made for another model: {n_taken} of its {n_given} "
                "weights have a place in this one"
            )


def _count_lora(pipeline: Any) -> int:
    parts = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    return sum("lora_" in name for part in parts for name, _ in part.named_parameters())


def _scheduler(name: str, present: Any) -> Any:
    kind = getattr(diffusers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        known = ", ".join(sorted(one.__name__ for one in present.compatibles))
        raise ModelError(
            f"generator: scheduler: {name!r}: no scheduler of diffusers; such: {known}"
        )
    return kind.from_config(present.config)


@contextmanager
def _one_line_errors(where: str) -> Iterator[None]:
    """Whatever a file from elsewhere leads diffusers into becomes one line that names it."""
    try:
        with _quiet():
            yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{where}: cannot be loaded: {_first_line(error)}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars, notes and errors of both libraries to themselves, but for -v."""
    if logging.root.isEnabledFor(logging.INFO):
        yield
        return
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)  # what is logged as one is raised, too
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
