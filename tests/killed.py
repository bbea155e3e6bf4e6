"""A run that is stopped between two commits, as a kill may do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from memtriggers.lance.store import VectorStore


@contextmanager
def killed_at(commit: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop before the commit of this number to a Lance table; the block must come to it."""
    left = [commit]

    def stopping(method: Callable[..., None]) -> Callable[..., None]:
        def stop(*given: object) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            method(*given)

        return stop

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for name in ("append", "delete", "write_metadata"):
            patch.setattr(VectorStore, name, stopping(getattr(VectorStore, name)))
        yield
