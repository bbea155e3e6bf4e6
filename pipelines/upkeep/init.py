"""init: a commented study file from the parquet that it is shown."""

import dataclasses
import json
import os
import shlex
from pathlib import Path
from typing import Any

import duckdb

from ..captions.source_file import SourceFile
from ..core.errors import StudyError
from ..core.find_lake import is_replaced, lake_beside
from ..core.lake import write_text
from ..core.study import (
    Data,
    Generator,
    KeywordSet,
    NamedObject,
    Objects,
    ReplicationThreshold,
    Study,
)
from ..core.study_file import read_study
from ..core.terminal import printable
from ..formats.registry import PARQUET
from .look import look

_OPTIONAL = (
    *("words", "fetch", "clip", "copy_model", "cluster", "follow_up", "prompts", "risk", "report"),
)
_GENERATOR = Generator("CompVis/stable-diffusion-v1-4")
_SUGGESTED = "one each for as many clusters as you like; the others have one suggested"
_OBJECT = NamedObject("US flag", phrases=("American flag", "flag"))
_THRESHOLD = ReplicationThreshold(0.83, metric="clip")


def write_study(
    rows: tuple[str, ...],
    output: Path,
    force: bool,
    keywords: tuple[str, ...] = (),
    **data: Any,
) -> list[str]:
    """Look at the parquet and its images, and write a study; returns what to tell the user.

    The file is checked before it is written, in one step: after an error it is as it was.

    Args:
        rows: files, folders or globs, relative to the working directory.
        output: the study file; paths in it are relative to its folder.
        force: write over one that exists.
        keywords: one keyword set each; none: one set with every caption.
        data: further keys of `[data]`, None for those that were not given.

    Raises:
        StudyError: the study file exists, would not be one, or cannot be written; or image_root is
            no folder.
        SourceError: a file is unreadable, or its caption or url column cannot be told.

    """
    if output.exists() and not force:
        raise StudyError(f"{output}: exists; write over it with --force, or choose --output NAME")
    paths = tuple(_relative(path, output) for path in rows)
    root = data.pop("image_root", None)
    image_root = None if root is None else _relative(root, output)
    section = Data(rows=paths, image_root=image_root, **data)
    sets = tuple(KeywordSet(name=word, include=(word,)) for word in keywords)
    study = Study(output.parent, section, sets or (KeywordSet("everything", include=("*",)),))
    with duckdb.connect() as connection:
        looked = look(study, connection)
    _write(output, _study_text(looked.study))
    return [
        _counted(looked.files),
        *(printable(line) for line in looked.lines),
        f"wrote {output}; next: {_next_command(output)}",
    ]


def _counted(files: list[SourceFile]) -> str:
    """How many rows there are, where files say so; and what they are."""
    kinds = ", ".join(sorted({_kind(file) for file in files if file.problem is None}))
    numbers = [file.n_rows for file in files]
    known = [n for n in numbers if n is not None]
    rows = f"{_of(sum(known), 'row')} in " if len(known) == len(numbers) else ""
    return f"{rows}{_of(len(files), 'file')} ({kinds})"


def _of(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def _kind(file: SourceFile) -> str:
    return file.shape if file.format == PARQUET or file.shape != "other" else file.format


def _write(output: Path, text: str) -> None:
    read_study(text, output)
    try:
        write_text(output, text)
    except OSError as error:
        raise StudyError(f"{output}: cannot be written: {error.strerror}") from None


def _next_command(output: Path) -> str:
    """What runs the study in a lake of its own, also where another one lies in `./lake`."""
    command, lake = ["memtriggers", "refresh", "--study", str(output)], lake_beside(output)
    return shlex.join([*command, "--lake", str(lake)] if is_replaced(lake) else command)


def _relative(path: str, output: Path) -> str:
    if "://" in path:
        return path
    return os.path.relpath(Path(path).absolute(), output.parent.absolute())


def _study_text(study: Study) -> str:
    """The study as TOML: what was chosen, and every other key as a comment with its default."""
    parts = [
        "# A memtriggers study. Run it with: memtriggers refresh\n"
        "# Paths are relative to this file. A key behind # shows its default, or an example.",
        _section("[data]", study.data),
        "# A caption belongs to a keyword set when it says all of `include` (words, or phrases of\n"
        "# consecutive words), one of `any` and none of `exclude`. Add as many sets as you like.",
        *(_section("[[keyword_set]]", keywords) for keywords in study.keyword_set),
        *(_section(f"[{name}]", getattr(study, name)) for name in _OPTIONAL),
        _commented(_section("[generator]", _GENERATOR)),
        _section("[score]", study.score),
        _commented(_section(f"[[score.threshold]]  # {_SUGGESTED}", _THRESHOLD)),
        _commented(_section("[objects]", Objects())),
        _commented(_section("[[object]]  # one each for what may come along unasked", _OBJECT)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(header: str, values: Any) -> str:
    lines = [header]
    for field in dataclasses.fields(values):
        if "is_table" in field.metadata:
            continue
        value = getattr(values, field.name)
        line = f"{field.name} = {_toml(field.metadata['example'] if value is None else value)}"
        if value == field.default:
            line = f"# {line}"
        lines.append(f"{line}  # {field.metadata['doc']}")
    return "\n".join(lines)


def _commented(section: str) -> str:
    """A whole section behind #: a study without it leaves out the stages that it is for."""
    return "\n".join(f"# {line.removeprefix('# ')}" for line in section.splitlines())


def _toml(value: Any) -> str:
    """A value as TOML; JSON's quoting of texts, numbers and lists is TOML's too."""
    return json.dumps(value, ensure_ascii=False)
