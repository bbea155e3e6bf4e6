"""How fast the explorer answers, page by page, over a lake with many clusters and generations.

    python benchmarks/explore.py --clusters 1000 --generations 100000

A generated lake: one prompt a cluster, the generations shared among them, scored by two metrics.
It is built as any lake is; then `explore` runs as a person starts it, and each page is asked for
several times, for other clusters each time. An image is one request, as in a browser.
"""

import io
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import duckdb
import numpy as np
import pyarrow as pa
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES, IMAGES, image_vectors
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES

THRESHOLDS = "[0.85, 0.9, 0.95]"
_BATCH = 20_000
_DIMENSIONS = 512  # of the bundled CLIP
STUDY = """
[data]
rows = "none.parquet"
[[keyword_set]]
name = "everything"
include = ["*"]
"""
# Cluster c has the numbers from c * $size on; its name is the smallest of its ids.
NUMBERED = """
create table numbered as
select
    i,
    md5(i::varchar) as sample_id,
    i // $size as c,
    min(sample_id) over (partition by c) as cluster_id
from range($clusters * $size) as numbers(i);
create table asked as
select c, cluster_id, md5('prompt ' || c) as prompt_id from numbered group by all;
create table generated as
select
    prompt_id,
    c,
    cluster_id,
    seed,
    md5(prompt_id || seed) as image_id
from asked cross join range($seeds) as seeds(seed)
"""
TABLES = {
    "samples": """
        select sample_id, 'https://site' || i % 5000 || '.example/' || i || '.jpg' as url,
            'a picture of word' || c || ' number ' || i as caption,
            640 as width, 480 as height, null as license, null as nsfw, 0.3 as similarity,
            1 as n_rows, caption as caption_decoded, null as clip_tokens,
            string_split(caption, ' ') as words, 'ok' as status, null as status_reason,
            'part.parquet' as source_file, i as source_row, null as source_id
        from numbered""",
    "keyword_sets": """
        select 'everything' as keyword_set, ['*'] as include, []::varchar[] as any_of,
            []::varchar[] as exclude, null as parent_keyword_set, count(*) as n_samples
        from numbered""",
    "keyword_matches": "select 'everything' as keyword_set, sample_id from numbered",
    "cluster_members": f"""
        select threshold, sample_id, cluster_id, cluster_id as representative_sample_id,
            if(sample_id = cluster_id, 1.0, 0.95 + (hash(i) % 500) / 1e4) as cosine_to_medoid
        from numbered cross join (select unnest({THRESHOLDS}) as threshold)""",
    "clusters": f"""
        select threshold, cluster_id, count(*) as n_samples, cluster_id as medoid_sample_id,
            0.97 as cosine_to_medoid_mean, 0.95 as cosine_to_medoid_min,
            n_samples as n_captions_distinct, n_samples as n_urls_distinct,
            n_samples as n_domains_distinct, n_samples as n_samples_largest_piece,
            false as is_placeholder, false as is_blank, null as excluded_reason
        from numbered cross join (select unnest({THRESHOLDS}) as threshold) group by all""",
    "prompts": """
        select prompt_id, 'everything' as keyword_set, 0.9 as threshold, cluster_id,
            'keywords' as family, 'picture of word' || c as prompt, 'words' as source,
            5 as clip_tokens, 'ok' as status, null as status_reason, 0.5 as caption_similarity,
            cluster_id as nearest_sample_id
        from asked""",
    "generators": """
        select 'generator' as generator_id, 'none' as model, null as revision, '0' as weights_hash,
            null as lora, 'none' as scheduler, 1 as steps, 1.0 as guidance_scale, 64 as width,
            64 as height, 'none' as dtype""",
    "replication_thresholds": """
        select 'everything' as keyword_set, 0.9 as threshold, cluster_id, metric, reference,
            if(metric = 'clip', 0.8, 0.3) as replication_threshold, metric <> 'clip' as is_distance,
            'suggested' as method, 'generated' as reason, 100 as n_non_copies,
            [replication_threshold] as bands
        from asked, compared""",
    "replication_scores": """
        select 'generator' as generator_id, prompt_id, seed, metric, reference,
            (hash(image_id || metric || reference) % 1000000) / 1e6 as score,
            cluster_id as matched_sample_id, cluster_id as matched_cluster_id,
            'none' as model, 'none' as preprocessing
        from generated, compared""",
}
COMPARED = """
create table compared as
select * from (
    values ('clip', 'medoid'), ('clip', 'representatives'), ('clip', 'members'),
    ('l2', 'medoid'), ('l2', 'representatives')
) as compared (metric, reference)
"""


def make_lake(lake: Lake, clusters: int, size: int, generations: int) -> None:
    """Write what the stages before `build` would have written."""
    with duckdb.connect() as connection:
        connection.execute(COMPARED)
        values = {"clusters": clusters, "size": size, "seeds": generations // clusters}
        for statement in NUMBERED.split(";"):
            named = {name: value for name, value in values.items() if f"${name}" in statement}
            connection.execute(statement, named)
        for name, select in TABLES.items():
            path = getattr(lake, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            connection.sql(select).write_parquet(str(path), compression="zstd")
        store_images(connection, VectorStore(lake.vectors), lake)


def store_images(connection: duckdb.DuckDBPyConnection, store: VectorStore, lake: Lake) -> None:
    study = load_study(lake.root / "study.toml")
    vectors = image_vectors(find_clip(study).clip_id, _DIMENSIONS)
    pictures = [draw(number) for number in range(16)]
    random = np.random.default_rng(0)
    for batch in connection.sql("select sample_id, i from numbered").to_arrow_reader(_BATCH):
        n = batch.num_rows
        rows = {"sample_id": batch["sample_id"], "image": [pictures[k % 16] for k in range(n)]}
        store.append(IMAGES, filled(rows, IMAGES.schema, n))
        halves = random.standard_normal(n * _DIMENSIONS).astype(np.float16)
        column = pa.FixedSizeListArray.from_arrays(pa.array(halves), _DIMENSIONS)
        rows = {"sample_id": batch["sample_id"], "vector": column}
        store.append(vectors, filled(rows, vectors.schema, n))
    of_generations = "select image_id, prompt_id, seed from generated"
    for batch in connection.sql(of_generations).to_arrow_reader(_BATCH):
        n = batch.num_rows
        rows = {name: batch[name] for name in ("image_id", "prompt_id", "seed")}
        rows |= {"generator_id": ["generator"] * n, "image": [pictures[k % 16] for k in range(n)]}
        store.append(GENERATED_IMAGES, filled(rows, GENERATED_IMAGES.schema, n))


def filled(rows: dict[str, Any], schema: pa.Schema, n: int) -> pa.Table:
    """Rows that are ok, with nulls for what nobody asks here."""
    made = pa.array([datetime.now(UTC)] * n, pa.timestamp("us", "UTC"))
    rows = {"status": ["ok"] * n, "generated_at": made} | rows
    columns = [rows[f.name] if f.name in rows else pa.nulls(n, f.type) for f in schema]
    return pa.table(columns, schema=schema)


def draw(number: int) -> bytes:
    """A picture of 256 pixels as it is stored, about 8 kB."""
    small = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((256, 256)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@contextmanager
def explorer(lake: Lake) -> Iterator[str]:
    """The address of an explorer of the lake."""
    command = [sys.executable, "-m", "memtriggers", "explore", "--port", "0"]
    command += ["--lake", str(lake.root), "--study", str(lake.root / "study.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rstrip("/")
        process.terminate()


def pages(lake: Lake) -> dict[str, Callable[[int], tuple[str, bytes | None]]]:
    """The address, and what is sent to it, of each page by the number of the repetition."""
    with duckdb.connect(str(lake.current), read_only=True) as connection:
        clusters = connection.execute("select distinct cluster_id from clusters").fetchall()
        images = connection.execute("select image_id from generations limit 1000").fetchall()
    of = [f"/clusters/0.9/{cluster_id}" for (cluster_id,) in clusters]
    query = urlencode({"query": "from replication order by replication_rate desc"}).encode()
    return {
        "clusters, first page": lambda n: ("/", None),
        "clusters, a later page": lambda n: (f"/?threshold=0.9&page={n + 2}", None),
        "clusters of a keyword set": lambda n: (f"/?keyword_set=everything&page={n + 1}", None),
        "one cluster and its generations": lambda n: (of[n], None),
        "the same by another metric": lambda n: (f"{of[n]}?by=l2/medoid", None),
        "one sample": lambda n: (f"/samples/{clusters[n][0]}", None),
        "one image, not on a page before": lambda n: (f"/images/generation/{images[n][0]}", None),
        "a search by text": lambda n: (f"/search?text=star+{n}", None),
        "a query in the SQL box": lambda n: ("/sql", query),
    }


def ask(base: str, path: str, body: bytes | None) -> float:
    """Milliseconds until the whole answer is here."""
    request = urllib.request.Request(base + path, body, {"Origin": base})
    started = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return (time.perf_counter() - started) * 1e3


@click.command()
@click.option("--clusters", default=1_000, show_default=True, help="How many.")
@click.option("--size", default=20, show_default=True, help="Samples in each.")
@click.option("--generations", default=100_000, show_default=True, help="Images of all prompts.")
@click.option("--repeats", default=15, show_default=True, help="Requests for each page.")
def main(clusters: int, size: int, generations: int, repeats: int) -> None:
    """Generate a lake, build it, and look at it."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        (lake.root / "study.toml").write_text(STUDY, encoding="utf-8")
        make_lake(lake, clusters, size, generations)
        STAGES["build"].run(load_study(lake.root / "study.toml"), lake)
        click.echo(f"{clusters:,} clusters, {clusters * size:,} samples, {generations:,} images")
        click.echo(f"\n{'page':34} {'median ms':>9} {'first':>7} {'most':>7}")
        with explorer(lake) as base:
            for name, page in pages(lake).items():
                times = [ask(base, *page(number)) for number in range(repeats)]
                median, most = statistics.median(times), max(times[1:])
                click.echo(f"{name:34} {median:9.0f} {times[0]:7.0f} {most:7.0f}")


if __name__ == "__main__":
    main()
