"""The keyword sets of a study as a table, for the queries that match captions."""

from collections.abc import Sequence

import duckdb

from ..core.database import query
from ..core.study import KeywordSet, Study


def declare_keyword_sets(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Make the table keyword_sets of those of the study."""
    sets = [_as_struct(keywords) for keywords in study.keyword_set]
    connection.execute(query("filter/keyword_sets"), {"keyword_sets": sets})


def _as_struct(keywords: KeywordSet) -> dict[str, str | Sequence[str] | None]:
    return {
        "keyword_set": keywords.name,
        "include": list(keywords.include),
        "any_of": list(keywords.any),
        "exclude": list(keywords.exclude),
        "parent_keyword_set": keywords.parent,
    }
