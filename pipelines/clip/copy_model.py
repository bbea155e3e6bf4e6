"""The descriptor of copies: a TorchScript file that the study names and vouches for."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ModelError, StudyError
from ..core.study import Study
from .model import hash_file


@dataclass(frozen=True)
class CopyChoice:
    """A TorchScript file, what it has to be, and how images are prepared for it."""

    path: str
    sha256: str
    preprocessing: str

    @property
    def copy_id(self) -> str:
        """What tells its vectors apart: `sscd320-` and 8 hex digits of the file's hash."""
        return f"{self.preprocessing}-{self.sha256[:8]}"


def find_copy_model(study: Study) -> CopyChoice | None:
    """The descriptor of `[copy_model]`, None where the study names none; imports no torch.

    Loading a TorchScript file runs the program in it. So the study says the file's hash: a file
    that is another one by now, or on another host of a cluster, is not run.

    Raises:
        StudyError: there are no images to describe, or the hash is missing.
        ModelError: the file is missing, or another one than the study says.

    """
    if study.copy_model.path is None:
        return None
    if study.data.vectors is not None:
        raise StudyError(
            "copy_model: path: it describes images, and with data.vectors none are fetched; "
            "leave one of the two out"
        )
    path = Path(study.path(study.copy_model.path))
    if not path.is_file():
        raise ModelError(f"copy_model: path: {path}: no such file")
    choice = choose_copy_model(path, study.copy_model.preprocessing)
    said = study.copy_model.sha256
    if said is None:
        raise StudyError(
            "copy_model: sha256: missing; TorchScript is a program, which loading runs: where you "
            f'trust {path}, write sha256 = "{choice.sha256}"'
        )
    if said.lower() != choice.sha256:
        raise ModelError(f"{path}: its sha256 is {choice.sha256}, copy_model.sha256 says {said}")
    return choice


def choose_copy_model(path: Path, preprocessing: str = "sscd320") -> CopyChoice:
    """A file that a person vouches for by naming it."""
    return CopyChoice(str(path), hash_file(path, path.stat().st_mtime_ns), preprocessing)
