"""words: how many captions of the whole corpus say each word and pair of words, and how often."""

from .captions.source import open_source
from .captions.stop_words import stop_words
from .database import connect, query, write_parquet
from .lake import Counts, Lake
from .stamp import Stamp
from .study import Study


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write words and bigrams.

    Returns:
        Rows of the source, and distinct words.

    """
    with connect(lake) as connection:
        files = open_source(connection, study)
        connection.execute(query("words"), {"stop_words": stop_words(study)})
        minimum = {"min_captions": study.words.bigram_min_captions}
        connection.execute(query("bigrams"), minimum)
        write_parquet(connection, "bigrams", lake.bigrams, stamp)
        n_words = write_parquet(connection, "words", lake.words, stamp)
    return Counts(sum(file.n_rows for file in files), n_words)
