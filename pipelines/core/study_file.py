"""The study file: one TOML document, read into the tree of a study and checked key by key."""

import dataclasses
import re
import tomllib
import types
import typing
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import StudyError
from .study import EVERYTHING, HERE, Resources, Study

T = TypeVar("T")


def load_study(path: Path, resources: Resources = HERE) -> Study:
    """Read and check a study file.

    Raises:
        StudyError: the file is missing or unreadable, or see `read_study`.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(
            f"{path}: no such study file; write one with: memtriggers init DATA.parquet"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a readable TOML file: {error}") from None
    return read_study(text, path, resources)


def read_study(text: str, path: Path, resources: Resources = HERE) -> Study:
    """Check the text of a study file, which `path` may hold or is to hold.

    Raises:
        StudyError: it is no TOML, or a key is unknown, missing, of the wrong type or out of range;
            the message names the key, its value and the fix.

    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: not a readable TOML file: {error}") from None
    study = _read_table(Study, document, str(path), folder=path.parent, resources=resources)
    _check_contact(study, path)
    _check_keyword_sets(study, path)
    _check_thresholds(study, path)
    _check_score(study, path)
    _check_objects(study, path)
    return study


def _read_table(kind: type[T], table: dict[str, Any], where: str, **given: Any) -> T:
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in given}  # type: ignore[arg-type]
    table = _by_todays_names(table, fields)
    for name in table:
        if name not in fields:
            close = get_close_matches(name, fields, n=1)
            fix = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(fields)}"
            raise StudyError(f"{where}: {name}: unknown key; {fix}")
    hints = get_type_hints(kind)
    values = given
    for name, f in fields.items():
        if name in table:
            values[name] = _read_value(hints[name], table[name], f"{where}: {name}", f.metadata)
        elif f.default is dataclasses.MISSING:
            doc = f.metadata.get("doc", "see memtriggers init")
            raise StudyError(f"{where}: {name}: missing; it says {doc}")
    return kind(**values)


def _by_todays_names(table: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """A table whose keys are called as today: `parquet` is what `rows` was called first."""
    today = {f.metadata["noted_as"]: name for name, f in fields.items() if "noted_as" in f.metadata}
    return {
        today.get(name, name) if today.get(name) not in table else name: value
        for name, value in table.items()
    }


def _read_value(hint: Any, value: Any, where: str, limits: Any) -> Any:
    if get_origin(hint) is types.UnionType:  # X | None
        return _read_value(get_args(hint)[0], value, where, limits)
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        values = value if isinstance(value, list) else [value]
        return tuple(
            _read_value(
                item, v, f"{where}[{i}]" if dataclasses.is_dataclass(item) else where, limits
            )
            for i, v in enumerate(values, 1)
        )
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise StudyError(f"{where}: {value!r} is not a table; write [{where.split()[-1]}]")
        return _read_table(typing.cast(type[Any], hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise StudyError(f"{where}: {value!r} is not {_TYPE_NAMES[hint]}")
    if value not in limits.get("choices", (value,)):
        raise StudyError(f"{where}: {value!r} is unknown; it is one of {list(limits['choices'])}")
    low, high = limits.get("min"), limits.get("max")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bound = f"between {low} and {high}" if high is not None else f"at least {low}"
        raise StudyError(f"{where}: {value!r} is out of range; it must be {bound}")
    return value


_TYPE_NAMES = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


def _check_contact(study: Study, path: Path) -> None:
    contact = study.fetch.contact
    if contact is not None and not re.fullmatch(r"[!-'*-~]([ -'*-~]*[!-'*-~])?", contact):
        raise StudyError(
            f"{path}: fetch: contact: {contact!r} cannot stand in a header; write an address, such "
            'as "https://lab.example/crawler" or "mailto:me@lab.example"'
        )


def _check_keyword_sets(study: Study, path: Path) -> None:
    names = [k.name for k in study.keyword_set]
    if not names:
        raise StudyError(f"{path}: keyword_set: none; add one as [[keyword_set]]")
    for number, keywords in enumerate(study.keyword_set, 1):
        where = f"{path}: keyword_set[{number}]"
        if names.count(keywords.name) > 1:
            raise StudyError(f"{where}: name: {keywords.name!r} is used twice; rename one")
        if not keywords.include and not keywords.any:
            raise StudyError(f'{where}: say include = [...], any = [...], or include = ["*"]')
        for phrase in (*keywords.include, *keywords.any, *keywords.exclude):
            if phrase != EVERYTHING and not any(c.isalnum() for c in phrase):
                raise StudyError(f"{where}: {phrase!r} has no letter or digit to look for")
        if EVERYTHING in (*keywords.any, *keywords.exclude):
            raise StudyError(f'{where}: "*" belongs into include')
        if keywords.parent is not None and keywords.parent not in names:
            raise StudyError(
                f"{where}: parent: {keywords.parent!r} is no keyword set; there are: "
                + ", ".join(names)
            )


def _check_thresholds(study: Study, path: Path) -> None:
    thresholds = study.cluster.thresholds
    if thresholds is None:
        return
    if not thresholds or len(set(thresholds)) < len(thresholds):
        raise StudyError(f"{path}: cluster: thresholds: {list(thresholds)}: say each of them once")
    shown = {"report": study.report.threshold, "prompts": study.prompts.threshold}
    for number, keywords in enumerate(study.keyword_set, 1):
        shown[f"keyword_set[{number}]"] = keywords.threshold
    for where, threshold in shown.items():
        if threshold not in (None, *thresholds):
            raise StudyError(
                f"{path}: {where}: threshold: {threshold} is not one of cluster.thresholds "
                f"{list(thresholds)}"
            )


def _check_score(study: Study, path: Path) -> None:
    for metric in study.score.metrics or ():
        if metric.startswith("sscd") and study.copy_model.path is None:
            raise StudyError(
                f"{path}: score: metrics: {metric!r} compares what a descriptor of copies makes of "
                "images: name one in [copy_model] path, or leave it out"
            )
    for number, given in enumerate(study.score.threshold, 1):
        if (given.cluster is None) == (not given.words):
            raise StudyError(
                f"{path}: score: threshold[{number}]: say which cluster: either cluster = "
                '"a sample_id" or words = ["…"]'
            )


def _check_objects(study: Study, path: Path) -> None:
    names = [one.name for one in study.object]
    for number, one in enumerate(study.object, 1):
        where = f"{path}: object[{number}]"
        if names.count(one.name) > 1:
            raise StudyError(f"{where}: name: {one.name!r} is used twice; rename one")
        for phrase in (one.name, *one.phrases):
            if not any(c.isalnum() for c in phrase):
                raise StudyError(f"{where}: {phrase!r} has no letter or digit to look for")
