"""Stamps in tables of the vector store, and the fingerprints that the stages after them read."""

from typing import Any

from ...lance.store import VectorStore
from .stamp import METADATA_KEY, Stamp, parse_stamp

_ROWS_KEY = "memtriggers_rows"  # a version, and the digest and version of the rows it still holds


def read_stamp(store: VectorStore, name: str) -> Stamp | None:
    """What the table was last completed from; None before a stage has come to its end."""
    return parse_stamp(store.read_metadata(name, METADATA_KEY))


def write_stamp(store: VectorStore, name: str, stamp: Stamp) -> None:
    """Say that the table is complete for this stamp: a stage's last commit."""
    write_mark(store, name, METADATA_KEY, stamp.text)


def void_stamp(store: VectorStore, name: str) -> None:
    """Say that a stamped table is not complete any more: its stage is stale, whatever happens."""
    if store.read_metadata(name, METADATA_KEY) is not None:
        store.write_metadata(name, {METADATA_KEY: Stamp({}, {}).text})


def forget_rows(store: VectorStore, name: str, where: str) -> None:
    """Remove the rows that meet an SQL condition.

    The stamp goes first: after a kill the stage that makes such rows is stale, whatever its inputs
    are by then.
    """
    if store.count(name, where):
        void_stamp(store, name)
        store.delete(name, where)


def write_mark(store: VectorStore, name: str, key: str, text: str) -> None:
    """Set one text of a table's metadata; commits nothing when it is that already.

    A commit of metadata changes no row, and so not the fingerprint of `read_recorded`.
    """
    if store.read_metadata(name, key) == text:
        return
    dataset, texts = store.dataset(name), {key: text}
    if METADATA_KEY in dataset.metadata:
        digest, version = _rows_of(dataset)
        texts[_ROWS_KEY] = f"{dataset.version + 1} {digest} {version}"
    store.write_metadata(name, texts)


def read_recorded(store: VectorStore, *names: str) -> tuple[Stamp, str] | None:
    """The stamp that all of these tables carry, and a fingerprint of what they hold.

    The fingerprint is the digest of the stamp that the rows were there under first, and the tables'
    versions then: a stage that runs again and changes no row leaves it as it was. None when a table
    is missing, has not been completed, or was completed from something else than the others.
    """
    stamps = [read_stamp(store, name) for name in names]
    if stamps[0] is None or any(stamp != stamps[0] for stamp in stamps):
        return None
    digests, versions = zip(*(_rows_of(store.dataset(name)) for name in names), strict=True)
    fingerprint = f"{'-'.join(dict.fromkeys(digests))}-{'.'.join(map(str, versions))}"
    return stamps[0], fingerprint


def _rows_of(dataset: Any) -> tuple[str, int]:
    """The digest and the version that the rows of a stamped table are known by.

    Those of its stamp and itself, unless all that was committed since are metadata.
    """
    at, digest, version = dataset.metadata.get(_ROWS_KEY, "0 - 0").split()
    if int(at) == dataset.version:
        return digest, int(version)
    stamp = parse_stamp(dataset.metadata[METADATA_KEY])
    assert stamp is not None  # it is stamped
    return stamp.digest, int(dataset.version)
