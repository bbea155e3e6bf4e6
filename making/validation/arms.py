"""The rows that each training run sees: all of them, or what is left by one way to curate them."""

import hashlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .lakes import THRESHOLD, Scanned


def random_rows(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """Without n rows that chance chose."""
    return _without(rows, np.random.default_rng(0).permutation(len(rows))[:n])


def exact_hash(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """Without n of the rows whose image file came before, in no order that means anything."""
    seen: set[bytes] = set()
    again = []
    for place, image in enumerate(rows["jpg"].to_pylist()):
        if image in seen:
            again.append(place)
        seen.add(image)
    return _without(rows, _some(again, n))


def cosine(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """Without n of the near-duplicates that memtriggers would remove, in no order either."""
    return _without(rows, _some(_listed(rows, scanned, "removal-list"), n))


def trigger(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """Without the n near-duplicates at most whose words carry the most risk."""
    options = ("--rule", "trigger", *(() if n is None else ("--max-rows", str(n))))
    return _without(rows, _listed(rows, scanned, "removal-list", *options))


def reweighted(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """All rows, each seen as often as its cluster is small."""
    weights = dict(zip(*_export(scanned, "weights", "sample_id", "weight"), strict=True))
    weight = [weights[sample_id] for sample_id in sample_ids(rows)]
    return rows.append_column("weight", pa.array(weight, pa.float64()))


def varied(rows: pa.Table, scanned: Scanned, n: int | None) -> pa.Table:
    """All rows, n near-duplicates with the caption of another row each: Somepalli et al. (2023)."""
    rng = np.random.default_rng(2)
    chosen = _some(_listed(rows, scanned, "removal-list"), n)
    captions = rows["TEXT"].to_pylist()
    for place, other in zip(chosen, rng.integers(len(captions), size=len(chosen)), strict=True):
        captions[place] = rows["TEXT"][int(other)].as_py()
    return rows.set_column(rows.column_names.index("TEXT"), "TEXT", pa.array(captions))


Arm = Callable[[pa.Table, Scanned, int | None], pa.Table]
ARMS: dict[str, Arm] = {
    "random": random_rows,
    "exact_hash": exact_hash,
    "cosine": cosine,
    "trigger": trigger,
    "reweighted": reweighted,
    "varied": varied,
}


def sample_ids(rows: pa.Table) -> list[str]:
    """Those that memtriggers gives the rows."""
    pairs = zip(rows["URL"].to_pylist(), rows["TEXT"].to_pylist(), strict=True)
    return [hashlib.md5(f"{url}\x1f{caption}".encode()).hexdigest() for url, caption in pairs]


def _without(rows: pa.Table, places: list[int] | np.ndarray) -> pa.Table:
    is_gone = np.zeros(len(rows), bool)
    is_gone[np.asarray(places, np.int64)] = True
    return rows.filter(pa.array(~is_gone))


def _some(places: list[int], n: int | None) -> list[int]:
    return [places[i] for i in np.random.default_rng(1).permutation(len(places))[:n]]


def _listed(rows: pa.Table, scanned: Scanned, what: str, *options: str) -> list[int]:
    """The places of the rows that memtriggers lists."""
    (ids,) = _export(scanned, what, "sample_id", options=options)
    gone = set(ids)
    return [place for place, sample_id in enumerate(sample_ids(rows)) if sample_id in gone]


def _export(
    scanned: Scanned, what: str, *columns: str, options: tuple[str, ...] = ()
) -> list[list[object]]:
    path = scanned.folder / f"{what}.parquet"
    command = [sys.executable, "-m", "memtriggers", "export", what, "--lake", str(scanned.lake)]
    command += ["--threshold", str(THRESHOLD), "--output", str(path), *options]
    subprocess.run(command, check=True)
    table = pq.read_table(path)
    return [table[name].to_pylist() for name in columns]
