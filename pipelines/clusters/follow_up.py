"""Follow-up sets: mined word sets that become keyword sets, without a word of their parent.

Of everything that says "almond" and "blossoming", also what never says "van gogh": only when that
is embedded too is the share of it in Van Gogh's clusters known, and not a lower bound.
"""

from dataclasses import replace

import pyarrow.parquet as pq

from ..captions.source import define_macros
from ..clip.thresholds import Thresholds
from ..core.database import connect, query, write_parquet
from ..core.lake import Lake
from ..core.stamp import Stamp, read_parquet_stamp
from ..core.study import KeywordSet, Study

_CHOSEN_FOR = ("keyword_set", "follow_up")  # other sets, or another number of them: chosen anew
_FOLLOWED = ("filter", "fetch", "embed")  # inputs of `cluster` that change because of the sets


def choose_follow_up_sets(study: Study, lake: Lake, thresholds: Thresholds, stamp: Stamp) -> None:
    """Choose them from the word sets that `cluster` just wrote, and write them.

    What was chosen stays until the study or its data change: embedding the samples of a follow-up
    set changes scores, and would else lead to further sets without end.

    Args:
        study: its keyword sets that have a parent or take everything get none.
        lake: its folder `word_sets` is written to.
        thresholds: at which the word sets of a keyword set are looked at.
        stamp: of the stage `cluster`.

    """
    chosen_for = _chosen_for(study, stamp)
    if read_parquet_stamp(lake.follow_up_sets) == chosen_for:
        return
    values = {
        "keyword_sets": [
            {
                "keyword_set": k.name,
                "threshold": thresholds.of(k.name),
                "said": [*k.include, *k.any],
            }
            for k in study.keyword_set
            if k.parent is None and not k.is_everything
        ],
        "word_sets": str(lake.word_sets),
        "top": study.follow_up.top,
        "max_samples": study.follow_up.max_samples,
        "taken": [k.name for k in study.keyword_set],
    }
    with connect(lake) as connection:
        define_macros(connection)
        connection.execute(query("cluster/follow_up_sets"), values)
        write_parquet(connection, "follow_up_sets", lake.follow_up_sets, chosen_for)


def follow_up_sets(study: Study, lake: Lake) -> tuple[KeywordSet, ...]:
    """Those that were chosen for the keyword sets of this study; none before `cluster` has run."""
    recorded, hashes = read_parquet_stamp(lake.follow_up_sets), study.hashes(_CHOSEN_FOR)
    if recorded is None or any(recorded.study[name] != hashes[name] for name in hashes):
        return ()
    return tuple(
        KeywordSet(row["keyword_set"], include=tuple(row["include"]), parent=row["parent"])
        for row in pq.read_table(lake.follow_up_sets).to_pylist()
    )


def with_follow_up_sets(study: Study, lake: Lake) -> Study:
    """The study with its follow-up sets among its keyword sets."""
    return replace(study, keyword_set=(*study.keyword_set, *follow_up_sets(study, lake)))


def _chosen_for(study: Study, stamp: Stamp) -> Stamp:
    inputs = {name: of for name, of in stamp.inputs.items() if name not in _FOLLOWED}
    return Stamp(stamp.study | study.hashes(_CHOSEN_FOR), inputs)
