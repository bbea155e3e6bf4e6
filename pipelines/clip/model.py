"""The CLIP model that a study names: found without torch, loaded without executing pickles."""

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import ModelError
from ..core.study import BUNDLED_CLIP, Study

_BUNDLED = Path(__file__).resolve().parents[2] / "sample" / "clip"
_CONFIG = "open_clip_config.json"
_LOCAL, _HUB = "local-dir:", "hf-hub:"
# The order in which open_clip itself looks for them in a folder.
_WEIGHTS_NAMES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".npz")


@dataclass(frozen=True)
class ClipChoice:
    """A model, told apart from every other one by `clip_id`.

    `model` and `pretrained` are what open_clip takes; `weights` is the file that it will read,
    None when it comes from a hub.
    """

    clip_id: str
    model: str
    pretrained: str | None = None
    weights: str | None = None

    def beside_weights(self, name: str) -> Path | None:
        """A file that travels with the weights; None when they come from a hub."""
        return None if self.weights is None else Path(self.weights).with_name(name)


class Clip(NamedTuple):
    """A loaded model in evaluation mode, its image transform and its tokenizer."""

    model: Any
    preprocess: Callable[..., Any]
    tokenizer: Callable[..., Any]


def find_clip(study: Study) -> ClipChoice:
    """The model of `[clip]`; imports neither torch nor open_clip.

    `clip_id` is a short name and 8 hex digits: of the weights file and its configuration, or of
    "model|pretrained" for what a hub serves.

    Raises:
        ModelError: a file or folder is missing, or open_clip has no model of that name.

    """
    model, pretrained = study.clip.model, study.clip.pretrained
    folder = _find_folder(study)
    if (folder or model.startswith(_HUB)) and pretrained is not None:
        raise ModelError(
            f"clip: pretrained: {pretrained!r}: leave it out; {model} has weights of its own"
        )
    if folder:
        return _choose_folder(folder, BUNDLED_CLIP if model == BUNDLED_CLIP else folder.name)
    if model.startswith(_HUB):
        return ClipChoice(_clip_id(model.removeprefix(_HUB), _hash_text(f"{model}|")), model)
    _check_name(model)
    if pretrained is None:
        raise ModelError(
            f'clip: pretrained: missing; {model} needs an open_clip tag such as "openai", or a file'
        )
    return _choose_name(model, pretrained, Path(study.path(pretrained)))


def load_clip(choice: ClipChoice, device: str = "cpu") -> Clip:
    """Load a model in float32.

    Weights are read as safetensors or by `torch.load(weights_only=True)`, never as a pickle that
    may execute something; nor is any code of a folder or of a hub.

    Raises:
        ModelError: it cannot be loaded; one line that names the file or the model.

    """
    import open_clip

    where = choice.weights or " ".join(filter(None, (choice.model, choice.pretrained)))
    try:
        with _quiet():
            _check_pickle(choice)
            text = _check_configuration(choice)
            tag = open_clip.get_pretrained_cfg(choice.model, choice.pretrained or "")
            model, preprocess = open_clip.create_model_from_pretrained(
                choice.model,
                choice.pretrained,
                device=device,
                # OpenAI's weights were trained with it; open_clip only warns and goes on without.
                force_quick_gelu=bool(tag.get("quick_gelu", False)),
            )
            # Only a tokenizer of transformers takes it: it would ask whether to run what it finds.
            safe = {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}
            tokenizer = open_clip.get_tokenizer(choice.model, **safe)
        _check_vocabulary(model, tokenizer, where)
    except ModelError:
        raise
    except Exception as error:  # whatever a file from elsewhere leads open_clip into
        raise ModelError(f"{where}: cannot be loaded: {_first_line(error)}") from None
    return Clip(model.eval(), preprocess, tokenizer)


def describe_clip(choice: ClipChoice, preprocessing: dict[str, Any] | None = None) -> str:
    """What made the vectors, as JSON: the model, its pretrained tag or file, the preprocessing."""
    said = {"clip_id": choice.clip_id, "model": choice.model, "pretrained": choice.pretrained}
    return json.dumps(said | {"preprocessing": preprocessing}, sort_keys=True)


def _find_folder(study: Study) -> Path | None:
    model = study.clip.model
    if model == BUNDLED_CLIP:
        return _BUNDLED
    folder = Path(study.path(str(Path(model.removeprefix(_LOCAL)).expanduser())))
    if model.startswith((_LOCAL, ".", "/", "~")) and not folder.is_dir():
        raise ModelError(f"clip: model: {folder}: no such folder")
    return folder if folder.is_dir() else None


def _choose_folder(folder: Path, name: str) -> ClipChoice:
    config = folder / _CONFIG
    if not config.is_file():
        raise ModelError(f"clip: model: {config}: no such file; a model's folder has one")
    weights = _find_weights(folder)
    digest = hash_files(config, weights)
    return ClipChoice(_clip_id(name, digest), f"{_LOCAL}{folder}", None, str(weights))


def _find_weights(folder: Path) -> Path:
    named = [folder / name for name in _WEIGHTS_NAMES if (folder / name).is_file()]
    others = [
        file
        for suffix in (".safetensors", ".bin", ".pth")
        for file in sorted(folder.glob(f"*{suffix}"))
    ]
    if not named and not others:
        raise ModelError(f"clip: model: {folder}: no weights; expected {_WEIGHTS_NAMES[0]}")
    return (named or others)[0]


def _choose_name(model: str, pretrained: str, file: Path) -> ClipChoice:
    if file.is_file():
        digest = _hash_text(f"{model}|{hash_files(file)}")
        return ClipChoice(_clip_id(model, digest), model, str(file), str(file))
    if "/" in pretrained or pretrained.endswith(_WEIGHTS_SUFFIXES):
        raise ModelError(f"clip: pretrained: {file}: no such file")
    digest = _hash_text(f"{model}|{pretrained}")
    return ClipChoice(_clip_id(f"{model}-{pretrained}", digest), model, pretrained)


def _check_name(model: str) -> None:
    spec = find_spec("open_clip")  # finds the package without importing it, and so torch
    if spec is None or not spec.submodule_search_locations:
        return  # a base install: the name is only compared with the one that made the vectors
    configs = Path(spec.submodule_search_locations[0]) / "model_configs"
    if not (configs / f"{model.replace('/', '-')}.json").is_file():
        raise ModelError(f"clip: model: {model!r}: neither a folder nor a model of open_clip's")


def _check_pickle(choice: ClipChoice) -> None:
    """Refuse weights that torch reads only by executing what is in them."""
    import pickle

    import torch

    if choice.weights is None or choice.weights.endswith((".safetensors", ".npz")):
        return
    try:
        torch.load(choice.weights, map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, TypeError):
        raise ModelError(
            f"{choice.weights}: more than weights, or damaged: torch.load(weights_only=True) "
            "refuses it; save its state dict as safetensors where you trust it"
        ) from None


def _check_configuration(choice: ClipChoice) -> dict[str, Any]:
    """What is said of the text tower, where the model brings a configuration, and a safe one."""
    from .configuration import check_configuration

    if choice.model.startswith(_LOCAL):
        return check_configuration(Path(choice.model.removeprefix(_LOCAL)) / _CONFIG)
    if choice.model.startswith(_HUB):
        from open_clip.pretrained import download_pretrained_from_hf

        name = choice.model.removeprefix(_HUB)
        return check_configuration(Path(download_pretrained_from_hf(name, filename=_CONFIG)))
    return {}  # open_clip's own


def _check_vocabulary(model: Any, tokenizer: Any, where: str) -> None:
    """Refuse a text tower that open_clip's own tokenizer does not speak to.

    With a smaller vocabulary the first caption would end in an IndexError; with a larger one every
    caption would be embedded, and none as it was trained.
    """
    known = getattr(
        tokenizer, "vocab_size", None
    )  # only open_clip's own, which fits one vocabulary
    rows = model.vocab_size
    if known is not None and known != rows:
        raise ModelError(
            f"{where}: another vocabulary: its text tower has {rows:,} tokens, CLIP's tokenizer "
            f"{known:,}; name the right one as hf_tokenizer_name in the text_cfg of {_CONFIG}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's notes to the root logger and its warnings to itself, but for -v."""
    before = logging.root.manager.disable
    if not logging.root.isEnabledFor(logging.INFO):
        logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _clip_id(name: str, digest: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32]
    return f"{slug}-{digest[:8]}"


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def hash_files(*files: Path) -> str:
    """The sha256 of those of the files, in hex: what is in them, in this order."""
    return _hash_text("|".join(hash_file(file, file.stat().st_mtime_ns) for file in files))


@lru_cache
def hash_file(path: Path, modified: int) -> str:
    """The sha256 of a file that was modified then, in hex: read once in a process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
