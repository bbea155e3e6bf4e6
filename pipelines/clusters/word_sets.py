"""Word sets: the words that come with a cluster, and how much of all that says them lies in it."""

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..captions.source import open_source
from ..captions.stop_words import stop_words
from ..database import connect, query
from ..errors import LakeError
from ..lake import Lake
from ..study import Study

TOP_WORDS = 10  # of a cluster; its word sets are made of them
WORD_SETS = 50  # of a cluster, at most

Floats = npt.NDArray[np.float64]


def find_word_sets(study: Study, lake: Lake) -> pa.Table:
    """The word sets of every keyword set's largest clusters; reads what `cluster` just wrote.

    Their captions are counted in the whole corpus, in one pass over the parquet.

    Raises:
        LakeError: the samples are not those of the parquet.

    """
    with connect(lake) as connection:
        open_source(connection, study)
        _list_word_sets(connection, study, lake)
        connection.execute(query("word_sets_corpus"))
        paths = _paths(lake, "samples", "keyword_sets", "clusters", "cluster_members")
        found = connection.execute(query("word_sets"), paths).to_arrow_table()
    return _with_interval(found, lake)


def wilson_interval(
    successes: Floats, trials: Floats, z: float = 1.959964
) -> tuple[Floats, Floats]:
    """The Wilson score interval of a share, at 95 % by default.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    Args:
        successes: how many of each `trials`, (n,).
        trials: at least 1 each, (n,).
        z: the quantile of the normal distribution.

    Returns:
        The lower and the upper ends, (n,) each.

    """
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return np.maximum((centre - half) / scale, 0.0), np.minimum((centre + half) / scale, 1.0)


def _list_word_sets(connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake) -> None:
    members = _paths(lake, "cluster_members", "keyword_matches")
    connection.execute(query("word_sets_members"), members)
    size = {"min_cluster_size": study.cluster.min_cluster_size}
    connection.execute(query("word_sets_clusters"), size)
    connection.execute(
        query("word_sets_listed"),
        _paths(lake, "samples")
        | {
            "stop_words": stop_words(study),
            "n_clusters": study.cluster.word_set_clusters,
            "n_words": TOP_WORDS,
            "n_word_sets": WORD_SETS,
        },
    )


def _paths(lake: Lake, *tables: str) -> dict[str, object]:
    return {table: str(getattr(lake, table)) for table in tables}


def _with_interval(found: pa.Table, lake: Lake) -> pa.Table:
    n_samples, n_embedded, n_in_cluster = (
        found[name].to_numpy() for name in ("n_samples", "n_embedded", "n_in_cluster")
    )
    if np.any(n_embedded > n_samples):
        raise LakeError(
            f"{lake.samples}: not made from the parquet that the study names now; "
            "run: memtriggers refresh"
        )
    low, high = wilson_interval(n_in_cluster, n_samples)
    place = found.column_names.index("lift")
    found = found.add_column(place, "ci_low", pa.array(low))
    return found.add_column(place + 1, "ci_high", pa.array(high))
