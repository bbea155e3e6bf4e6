"""The published rate and its interval, by the model's own SQL: covered as often as they promise."""

from pathlib import Path

import duckdb
import numpy as np
import pytest
from jinja2 import Environment

from memtriggers.pipelines.clusters.intervals import wilson_interval

MODELS = Path(__file__).parents[3] / "models"
N_PROMPTS, N_SEEDS = 1_000, 100


@pytest.fixture
def warehouse() -> duckdb.DuckDBPyConnection:
    """The tables that the model `replication` reads: a cosine and a distance, both without rows."""
    connection = duckdb.connect()
    connection.execute(
        "create table replication_scores (generator_id varchar, prompt_id varchar, metric varchar, "
        "reference varchar, score double);"
        "create view prompts as select distinct prompt_id, 'star' as keyword_set, "
        "0.9::double as threshold, 'c' as cluster_id from replication_scores;"
        "create table stg_background (generator_id varchar, keyword_set varchar, threshold double, "
        "cluster_id varchar, metric varchar, reference varchar, n_background bigint, "
        "background_rate double);"
        "create table replication_thresholds as select 'star' as keyword_set, "
        "0.9::double as threshold, 'c' as cluster_id, * from (values "
        "('clip', 'medoid', 0.83, 'manual', false, [0.83, 0.7]), "
        "('l2', 'medoid', 0.15, 'manual', true, [0.15])) "
        "as thresholds (metric, reference, replication_threshold, method, is_distance, bands)"
    )
    return connection


def replication() -> str:
    """The model and its macros, as dbt would write them."""
    macros = [MODELS / "macros" / f"{name}.sql" for name in ("wilson", "is_copy")]
    texts = [*macros, MODELS / "marts" / "replication" / "replication.sql"]
    template = Environment().from_string("".join(text.read_text() for text in texts))
    return template.render(ref=lambda name: name)


def add(warehouse: duckdb.DuckDBPyConnection, metric: str, scores: np.ndarray) -> None:
    """One prompt a row of scores (n, seeds)."""
    frame = {
        "prompt_id": np.repeat([f"{number:04}" for number in range(len(scores))], scores.shape[1]),
        "score": scores.ravel(),
    }
    warehouse.register("frame", frame)
    warehouse.execute(
        "insert into replication_scores select 'g', prompt_id, $metric, 'medoid', score from frame",
        {"metric": metric},
    )


def test_the_interval_covers_the_share_of_which_copies_are_drawn(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rng = np.random.default_rng(0)
    covered = {}
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        warehouse.execute("delete from replication_scores")
        add(warehouse, "clip", np.where(rng.random((N_PROMPTS, N_SEEDS)) < share, 0.9, 0.1))
        rows = warehouse.execute(
            f"select n_replicated, n_generations, ci_low, ci_high from ({replication()})"
        ).fetchnumpy()
        assert len(rows["ci_low"]) == N_PROMPTS and set(rows["n_generations"]) == {N_SEEDS}
        covered[share] = ((rows["ci_low"] <= share) & (share <= rows["ci_high"])).mean()
        low, high = wilson_interval(rows["n_replicated"], rows["n_generations"])
        assert rows["ci_low"] == pytest.approx(low) and rows["ci_high"] == pytest.approx(high)
    assert covered[0.0] == covered[1.0] == 1.0
    drawn = [covered[share] for share in (0.1, 0.5, 0.9)]
    assert min(drawn) > 0.92 and max(drawn) < 0.98


def test_a_score_on_the_threshold_is_a_copy_of_the_nearer_band(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    add(warehouse, "clip", np.array([[0.83, np.nextafter(0.83, 0), 0.7, 0.1]]))
    add(warehouse, "l2", np.array([[0.15, np.nextafter(0.15, 1), 0.0, 0.01]]))
    found = warehouse.execute(
        f"select metric, n_replicated, n_generations, band_counts, background_rate "
        f"from ({replication()}) order by metric"
    ).fetchall()
    assert found == [("clip", 1, 4, [1, 2, 1], None), ("l2", 3, 4, [3, 1], None)]


def test_without_a_threshold_there_is_no_rate(warehouse: duckdb.DuckDBPyConnection) -> None:
    add(warehouse, "webster", np.array([[1.0, 2.0]]))
    found = warehouse.execute(
        f"select n_generations, n_replicated, replication_rate, ci_low, ci_high, band_counts "
        f"from ({replication()})"
    ).fetchall()
    assert found == [(2, None, None, None, None, None)]
