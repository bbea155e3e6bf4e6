"""How long `build` takes over many samples, what memory it needs, and how fast its tables answer.

    python benchmarks/build.py --samples 10000000

A generated lake: nine in ten samples have an image, half of those lie in clusters of heavy-tailed
sizes, one cluster to fifty samples, at three thresholds. The build runs in a process of its own,
with DuckDB's memory limited; then each of the named example queries runs on what was published.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import duckdb
import pyarrow as pa

from memtriggers.benchmarks.memory import peak_megabytes
from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import IMAGES, LanceTable, image_vectors
from memtriggers.pipelines.asking.examples import bind_example, examples
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Data, KeywordSet, Study
from memtriggers.pipelines.stages import STAGES

STUDY = Study(Path(), Data(("none.parquet",)), (KeywordSet("everything", ("*",)),))
_SETS = 5
_ROWS_A_COMMIT = 131_072
_DIMENSIONS = 4  # vectors stay out of what a build reads

# Samples are numbered; what a sample is follows from its number alone. Of the groups, the finest is
# that of the highest threshold, and each lies within one of the next.
NUMBERED = """
create table numbered as
select
    md5(i::varchar) as sample_id,
    i,
    case when i % 2 = 0 then (n_groups * pow((hash(i) % 1000003) / 1000003, 1.5))::bigint end as g
from range($n) as numbers(i), (select $n // 50 as n_groups)
where true;
create table grouped as
select
    *,
    i % 10 <> 9 as is_embedded,
    coalesce('g' || g // 2, 's' || i) as coarse,
    coalesce('g' || g, 's' || i) as middle,
    coalesce('g' || g || '-' || i // 2 % 3, 's' || i) as fine
from numbered
"""
TABLES = {
    "samples": """
        select
            sample_id,
            'https://site' || hash(i) % 50000 || '.example/' || i || '.jpg' as url,
            'a picture of word' || hash(i // 3) % 200000 || ' word' || hash(-i) % 1000 as caption,
            640 as width, 480 as height, null as license, null as nsfw, 0.3 as similarity,
            1 as n_rows, caption as caption_decoded, null as clip_tokens,
            string_split(caption, ' ') as words,
            'ok' as status, null as status_reason,
            'part-' || i // 1000000 || '.parquet' as source_file, i % 1000000 as source_row,
            null as source_id
        from grouped""",
    "source_files": """
        select 'part-' || i // 1000000 || '.parquet' as source_file, count(*) as n_rows,
            'LAION-400M' as shape
        from grouped group by 1""",
    "keyword_sets": f"""
        select 'set' || i % {_SETS} as keyword_set, [keyword_set] as include,
            []::varchar[] as any_of, []::varchar[] as exclude, null as parent_keyword_set,
            count(*) as n_samples
        from grouped group by 1""",
    "keyword_matches": f"""
        select 'set' || i % {_SETS} as keyword_set, sample_id from grouped""",
    "words": """
        select word, count(*) as n_captions, count(*) as n_occurrences, word = 'a' as is_stop_word,
            count(*) / $n as share_of_captions
        from (select unnest(words) as word from read_parquet($samples)) group by word""",
    "cluster_members": """
        with members as (
            select unnest([0.85, 0.9, 0.95]) as threshold, unnest([coarse, middle, fine]) as part,
                sample_id
            from grouped where is_embedded
        ),
        placed as (
            select threshold, sample_id, min(sample_id) over part as first, count(*) over part as n
            from members window part as (partition by threshold, part)
        )
        select threshold, sample_id, if(n > 1, first, null) as cluster_id,
            first as representative_sample_id, if(sample_id = first, 1.0, 0.97) as cosine_to_medoid
        from placed""",
    "clusters": """
        select threshold, cluster_id, count(*) as n_samples, cluster_id as medoid_sample_id,
            0.97 as cosine_to_medoid_mean, 0.95 as cosine_to_medoid_min,
            n_samples as n_captions_distinct, n_samples as n_urls_distinct,
            n_samples as n_domains_distinct, n_samples as n_samples_largest_piece,
            false as is_placeholder, false as is_blank, null as excluded_reason
        from read_parquet($cluster_members) where cluster_id is not null group by all""",
    "near_duplicates": """
        select lag(sample_id) over coarsest as sample_id, sample_id as other_sample_id,
            case when fine = lag(fine) over coarsest then 0.97
                when middle = lag(middle) over coarsest then 0.92 else 0.87 end as cosine
        from grouped where is_embedded and g is not null
        window coarsest as (partition by coarse order by middle, fine, sample_id)
        qualify lag(sample_id) over coarsest is not null""",
}
STORED_IMAGES = """
    select sample_id, 'ok' as status, null as status_reason, null::blob as image,
        256::integer as width, 192::integer as height, 640::integer as original_width,
        480::integer as original_height, 30000::bigint as n_bytes,
        sha256((i // 2)::varchar) as sha256, left(sample_id, 16) as perceptual_hash,
        60.0::double as colour_stddev, timestamptz '2026-01-01 00:00:00+00' as fetched_at
    from grouped where is_embedded"""


def make_lake(lake: Lake, n: int) -> None:
    """Write what the stages before `build` would have written."""
    with duckdb.connect(str(lake.root / "generated.duckdb")) as connection:
        connection.execute("set preserve_insertion_order = false; set timezone = 'UTC'")
        for statement in NUMBERED.split(";"):
            values = {"n": n} if "$n" in statement else {}
            connection.execute(statement, values)
        for name, select in TABLES.items():
            write_table(connection, getattr(lake, name), select, lake, n)
        write_vectors(connection, VectorStore(lake.vectors))
    (lake.root / "generated.duckdb").unlink()


def write_table(
    connection: duckdb.DuckDBPyConnection, path: Path, select: str, lake: Lake, n: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"n": n, "samples": str(lake.samples), "cluster_members": str(lake.cluster_members)}
    values = {name: value for name, value in known.items() if f"${name}" in select}
    connection.sql(select, params=values).write_parquet(str(path), compression="zstd")


def write_vectors(connection: duckdb.DuckDBPyConnection, store: VectorStore) -> None:
    vectors = image_vectors(find_clip(STUDY).clip_id, _DIMENSIONS)
    store.create(IMAGES)
    store.create(vectors)
    for batch in connection.sql(STORED_IMAGES).to_arrow_reader(_ROWS_A_COMMIT):
        images = pa.table(batch).cast(IMAGES.schema)
        store.append(IMAGES, images)
        store.append(vectors, unit_vectors(images["sample_id"], vectors))


def unit_vectors(sample_ids: pa.ChunkedArray, table: LanceTable) -> pa.Table:
    """The same vector for each sample: nothing compares them here."""
    halves = pa.repeat(pa.scalar(0.5, pa.float16()), len(sample_ids) * _DIMENSIONS)
    vector = pa.FixedSizeListArray.from_arrays(halves, _DIMENSIONS)
    status = pa.repeat("ok", len(sample_ids))
    return pa.table([sample_ids, vector, status], schema=table.schema)


@click.command()
@click.option("--samples", default=1_000_000, show_default=True, help="How many.")
@click.option("--memory-limit", default="4GB", show_default=True, help="DuckDB's.")
@click.option("--lake", "root", type=click.Path(path_type=Path), hidden=True)
def main(samples: int, memory_limit: str, root: Path | None) -> None:
    """Generate a lake, build it, and ask it."""
    if root is not None:
        STAGES["build"].run(STUDY, Lake(root))
        # dbt was a child of this process, which is small: what it inherits from it does not count.
        dbt = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        click.echo(max(peak_megabytes(), dbt) / 1024)
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        make_lake(lake, samples)
        seconds, peak = build(lake, memory_limit)
        size = lake.current.stat().st_size / 1e9
        click.echo(f"build of {samples:,} samples: {seconds:.1f} s, {peak:.2f} GB resident at most")
        click.echo(f"published: {size:.2f} GB; memory limit {memory_limit}")
        print_queries(lake)


def build(lake: Lake, memory_limit: str) -> tuple[float, float]:
    """Seconds, and the most memory in GB that one of its processes had."""
    command = [sys.executable, __file__, "--lake", str(lake.root)]
    limited = {**os.environ, "MEMTRIGGERS_MEMORY_LIMIT": memory_limit}
    started = time.perf_counter()
    done = subprocess.run(command, check=True, env=limited, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - started, float(done.stdout)


def print_queries(lake: Lake) -> None:
    click.echo(f"\n{'example query':34} {'rows':>6} {'ms':>8}")
    with duckdb.connect(str(lake.current), read_only=True) as connection:
        for name in examples():
            started = time.perf_counter()
            n_rows = len(connection.execute(*bind_example(name, {})).fetchall())
            click.echo(f"{name:34} {n_rows:6} {(time.perf_counter() - started) * 1e3:8.0f}")


if __name__ == "__main__":
    main()
