"""The text-to-image model that a study names: found, checked and told apart, without torch."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..clip.model import hash_file
from ..core.errors import ModelError, StudyError
from ..core.study import Generator, Study
from .generate_job import GeneratorChoice

_INDEX = "model_index.json"
_SETTINGS = ("dtype", "steps", "guidance_scale", "width", "height")
_PICKLED = (".bin", ".ckpt", ".pt", ".pth")


def find_generator(study: Study) -> GeneratorChoice:
    """The model of `[generator]`; what is on a hub is downloaded.

    `generator_id` is 16 hex digits of everything that decides what a prompt and a seed become:
    the model, its revision, its files, the LoRA, the scheduler, steps, guidance, size and dtype.

    Raises:
        StudyError: the study has no `[generator]`.
        ModelError: it cannot be found, its weights are pickled, or it takes no prompt.

    """
    settings = study.generator
    if settings is None:
        raise StudyError('generator: missing; write [generator] and model = "…" into the study')
    folder = _local_folder(study, settings)
    if folder is None:
        from .pipeline import download  # imports torch

        folder = download(settings)
    parts = _read_parts(folder, settings.model)
    _check_weights(folder)
    lora = _find_lora(study, settings)
    weights_hash = _hash_files(folder, lora)
    scheduler = settings.scheduler or parts.get("scheduler", "none")
    values = asdict(settings)
    identity = [settings.model, settings.revision, weights_hash, scheduler]
    identity += [values[name] for name in _SETTINGS]
    generator_id = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    path = None if lora is None else str(lora)
    return GeneratorChoice(generator_id, str(folder), path, weights_hash, scheduler, settings)


def load_generator(choice: GeneratorChoice, device: str) -> Any:
    """The pipeline on its device: what workers call unless they are given another `Load`.

    Raises:
        ModelError: it cannot be loaded, or the LoRA is of another model.

    """
    from .pipeline import load_pipeline  # imports torch

    return load_pipeline(choice, device)


def generator_files(study: Study) -> list[str] | None:
    """The files of the model, none of a hub's; None without a generator."""
    if study.generator is None:
        return None
    folder = _local_folder(study, study.generator)
    return [] if folder is None else [str(path) for path in _files(folder)]


def _local_folder(study: Study, settings: Generator) -> Path | None:
    folder = Path(study.path(str(Path(settings.model).expanduser())))
    if folder.is_dir():
        return folder
    if settings.model.startswith((".", "/", "~")) or settings.model.count("/") != 1:
        raise ModelError(
            f"generator: model: {folder}: no such folder, and {settings.model!r} is no name on the "
            "hub, which is owner/name"
        )
    return None


def _read_parts(folder: Path, model: str) -> dict[str, str]:
    """The classes that the model is made of, by the names of its parts.

    Refuses what would have to execute code, or takes no prompt.
    """
    path = folder / _INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        parts = {name: part[1] for name, part in index.items() if isinstance(part, list)}
    except (OSError, ValueError, AttributeError, IndexError):
        raise ModelError(
            f"generator: model: {path}: cannot be read; a folder that diffusers saved has one"
        ) from None
    if not isinstance(index.get("_class_name"), str) or any(folder.rglob("*.py")):
        raise ModelError(
            f"generator: model: {model}: brings code of its own, which is never executed; name a "
            "model whose pipeline is one of diffusers' own"
        )
    if not any(name.startswith("text_encoder") for name, kind in parts.items() if kind):
        raise ModelError(
            f"generator: model: {model}: {index['_class_name']} has no text encoder, so it cannot "
            "be asked for anything; name a text-to-image model"
        )
    return parts


def _check_weights(folder: Path) -> None:
    """Every part that has weights has them as safetensors."""
    for part in sorted({path.parent for path in folder.rglob("*") if path.suffix in _PICKLED}):
        if not any(part.glob("*.safetensors")):
            raise ModelError(
                f"generator: model: {part}: pickled weights, which may execute something when they "
                "are loaded; name a revision with safetensors, or, where you trust them, save the "
                "pipeline again with save_pretrained(…, safe_serialization=True)"
            )


def _find_lora(study: Study, settings: Generator) -> Path | None:
    if settings.lora is None:
        return None
    path = Path(study.path(settings.lora))
    if not path.is_file():
        raise ModelError(f"generator: lora: {path}: no such file")
    if path.suffix != ".safetensors":
        raise ModelError(f"generator: lora: {path}: not a .safetensors file, the only safe kind")
    return path


def _files(folder: Path) -> list[Path]:
    """The weights and the configurations, in a fixed order."""
    kinds = (".safetensors", ".json", ".txt", ".model")
    return sorted(path for path in folder.rglob("*") if path.suffix in kinds and path.is_file())


def _hash_files(folder: Path, lora: Path | None) -> str:
    """16 hex digits of every file's place and content, wherever the folder lies."""
    files = {str(path.relative_to(folder)): path for path in _files(folder)}
    if lora is not None:
        files["lora"] = lora
    hashes = [(name, hash_file(path, path.stat().st_mtime_ns)) for name, path in files.items()]
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
