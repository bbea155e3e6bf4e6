"""Rows at addresses: what reads them is named with the package and the extra that bring it."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from memtriggers.pipelines.captions.files import find_files
from memtriggers.pipelines.core import addresses
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.study import Study


@pytest.mark.parametrize("address", ["s3://bucket/*.parquet", "hf://datasets/a/b/x.parquet"])
def test_the_extension_the_package_and_the_extra_are_named(
    make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, address: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where DuckDB keeps those that it has installed
    monkeypatch.setattr(addresses, "find_extension", lambda name: None)
    monkeypatch.setattr(addresses, "_has_it", lambda: False)
    said = addresses.explained(address, "IO Error: no network:")
    assert said.startswith(f"{address}: cannot be read without DuckDB's extension httpfs (IO Error")
    assert "the package duckdb-extension-httpfs" in said
    assert said.endswith("pip install 'memtriggers[remote]'")


def test_a_package_for_another_duckdb_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Installed as its wheel lays it out, for a DuckDB that does not run here."""
    package = tmp_path / "duckdb_extension_httpfs"
    file = package / "extensions" / "v1.2.3" / "httpfs.duckdb_extension"
    file.parent.mkdir(parents=True)
    file.touch()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(addresses, "_has_it", lambda: False)
    said = addresses.explained("s3://bucket/x.parquet", "IO Error")
    assert f"is for DuckDB 1.2.3, and DuckDB {duckdb.__version__} runs here" in said
    assert said.endswith("pip install --upgrade 'memtriggers[remote]'")


def test_where_it_is_installed_the_reason_alone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_has_it", lambda: True)
    said = addresses.explained("s3://bucket/x.parquet", "HTTP Error: 403")
    assert said == "s3://bucket/x.parquet: cannot be read: HTTP Error: 403"


def test_an_address_of_another_kind_is_refused_with_those_that_are_read(
    make_study: Callable[..., Study],
) -> None:
    with pytest.raises(SourceError, match=r"not read from ftp://; they are from s3://, .*https://"):
        find_files(make_study("ftp://host.example/x.parquet"))
