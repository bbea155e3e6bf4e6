"""Every published time is in UTC and has no zone: DuckDB alone reads it, without pytz and ICU."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES
from memtriggers.pipelines import build
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Study

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, timezone(timedelta(hours=2)))
IN_UTC = MOMENT.astimezone(UTC).replace(tzinfo=None)
READS_ALL = """
import sys
sys.modules["pytz"] = None  # as where it is not installed: importing it fails
import duckdb
for file in sys.argv[1:]:
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("set autoload_known_extensions = false")
        for (table,) in connection.execute("select table_name from duckdb_tables()").fetchall():
            connection.execute(f'from "{table}"').fetchall()
        print(connection.execute("select max(generated_at) from generations").fetchone())
"""


@pytest.fixture
def with_generation(own_lake: Lake) -> Lake:
    """The small lake with a generated image, made by a clock two hours ahead of UTC."""
    row = {"image_id": "x", "generator_id": "g1", "prompt_id": "p", "seed": 0, "status": "ok"}
    rows = [row | {"generated_at": MOMENT}]
    table = pa.Table.from_pylist(rows, schema=GENERATED_IMAGES.schema)
    VectorStore(own_lake.vectors).append(GENERATED_IMAGES, table)
    return own_lake


def test_no_published_time_has_a_zone(published: duckdb.DuckDBPyConnection) -> None:
    query = "select data_type, table_name, column_name from duckdb_columns() where not internal"
    columns = published.execute(query).fetchall()
    assert [name for name in columns if "ZONE" in name[0]] == []
    times = {f"{table}.{column}" for kind, table, column in columns if "TIMESTAMP" in kind}
    assert times >= {"generations.generated_at", "runs.started_at", "build_info.built_at"}


def test_duckdb_reads_every_table_where_there_is_no_pytz(
    built_lake: Lake,
    with_generation: Lake,
    built_study: Study,
    build_only: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # of the build, which must not matter
    build_only("generations", "runs")
    with with_generation.lock():
        build.run(built_study, with_generation, Stamp({"cluster": "3"}, {}))
    files = [str(lake.current) for lake in (built_lake, with_generation)]
    done = subprocess.run([sys.executable, "-c", READS_ALL, *files], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"(None,)\n({IN_UTC!r},)\n", "")
