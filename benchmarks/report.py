"""How long `report` takes over many clusters and generations, how large and how fast it is.

    python benchmarks/report.py --clusters 1000 --seeds 100

A generated lake: ten keyword sets share the clusters, each of ten samples with an image of their
own (JPEG, 384 pixels); of each cluster one prompt a family is asked with many seeds, whose scores
spread over all bands. Images have the texture of photographs. Of the generations, those that a
report can show are PNGs of 512 × 512 pixels; the others, which it never reads, are one pixel.
Opening is timed in the machine's chromium, from the request to the event `load`, and to the next
frame after it.
"""

import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb
import numpy as np
import pyarrow as pa
from PIL import Image

from memtriggers.benchmarks.memory import peak_megabytes
from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES, IMAGES, image_vectors
from memtriggers.making.bundled import read_images
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core import registry
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Cluster, Data, KeywordSet, Report, Study
from memtriggers.pipelines.page.picture_files import folder_beside
from memtriggers.pipelines.stages import STAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SETS, MEMBERS, DIMENSIONS = 10, 10, 4
FAMILIES = ("keywords", "short", "long", "irrelevant", "without_name")
BANDS = (0.85, 0.8, 0.7)
SHOWN = (0, 1, 20, 21, 30, 31, 50, 51)  # seeds: the first two in each band
PICTURES = list(read_images().values())
ROWS_A_COMMIT = 500
CHROMIUM = "/usr/bin/chromium"
Known = dict[str, object]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

# What a sample is follows from its number; a cluster is ten samples in a row.
NUMBERED = f"""
create table samples as
select i, md5(i::varchar) as sample_id, i // {MEMBERS} as c, 'set' || c % {SETS} as keyword_set
from range($clusters * {MEMBERS}) as numbers(i);
create table clusters as
select c, keyword_set, min(sample_id) as cluster_id from samples group by all;
create table prompts as
select md5('prompt' || c || '-' || family) as prompt_id, family, clusters.*
from clusters, (select unnest($families::varchar[]) as family);
create table generations as
select *, 0.98 - 0.13 * least(seed, 20) / 20 - 0.05 * (greatest(least(seed, 30), 20) - 20) / 10
    - 0.1 * (greatest(least(seed, 50), 30) - 30) / 20 - 0.002 * greatest(seed - 49, 0)
    - 1e-5 * (c % 7) as score
from prompts, range($seeds) as seeds(seed)
"""
TABLES = {
    "samples": """
        select sample_id, 'https://site' || i % 97 || '.example/' || i || '.jpg' as url,
            'word' || c || ' a picture of thing' || i % 50 || ' in the night, '
                || repeat('so ', 30) as caption,
            640 as width, 480 as height, 0.3 as similarity, 1 as n_rows, caption as caption_decoded,
            ['word' || c, 'picture', 'thing' || i % 50, 'night'] as words, 'ok' as status,
            'part.parquet' as source_file, i as source_row
        from samples""",
    "source_files": """
        select 'part.parquet' as source_file, count(*) as n_rows, 'LAION-400M' as shape
        from samples""",
    "keyword_sets": """
        select keyword_set, [keyword_set] as include, []::varchar[] as any_of,
            []::varchar[] as exclude, null as parent_keyword_set, count(*) as n_samples
        from samples group by keyword_set""",
    "keyword_matches": "select keyword_set, sample_id from samples",
    "words": """
        select distinct unnest(['word' || c, 'night']) as word, 10 as n_captions,
            10 as n_occurrences, false as is_stop_word, 0.001 as share_of_captions
        from clusters""",
    "cluster_members": """
        select 0.9 as threshold, sample_id, cluster_id, cluster_id as representative_sample_id,
            1 - (i % 10) / 100 as cosine_to_medoid
        from samples join clusters using (c)""",
    "clusters": f"""
        select 0.9 as threshold, cluster_id, {MEMBERS} as n_samples, cluster_id as medoid_sample_id,
            0.95 as cosine_to_medoid_mean, 0.91 as cosine_to_medoid_min,
            {MEMBERS} as n_captions_distinct, {MEMBERS} as n_urls_distinct,
            {MEMBERS} as n_domains_distinct,
            {MEMBERS} as n_samples_largest_piece, false as is_placeholder, false as is_blank
        from clusters""",
    "cluster_thresholds": """
        select 0.8 + i / 200 as threshold, i = 20 as is_computed, 100 as n_clusters,
            100 - i as n_samples_clustered, 10 as n_samples_largest, 1 - i / 50 as share_clustered,
            0.1 - i / 500 as share_largest, i = 20 as is_suggested, 'clusters are most' as reason
        from range(40) as steps(i)""",
    "word_sets": f"""
        select keyword_set, 0.9 as threshold, cluster_id, ['night', 'word' || c] as words,
            {MEMBERS} as n_samples, {MEMBERS} as n_embedded, {MEMBERS} as n_in_cluster,
            {MEMBERS} as n_in_clusters, 0.9 as share_in_cluster, 0.9 as concentration, 20.0 as lift,
            0.7 as ci_low, 0.97 as ci_high, 0.6 as ci_honest_low, 0.98 as ci_honest_high,
            0.01 as q_value, 1 + c % 100 / 50 as trigger_score
        from clusters""",
    "prompts": """
        select prompt_id, keyword_set, 0.9 as threshold, cluster_id, family,
            family || ' of word' || c || ' and thing in the night' as prompt, 'template' as source,
            12 as clip_tokens, 'ok' as status
        from prompts""",
    "generators": """
        select 'one' as generator_id, 'stable-diffusion' as model,
            'none' as weights_hash, 'DDIM' as scheduler, 'float16' as dtype, 50 as steps,
            7.5 as guidance_scale, 512 as width, 512 as height""",
    "replication_thresholds": f"""
        select keyword_set, 0.9 as threshold, cluster_id, 'clip' as metric,
            'representatives' as reference, 0.85 as replication_threshold, false as is_distance,
            'suggested' as method, 'the 99th percentile' as reason,
            500 as n_non_copies, {list(BANDS)} as bands
        from clusters""",
    "replication_scores": """
        select 'one' as generator_id, prompt_id, seed, metric, reference, score,
            cluster_id as matched_sample_id, cluster_id as matched_cluster_id, 'clip' as model,
            'none' as preprocessing
        from generations, (select unnest(['clip', 'l2']) as metric),
            (select unnest(['medoid', 'representatives', 'members']) as reference)""",
    "replication_by_family": """
        select 'one' as generator_id, keyword_set, 'clip' as metric, 'representatives' as reference,
            family, count(*) as n_clusters, count(*) as n_prompts,
            count(*) * $seeds as n_generations, 0.2 as replication_rate, 0.15 as ci_low,
            0.26 as ci_high
        from prompts group by keyword_set, family""",
}


def make_lake(lake: Lake, clusters: int, families: list[str], seeds: int) -> None:
    """Write what the stages before `build` would have written."""
    known: Known = {"clusters": clusters, "families": families, "seeds": seeds}
    with duckdb.connect() as connection:
        connection.execute("create schema lake")
        for statement in NUMBERED.split(";"):
            run(connection, statement, known)
        for table in registry.TABLES.values():
            if table.name in TABLES:
                write_table(connection, table, lake, known)
        write_images(connection, VectorStore(lake.vectors))


def write_table(
    connection: duckdb.DuckDBPyConnection, table: registry.LakeTable, lake: Lake, known: Known
) -> None:
    """What a query leaves out of the table's columns is null."""
    columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
    connection.execute(f"create table lake.{table.name} ({columns})")
    run(connection, f"insert into lake.{table.name} by name {TABLES[table.name]}", known)
    path: Path = getattr(lake, table.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.sql(f"from lake.{table.name}").write_parquet(str(path))


def run(connection: duckdb.DuckDBPyConnection, text: str, known: Known) -> None:
    connection.execute(text, {name: known[name] for name in known if f"${name}" in text})


def write_images(connection: duckdb.DuckDBPyConnection, store: VectorStore) -> None:
    vectors = image_vectors(find_clip(study(1)).clip_id, DIMENSIONS)
    for table in (IMAGES, GENERATED_IMAGES, vectors):
        store.create(table)
    draw = Drawing()
    ids = connection.execute("select sample_id from samples").fetchall()
    known = {"status": "ok", "width": 384, "height": 384, "fetched_at": NOW, "sha256": "0" * 64}
    for start in range(0, len(ids), ROWS_A_COMMIT):
        some = [sample_id for (sample_id,) in ids[start:][:ROWS_A_COMMIT]]
        rows = [known | {"sample_id": i, "image": draw(384, "JPEG")} for i in some]
        store.append(IMAGES, pa.Table.from_pylist(rows, IMAGES.schema))
        halves = [{"sample_id": i, "status": "ok", "vector": [np.float16(0.5)] * 4} for i in some]
        store.append(vectors, pa.Table.from_pylist(halves, vectors.schema))
    for rows in generated(connection, draw):
        store.append(GENERATED_IMAGES, pa.Table.from_pylist(rows, GENERATED_IMAGES.schema))


def generated(
    connection: duckdb.DuckDBPyConnection, draw: "Drawing"
) -> Iterator[list[dict[str, object]]]:
    nothing = encode(Image.new("RGB", (1, 1)), "PNG")
    connection.execute("select prompt_id, seed from generations")
    while some := connection.fetchmany(20 * ROWS_A_COMMIT):
        yield [
            {
                **{
                    "image_id": f"{prompt_id}-{seed}",
                    "generator_id": "one",
                    "prompt_id": prompt_id,
                },
                **{"seed": seed, "status": "ok", "width": 512, "height": 512, "generated_at": NOW},
                "image": draw(512, "PNG") if seed in SHOWN else nothing,
            }
            for prompt_id, seed in some
        ]


class Drawing:
    """Images of the sample with the texture of photographs, no two alike."""

    def __init__(self) -> None:
        self.random = random.Random(0)
        self.texture = np.random.default_rng(0).normal(0, 22, (96, 96, 3)).astype(np.float32)

    def __call__(self, side: int, form: str) -> bytes:
        with Image.open(io.BytesIO(self.random.choice(PICTURES))) as opened:
            pixels = np.asarray(opened.convert("RGB").resize((96, 96)), np.float32)
        shift = (self.random.randrange(96), self.random.randrange(96))
        pixels = np.clip(pixels + np.roll(self.texture, shift, (0, 1)), 0, 255)
        picture = Image.fromarray(pixels.astype(np.uint8)).resize((side, side))
        return encode(picture, form)


def encode(picture: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **({"compress_level": 1} if form == "PNG" else {"quality": 90}))
    return file.getvalue()


def study(clusters: int) -> Study:
    """Every cluster of every keyword set is shown."""
    return Study(
        Path(),
        Data(("none.parquet",)),
        tuple(KeywordSet(f"set{number}", (f"set{number}",)) for number in range(SETS)),
        cluster=Cluster(thresholds=(0.9,)),
        report=Report(threshold=0.9, clusters=clusters),
    )


def seconds_to_open(page: Path) -> tuple[float, float]:
    """From the request to the event `load`, and to the frame after it; the best of three."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        return min(_open(browser, page) for _ in range(3))


def _open(browser: "Browser", page: Path) -> tuple[float, float]:
    tab = browser.new_page()
    started = time.perf_counter()
    tab.goto(page.as_uri())
    loaded = time.perf_counter() - started
    tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    drawn = time.perf_counter() - started
    tab.close()
    return loaded, drawn


@click.command()
@click.option("--clusters", default=1_000, show_default=True, help="How many.")
@click.option("--families", default=1, show_default=True, help="Prompts a cluster, at most 5.")
@click.option("--seeds", default=100, show_default=True, help="Generations of a prompt.")
@click.option("--lake", "root", type=click.Path(path_type=Path), help="Keep the lake here.")
@click.option("--report-only", is_flag=True, hidden=True)
def main(clusters: int, families: int, seeds: int, root: Path | None, report_only: bool) -> None:
    """Generate a lake, build it, make its report and open it."""
    if report_only:
        assert root is not None
        STAGES["report"].run(study(clusters), Lake(root))
        click.echo(
            f"{sum(os.times()[:2]):.1f} s of processor time, {peak_megabytes() / 1024:.2f} GB"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(root or Path(folder))
        if not lake.current.exists():
            make_lake(lake, clusters, list(FAMILIES[:families]), seeds)
            STAGES["build"].run(study(clusters), lake)
        measure(lake, clusters)


def measure(lake: Lake, clusters: int) -> None:
    command = (sys.executable, __file__, "--report-only", "--lake", lake.root, "--clusters")
    started = time.perf_counter()
    printed = subprocess.check_output((*command, str(clusters)), text=True)
    seconds = time.perf_counter() - started
    images = list(folder_beside(lake.report).glob("*"))
    size, beside = lake.report.stat().st_size, sum(path.stat().st_size for path in images)
    click.echo(f"report: {seconds:.1f} s, {printed.strip()} resident at most")
    click.echo(f"{size / 1e6:.1f} MB, and {len(images):,} pictures of {beside / 1e6:.1f} MB beside")
    loaded, drawn = seconds_to_open(lake.report)
    click.echo(f"opens in {loaded:.2f} s, drawn after {drawn:.2f} s")


if __name__ == "__main__":
    main()
