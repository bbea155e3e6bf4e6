"""Follow-up sets: which word sets become keyword sets, and what a refresh makes of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.clusters.follow_up import follow_up_sets, with_follow_up_sets
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.runs import Run
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.refresh import refresh_lake, stale_stages

# (caption, picture): two of Van Gogh's pictures, and others that say the words of one without him.
CORPUS = [
    *[(f"van gogh almond blossom {n}", 0) for n in range(4)],
    *[(f"van gogh sunflowers {n}", 1) for n in range(3)],
    ("almond blossom for your wall", 0),
    ("almond blossom in spring", 2),
    ("almond blossom tea", 3),
    ("sunflowers in the field", 4),
    ("a van on the road", 5),
]
GOGH = {"gogh": {"include": ["van gogh"]}}


def sections(**follow_up: int) -> str:
    keys = "\n".join(f"{name} = {value}" for name, value in follow_up.items())
    return f"[cluster]\nthresholds = [0.8, 0.9]\n[follow_up]\n{keys}\n"


@pytest.fixture
def chosen(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> Callable[..., dict[str, tuple[tuple[str, ...], str | None]]]:
    """The follow-up sets that `cluster` chooses: their words and their parent, by name."""

    def choose(text: str, **sets: dict[str, Any]) -> dict[str, tuple[tuple[str, ...], str | None]]:
        write_captions(*(caption for caption, _ in CORPUS))
        everything = make_embedded_study(all={"include": ["*"]})
        store_image_vectors(everything, np.eye(16)[[picture for _, picture in CORPUS]])
        study = make_embedded_study(text, **(sets or GOGH))
        run_stages(study, "filter", "cluster")
        return {k.name: (k.include, k.parent) for k in follow_up_sets(study, lake)}

    return choose


def test_a_word_set_of_each_cluster_is_followed_up(chosen: Callable[..., Any]) -> None:
    assert chosen(sections(top=5)) == {
        "gogh: almond": (("almond",), "gogh"),
        "gogh: sunflowers": (("sunflowers",), "gogh"),
    }


def test_the_largest_trigger_score_comes_first(chosen: Callable[..., Any], lake: Lake) -> None:
    found = chosen(sections(top=1))
    score = {
        " + ".join(row["words"]): row["trigger_score"] or 0
        for row in pq.read_table(lake.word_sets).to_pylist()
        if row["threshold"] == 0.9
    }
    assert score["almond"] > score["sunflowers"]
    assert list(found) == ["gogh: almond"]


def test_what_too_many_say_is_left_out(chosen: Callable[..., Any]) -> None:
    assert list(chosen(sections(top=5, max_samples=4))) == ["gogh: sunflowers"]


def test_none_by_default(chosen: Callable[..., Any]) -> None:
    assert chosen(sections(top=0)) == {}


def test_sets_of_everything_and_with_a_parent_have_none(chosen: Callable[..., Any]) -> None:
    sets = {"all": {"include": ["*"]}, "almond": {"include": ["almond"], "parent": "all"}}
    assert chosen(sections(top=5), **sets) == {}


def test_a_name_that_is_taken_is_left_out(chosen: Callable[..., Any]) -> None:
    taken = {"gogh: sunflowers": {"include": ["field"]}}
    assert list(chosen(sections(top=5), **GOGH, **taken)) == ["gogh: almond"]


def test_each_set_is_looked_at_by_its_own_threshold(chosen: Callable[..., Any]) -> None:
    sets = {"gogh": GOGH["gogh"] | {"threshold": 0.8}}
    assert set(chosen(sections(top=5), **sets)) == {"gogh: almond", "gogh: sunflowers"}


@pytest.fixture(scope="module")
def refreshed(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_clip: Path,
    draw: Callable[..., bytes],
    cluster: str,
) -> tuple[Path, list[Run]]:
    """A folder with the corpus, its pictures in the parquet, a study and a lake; and its runs."""
    folder = tmp_path_factory.mktemp("followed")
    rows = [
        {"URL": f"{n}.png", "TEXT": caption, "image": draw(picture)}
        for n, (caption, picture) in enumerate(CORPUS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "corpus.parquet")
    (folder / "study.toml").write_text(
        f'[data]\nparquet = "*.parquet"\nimage_column = "image"\n[clip]\nmodel = "{tiny_clip}"\n'
        "[cluster]\nthresholds = [0.999]\n[follow_up]\ntop = 5\n"
        '[[keyword_set]]\nname = "gogh"\ninclude = ["van gogh"]\n'
    )
    study, lake = load_study(folder / "study.toml", Resources(scheduler=cluster)), folder / "lake"
    with Lake(lake).lock():
        return folder, refresh_lake(study, Lake(lake), lambda run: None)


def test_a_refresh_follows_up_once_and_publishes_once(refreshed: tuple[Path, list[Run]]) -> None:
    folder, runs = refreshed
    study, lake = load_study(folder / "study.toml"), Lake(folder / "lake")
    assert [run.stage for run in runs] == [
        *("filter", "words", "fetch", "embed", "cluster"),
        *("filter", "fetch", "embed", "cluster", "build", "report"),
    ]
    fetched = [run.n_in for run in runs if run.stage == "fetch"]
    assert fetched == [7, 4]  # of the second time only what is new

    found = lake.sql(
        "select keyword_set, parent_keyword_set, n_samples from keyword_sets order by all"
    )
    assert found.fetchall() == [
        ("gogh", None, 7),
        ("gogh: almond", "gogh", 7),
        ("gogh: sunflowers", "gogh", 4),
    ]
    # The picture that does not say his name lies in his cluster, the other two do not.
    in_parent = lake.sql(
        "select keyword_set, sum(share) from keyword_clusters "
        "where is_parent_cluster group by 1 order by 1"
    )
    assert in_parent.fetchall() == [
        ("gogh: almond", pytest.approx(5 / 7)),
        ("gogh: sunflowers", pytest.approx(3 / 4)),
    ]
    assert stale_stages(study, lake) == {}


def test_what_is_chosen_stays_until_the_study_changes(
    refreshed: tuple[Path, list[Run]], tmp_path: Path
) -> None:
    folder = shutil.copytree(refreshed[0], tmp_path / "copy", symlinks=True)
    file, lake = folder / "study.toml", Lake(folder / "lake")
    before = follow_up_sets(load_study(file), lake)
    text = file.read_text()
    file.write_text(text.replace('["van gogh"]', '["gogh"]'))
    other = load_study(file)
    assert with_follow_up_sets(other, lake) == other  # chosen for another study
    file.write_text(text.replace("top = 5", "top = 0"))
    without = load_study(file)
    assert {"filter", "cluster", "build"} <= stale_stages(without, lake).keys()
    with lake.lock():
        for stage in ("filter", "cluster"):
            STAGES[stage].run(without, lake)
    assert before and follow_up_sets(without, lake) == ()
    assert pq.read_table(lake.keyword_sets)["keyword_set"].to_pylist() == ["gogh"]
    assert set(pq.read_table(lake.keyword_matches)["keyword_set"].to_pylist()) == {"gogh"}
