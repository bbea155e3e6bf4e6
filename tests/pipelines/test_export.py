"""What is written out adds up: kept + removed = all, and each cluster weighs one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.asking.export import export_samples
from memtriggers.pipelines.core.errors import QueryError
from memtriggers.pipelines.core.lake import Lake


def export(clip_art: Any, what: str, threshold: float, keep: str, output: Path, *more: str) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "memtriggers", "export", what, "--lake", str(clip_art.lake)),
            *("--threshold", str(threshold), "--keep", keep, "--output", str(output), *more),
        ],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("keep", ["best", "first", "medoid"])
@pytest.mark.parametrize(("threshold", "suffix"), [(0.85, "parquet"), (0.95, "csv")])
def test_kept_and_removed_are_all(
    clip_art: Any, tmp_path: Path, keep: str, threshold: float, suffix: str
) -> None:
    removal, kept = tmp_path / f"removal.{suffix}", tmp_path / f"kept.{suffix}"
    said = export(clip_art, "removal-list", threshold, keep, removal)
    assert said.endswith(" rows of matched samples\n")
    assert "rows" in export(clip_art, "kept", threshold, keep, kept)
    removed = duckdb.sql(f"select sample_id, representative_sample_id from '{removal}'").fetchall()
    stays = {row[0] for row in duckdb.sql(f"select sample_id from '{kept}'").fetchall()}
    assert len(removed) + len(stays) == 453
    assert stays.isdisjoint(sample for sample, _ in removed)
    assert {representative for _, representative in removed} <= stays
    assert len(removed) > 70


def test_by_the_trigger_rule_only_copies_that_say_a_word_set_go(
    clip_art: Any, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.parquet" for name in ("all", "telling", "kept")}
    export(clip_art, "removal-list", 0.9, "best", files["all"])
    export(clip_art, "removal-list", 0.9, "best", files["telling"], "--rule", "trigger")
    export(clip_art, "kept", 0.9, "best", files["kept"], "--rule", "trigger")
    dropped, telling, kept = (
        {row[0] for row in duckdb.sql(f"select sample_id from '{file}'").fetchall()}
        for file in files.values()
    )
    with duckdb.connect(str(clip_art.lake / "current.duckdb"), read_only=True) as connection:
        words = dict(connection.execute("select sample_id, words from samples").fetchall())
        places = dict(
            connection.execute(
                "select sample_id, cluster_id from cluster_members where threshold = 0.9"
            ).fetchall()
        )
        word_sets = connection.execute(
            "select cluster_id, words from word_sets where threshold = 0.9"
        ).fetchall()
    expected = {
        sample
        for sample in dropped
        if any(places[sample] == c and set(said) <= set(words[sample]) for c, said in word_sets)
    }
    assert telling == expected
    assert 0 < len(telling) < len(dropped)
    assert kept == set(words) - telling


def test_a_cluster_weighs_as_much_as_a_sample_on_its_own(clip_art: Any, tmp_path: Path) -> None:
    weights, kept = tmp_path / "weights.parquet", tmp_path / "kept.parquet"
    export(clip_art, "weights", 0.9, "best", weights)
    export(clip_art, "kept", 0.9, "best", kept)
    total = duckdb.sql(f"select sum(weight) from '{weights}'").fetchall()[0][0]
    assert total == pytest.approx(duckdb.sql(f"select count(*) from '{kept}'").fetchall()[0][0])


def test_an_unknown_threshold_names_the_known_ones(clip_art: Any, tmp_path: Path) -> None:
    said = export(clip_art, "kept", 0.5, "best", tmp_path / "kept.csv")
    assert said == "Error: --threshold 0.5: there are clusters at [0.85, 0.9, 0.95, 0.99] only\n"
    assert not (tmp_path / "kept.csv").exists()


@pytest.mark.parametrize(
    ("scanned", "threshold", "n_rows"),
    [
        ("clip_art", 0.9, 20),
        pytest.param("demo", 0.82, 100, marks=pytest.mark.slow),
    ],
)
def test_of_so_many_rows_the_riskiest_clusters_go_whole(
    request: pytest.FixtureRequest, tmp_path: Path, scanned: str, threshold: float, n_rows: int
) -> None:
    """The demo knows the risk of its words; the other ranks them by their trigger score."""
    lake = request.getfixturevalue(scanned)
    every, some = tmp_path / "every.parquet", tmp_path / "some.parquet"
    trigger = ("--rule", "trigger")
    export(lake, "removal-list", threshold, "best", every, *trigger)
    export(lake, "removal-list", threshold, "best", some, *trigger, "--max-rows", str(n_rows))
    with duckdb.connect(str(lake.lake / "current.duckdb"), read_only=True) as connection:
        clusters = connection.execute(
            f"""
            select cluster_id, count(*), count(chosen.sample_id), max(risk) / count(*)
            from '{every}' as whole
            join cluster_members on whole.sample_id = cluster_members.sample_id
            join (
                select cluster_id, max(coalesce(
                    replication_risk, trigger_score, ci_low * log2(1 + n_in_cluster)
                )) as risk
                from word_sets where threshold = {threshold} group by all
            ) using (cluster_id)
            left join '{some}' as chosen on whole.sample_id = chosen.sample_id
            where threshold = {threshold}
            group by all
            order by 4 desc, 1
            """
        ).fetchall()
    assert all(n_gone in (0, n) for _, n, n_gone, _ in clusters)
    gone = [n for _, n, n_gone, _ in clusters if n_gone]
    assert 0 < sum(gone) <= n_rows
    assert [bool(n_gone) for _, _, n_gone, _ in clusters[: len(gone)]] == [True] * len(gone)
    refused = export(lake, "removal-list", threshold, "best", some, "--max-rows", "20")
    assert "--max-rows needs --rule trigger" in refused


# By picture: rows with the same address and caption are one sample, pictures that are alike one
# cluster. The last row matches no keyword set but "*".
DATACOMP = ((0, 3), (0, 1), (1, 2), (2, 1))


@pytest.fixture
def datacomp(
    tmp_path: Path,
    lake: Lake,
    make_study: Any,
    store_image_vectors: Any,
    run_stages: Any,
    near: Any,
    build_only: Any,
) -> Any:
    """A lake of DataComp-shaped rows, filtered by the sets that are given; and its uids by row."""

    def scan(**sets: dict[str, Any]) -> list[str]:
        rows = [
            {"url": f"https://host.example/{number}.jpg", "text": caption, "place": place}
            for number, (place, n_rows) in enumerate(DATACOMP)
            for caption in [f"a {'star' if place < 2 else 'sea'} {number}"] * n_rows
        ]
        places = [row.pop("place") for row in rows]
        for number, row in enumerate(rows):
            row |= {"uid": f"{number + 1:032x}", "clip_l14_similarity_score": 0.3}
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "datacomp.parquet")
        study = make_study(
            sections='[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'
            "[cluster]\nthresholds = [0.9]\n",
            **sets,
        )
        store_image_vectors(study, [near(place, 1.0) for place in places])
        build_only("removal_list", "sample_rows", "keyword_sets", "keyword_matches", "word_sets")
        run_stages(study, "cluster", "build")
        return [row["uid"] for row in rows]

    return scan


def read_uids(path: Path) -> list[str]:
    return [f"{high:016x}{low:016x}" for high, low in np.load(path)]


def test_every_source_row_of_a_sample_is_in_a_subset_file(
    datacomp: Any, lake: Lake, tmp_path: Path
) -> None:
    uids = datacomp(everything={"include": ["*"]})
    assert len(uids) == 7
    assert lake.sql("select count(*) from samples").fetchall() == [(4,)]
    removal, kept = tmp_path / "removal.npy", tmp_path / "kept.npy"
    n_removed, _ = export_samples(lake, "removal-list", 0.9, "best", removal)
    n_kept, _ = export_samples(lake, "kept", 0.9, "best", kept)
    assert n_removed + n_kept == 7
    assert sorted(read_uids(removal) + read_uids(kept)) == uids
    assert read_uids(removal) in ([uids[3]], uids[:3])  # one of the two samples of picture 0
    rows = lake.sql("select source_row, source_id from sample_rows order by source_row").fetchall()
    assert rows == list(enumerate(uids))
    lake.current.resolve().chmod(0o644)
    with duckdb.connect(str(lake.current)) as connection:
        connection.execute("drop table sample_rows")  # as 0.1 published it
    with pytest.raises(QueryError, match="kept no source rows; run: memtriggers filter"):
        export_samples(lake, "removal-list", 0.9, "best", removal)


def test_a_subset_of_what_no_set_covers_is_refused(
    datacomp: Any, lake: Lake, tmp_path: Path
) -> None:
    uids = datacomp(star={"include": ["star"]})
    kept, removal = tmp_path / "kept.npy", tmp_path / "removal.npy"
    with pytest.raises(QueryError, match=r'kept\.npy: .* include = \["\*"\]') as refused:
        export_samples(lake, "kept", 0.9, "best", kept)
    assert "\n" not in str(refused.value)
    assert not kept.exists()
    assert export_samples(lake, "removal-list", 0.9, "best", removal)[0] in (1, 3)
    assert set(read_uids(removal)) <= set(uids[:4])
