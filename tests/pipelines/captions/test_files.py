"""Patterns match rows, and nothing that is hidden unless they name it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from memtriggers.pipelines.captions.files import find_files, is_asked_for
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.study import Study

FILES = (
    "_SUCCESS.parquet",
    "a.parquet",
    "deep/er/b.parquet",
    "out/_temporary/0/c.parquet",
    "out/_temporary/d.parquet",
    "out/.ipynb_checkpoints/e.parquet",
    "out/f.parquet",
    "out/.g.parquet",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As Spark and Jupyter leave one."""
    for name in FILES:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data", ["a", "b", "f"]),
        ("data/**/*.parquet", ["a", "b", "f"]),
        ("data/**", ["a", "b", "f"]),
        ("**/*.parquet", ["a", "b", "f"]),
        ("data/*/*/*.parquet", ["b"]),
        ("data/*", ["a", "b", "f"]),
        ("data/_*", ["_SUCCESS"]),
        ("data/out/_temporary/*.parquet", ["d"]),
        ("data/out/_temporary/**/*.parquet", ["c", "d"]),
        ("data/**/_temporary/**/*.parquet", ["c", "d"]),
        ("data/*/_t*/*", ["c", "d"]),
        ("data/*/.*/*.parquet", ["e"]),
        ("data/out/.ipynb_checkpoints/e.parquet", ["e"]),
    ],
)
def test_what_a_wildcard_matches_is_not_hidden(
    folder: Path, make_study: Callable[..., Study], pattern: str, found: list[str]
) -> None:
    assert sorted(Path(one).stem for one in find_files(make_study(pattern))) == found


def test_the_typed_part_of_a_pattern_may_be_hidden(
    folder: Path, make_study: Callable[..., Study]
) -> None:
    hidden = folder.parent / ".cache" / "_x"
    hidden.parent.mkdir()
    folder.rename(hidden)
    for given in (f"{hidden}/**/*.parquet", f"{hidden}/../_x//**/*.parquet", str(hidden)):
        assert [Path(one).stem for one in find_files(make_study(given))] == ["a", "b", "f"]
    with pytest.raises(SourceError, match="no such file"):
        find_files(make_study(f"{folder.parent}/*/*/a.parquet"))


@pytest.mark.parametrize(
    ("path", "is_asked"),
    [
        ("s3://bucket/_raw/a.parquet", True),
        ("s3://bucket/_raw/2024/a.parquet", True),
        ("s3://bucket/_raw/_temporary/0/a.parquet", False),
        ("s3://bucket/_raw/2024/.a.parquet", False),
    ],
)
def test_addresses_are_matched_in_the_same_way(path: str, is_asked: bool) -> None:
    assert is_asked_for(path, "s3://bucket/_raw/**/*.parquet") == is_asked
