"""Working databases keep to the limits that the environment sets."""

import pytest

from memtriggers.pipelines.core.database import connect
from memtriggers.pipelines.core.errors import LakeError
from memtriggers.pipelines.core.lake import Lake


def test_limits(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMTRIGGERS_MEMORY_LIMIT", "1GiB")
    monkeypatch.setenv("MEMTRIGGERS_THREADS", "1")
    with connect(lake) as connection:
        limits = connection.execute(
            "select current_setting('memory_limit'), current_setting('threads')"
        ).fetchone()
    assert limits == ("1.0 GiB", 1)


def test_a_limit_that_cannot_be_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMTRIGGERS_MEMORY_LIMIT", "a lot")
    with pytest.raises(LakeError, match=r"MEMTRIGGERS_MEMORY_LIMIT: .*number"), connect(lake):
        pass
