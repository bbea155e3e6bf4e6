"""Checkpoints of a training: whole or not there, and each of one recipe."""

from pathlib import Path
from typing import Any

import torch


class RecipeError(Exception):
    """A checkpoint cannot be continued with another recipe, or with other rows."""


def save_checkpoint(path: Path, recipe: Any, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    torch.save({"recipe": recipe, **state}, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path, recipe: Any) -> dict[str, Any] | None:
    """The state that was saved, None where there is none.

    Raises:
        RecipeError: another recipe made it.

    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["recipe"] != recipe:
        raise RecipeError(f"{path} is of another recipe or other rows; name another file")
    return state
