"""Two workers find and count what one machine does."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.stages import STAGES

SAME = {"URL": "https://a.example/1", "TEXT": "van gogh, the star"}
FILES: list[list[dict[str, Any]]] = [
    [SAME | {"WIDTH": 0}, {"TEXT": "a star a star"}, {"TEXT": None}],
    [SAME, {"TEXT": "a red star"}, {"TEXT": "nothing", "URL": "no address"}],
    [SAME | {"similarity": 9.0}, SAME, {"TEXT": "the Van Gogh&eacute; of " + "gogh " * 80}],
]
CASES = Path(__file__).parents[2] / "cases"
TABLES = ("samples", "source_files", "keyword_sets", "keyword_matches", "rejected_rows")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def study(make_study: Callable[..., Study], write_laion: Callable[..., Path]) -> Study:
    for number, rows in enumerate(FILES):
        path = write_laion(*rows, name=f"{number}.parquet")
    shutil.copy(CASES / "bad_utf8.parquet", path.parent)
    sets = {"vg": {"include": ["van gogh"]}, "star": {"any": ["star"]}, "no": {"include": ["nil"]}}
    return make_study(sections="[words]\nbigram_min_captions = 2", **sets)


def test_the_same_answer_as_on_one_machine(study: Study, tmp_path: Path, scheduler: str) -> None:
    alone, together = Lake(tmp_path / "alone"), Lake(tmp_path / "together")
    divided = replace(study, resources=Resources(scheduler=scheduler))
    for stage in ("filter", "words"):
        STAGES[stage].run(study, alone)
        STAGES[stage].run(divided, together)
    for table in (*TABLES, "words", "bigrams"):
        expected, found = (pq.read_table(getattr(lake, table)) for lake in (alone, together))
        assert expected.num_rows > 0
        assert found.equals(expected)
    rules = pq.read_table(together.rejected_rows)["rule"].to_pylist()
    assert rules.count("invalid_utf8") == 1
    n_rows = pq.read_table(together.samples).sort_by([("n_rows", "descending")])["n_rows"][0]
    assert n_rows.as_py() == 4


def test_bad_data_on_a_worker_is_one_line(study: Study, tmp_path: Path, scheduler: str) -> None:
    (tmp_path / "3.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(SourceError, match=r"3\.parquet: not a readable parquet file"):
        divided = replace(study, resources=Resources(scheduler=scheduler))
        STAGES["words"].run(divided, Lake(tmp_path / "lake"))
