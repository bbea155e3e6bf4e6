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

from ..errors import ModelError
from ..study import Generator
from .model import GeneratorChoice


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
            f"generator: model: {settings.model!r}: neither a folder nor a model that the hub "
            f"gives: {_first_line(error)}"
        ) from None
    return Path(folder)


def load_pipeline(choice: GeneratorChoice, device: str) -> Any:
    """The pipeline on its device, with the scheduler and the LoRA of its settings.

    Raises:
        ModelError: it cannot be loaded; one line that names the folder.

    """
    try:
        with _quiet():
            pipeline = DiffusionPipeline.from_pretrained(
                choice.folder,
                torch_dtype=getattr(torch, choice.settings.dtype),
                use_safetensors=True,
                local_files_only=True,
            )
            if choice.settings.scheduler is not None:
                pipeline.scheduler = _scheduler(choice.scheduler, pipeline.scheduler)
            if choice.lora is not None:
                lora = Path(choice.lora)
                pipeline.load_lora_weights(
                    lora.parent, weight_name=lora.name, use_safetensors=True, local_files_only=True
                )
            pipeline.set_progress_bar_config(disable=True)
            return pipeline.to(device)
    except (ModelError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a file from elsewhere leads diffusers into
        raise ModelError(f"{choice.folder}: cannot be loaded: {_first_line(error)}") from None


def _scheduler(name: str, present: Any) -> Any:
    kind = getattr(diffusers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        known = ", ".join(sorted(one.__name__ for one in present.compatibles))
        raise ModelError(
            f"generator: scheduler: {name!r}: no scheduler of diffusers; such: {known}"
        )
    return kind.from_config(present.config)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars, notes and warnings of both libraries to themselves, but for -v."""
    if logging.root.isEnabledFor(logging.INFO):
        yield
        return
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
