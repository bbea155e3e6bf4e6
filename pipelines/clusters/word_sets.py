"""Word sets: the words that come with a cluster, and how much of all that says them lies in it."""

from collections.abc import Sequence
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from scipy import stats

from ..captions.source import open_source
from ..captions.stop_words import stop_words
from ..captions.unreadable import read_source
from ..core.database import connect, define_addresses, query
from ..core.errors import LakeError
from ..core.lake import Lake
from ..core.study import Study
from .intervals import Domains, Estimate, Floats, honest_estimate, wilson_interval

TOP_WORDS = 10  # of a cluster; its word sets are made of them
WORD_SETS = 50  # of a cluster, at most


def find_word_sets(study: Study, lake: Lake) -> pa.Table:
    """The word sets of every keyword set's largest clusters; reads what `cluster` just wrote.

    Their captions are counted in the whole corpus, in one pass over the parquet. They are mined on
    one half of the domains, and the honest columns are estimated on the other: the interval, and
    the p value of the null hypothesis that samples which say the words are no more often in the
    cluster than all embedded samples are. The honest columns are null where the keyword set's
    samples in the cluster are of one half alone (all on one domain, or without any), or fewer than
    two domains of the estimating half say the words; such a cluster is mined on all its samples.

    Raises:
        LakeError: the samples are not those of the parquet.

    """
    with connect(lake) as connection:
        open_source(connection, study, lake)
        define_addresses(connection)
        connection.execute(query("cluster/domains"))
        _list_word_sets(connection, study, lake)
        found = read_source(connection, study, lake, lambda: _count_word_sets(connection, lake))
        kinds = connection.execute(
            query("cluster/word_sets_kinds"), _paths(lake, "cluster_members")
        )
        return _with_intervals(found, kinds.to_arrow_table(), lake)


def _count_word_sets(connection: duckdb.DuckDBPyConnection, lake: Lake) -> pa.Table:
    connection.execute(query("cluster/word_sets_corpus"))
    connection.execute(
        query("cluster/word_sets_saying"), _paths(lake, "samples", "cluster_members")
    )
    paths = _paths(lake, "samples", "keyword_sets", "clusters", "cluster_members")
    return connection.execute(query("cluster/word_sets"), paths).to_arrow_table()


def _list_word_sets(connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake) -> None:
    members = _paths(lake, "samples", "cluster_members", "keyword_matches")
    connection.execute(query("cluster/word_sets_members"), members)
    size: dict[str, object] = {"min_cluster_size": study.cluster.min_cluster_size}
    connection.execute(query("cluster/word_sets_clusters"), _paths(lake, "clusters") | size)
    connection.execute(
        query("cluster/word_sets_listed"),
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


def _with_intervals(found: pa.Table, kinds: pa.Table, lake: Lake) -> pa.Table:
    n_samples, n_embedded, n_in_cluster = (
        found[name].to_numpy() for name in ("n_samples", "n_embedded", "n_in_cluster")
    )
    if np.any(n_embedded > n_samples):
        raise LakeError(
            f"{lake.samples}: not made from the parquet that the study names now; "
            "run: memtriggers refresh"
        )
    low, high = wilson_interval(n_in_cluster, n_samples)
    estimates = _estimates(found, kinds)
    honest_low, honest_high, p_value = (
        np.array([getattr(estimate, name, np.nan) for estimate in estimates], float)
        for name in ("low", "high", "p_value")
    )
    columns = {
        "ci_low": low,
        "ci_high": high,
        "ci_honest_low": honest_low,
        "ci_honest_high": honest_high,
        "q_value": _q_values(p_value, found["threshold"].to_numpy()),
        "trigger_score": honest_low * np.log2(1 + n_in_cluster),
    }
    kept = found.drop_columns(["word_set", "null_share"])
    for name, values in columns.items():
        kept = kept.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return kept


def _estimates(found: pa.Table, kinds: pa.Table) -> Sequence[Estimate | None]:
    """The honest estimate of each row of `found`; None where fewer than two domains say it."""
    word_set, *counts = (column.to_numpy() for column in kinds.columns)
    starts = np.searchsorted(word_set, np.arange(word_set.max(initial=-1) + 2))
    domains = [Domains(*(column[slice(*part)] for column in counts)) for part in pairwise(starts)]
    null_shares = found["null_share"].to_numpy()
    return [
        honest_estimate(domains[row], null_share)
        if row < len(domains) and domains[row].n_domains.sum() >= 2
        else None
        for row, null_share in zip(found["word_set"].to_numpy(), null_shares, strict=True)
    ]


def _q_values(p_value: Floats, threshold: Floats) -> Floats:
    """The false discovery rates of Benjamini and Hochberg (1995) over what a threshold lists."""
    q_value = np.full(len(p_value), np.nan)
    for each in np.unique(threshold):
        tested = (threshold == each) & ~np.isnan(p_value)
        q_value[tested] = stats.false_discovery_control(p_value[tested])
    return q_value
