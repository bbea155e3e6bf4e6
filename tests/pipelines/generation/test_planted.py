"""A generator that copies with a known probability: the rate that is published contains it."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.making.bundled import read_images
from memtriggers.pipelines import generate, score
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds
from memtriggers.pipelines.stages import STAGES, expected_stamp
from memtriggers.tests.generations import write_prompts
from memtriggers.tests.planted import LoadPlanted

PROBABILITIES = (0.0, 0.1, 0.5, 0.9, 1.0)
N_SEEDS, N_MEMBERS, SIDE = 200, 8, 32
# The tiny CLIP's random weights put all images close together: of two of these pictures by 0.9994,
# of noise and one of them by 0.9987 at most, and of two shades by 0.9999 at least.
ALIKE = 0.9997


def write_images(folder: Path) -> None:
    """A cluster for each probability: one of the bundled images, and shades of it."""
    folder.mkdir()
    images = list(read_images().values())
    originals = images[:: len(images) // len(PROBABILITIES)]
    for cluster in range(len(PROBABILITIES)):
        with Image.open(io.BytesIO(originals[cluster])) as image:
            pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE)), float)
        for member in range(N_MEMBERS):
            shade = Image.fromarray((pixels * (1 - member / 400)).astype(np.uint8))
            shade.save(folder / f"{cluster}-{member}.png")


@pytest.fixture
def study(
    make_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    tiny_pipeline: Path,
    tiny_clip: Path,
    cluster: str,
    tmp_path: Path,
) -> Study:
    write_images(tmp_path / "images")
    names = [f"{k}-{m}.png" for k in range(len(PROBABILITIES)) for m in range(N_MEMBERS)]
    captions = [f"star {name[0]}, shade {name[2]}" for name in names]
    write_laion(*({"URL": u, "TEXT": c} for u, c in zip(names, captions, strict=True)))
    sections = [
        f'[clip]\nmodel = "{tiny_clip}"',
        f'[cluster]\nthresholds = [{ALIKE}]\n[score]\nmetrics = ["clip"]',
        *(threshold(*pair) for pair in zip(names, captions, strict=True) if "-0" in pair[0]),
        f'[generator]\nmodel = "{tiny_pipeline}"\nwidth = {SIDE}\nheight = {SIDE}',
        f"batch_size = 64\nn_seeds = {N_SEEDS}",
    ]
    data, star = 'image_root = "images"', {"include": ["star"]}
    study = make_study("laion.parquet", data, "\n".join(sections), star=star)
    return replace(study, resources=Resources(scheduler=cluster))


def threshold(url: str, caption: str) -> str:
    """A replication threshold of the cluster that holds this sample."""
    sample_id = hashlib.md5(f"{url}\x1f{caption}".encode()).hexdigest()
    return f'[[score.threshold]]\ncluster = "{sample_id}"\nreplication_threshold = {ALIKE}'


def plant(lake: Lake, folder: Path) -> LoadPlanted:
    """Write a prompt for each cluster, and what the pipeline does with it."""
    samples = pq.read_table(lake.samples, columns=["sample_id", "url"]).to_pylist()
    clusters = {int(row["url"][0]): [] for row in samples}
    for row in samples:
        clusters[int(row["url"][0])].append(row["sample_id"])
    texts = [f"a star of kind {k}" for k in range(len(PROBABILITIES))]
    ids = [min(clusters[k]) for k in range(len(texts))]
    write_prompts(lake, *texts, cluster_ids=ids, threshold=ALIKE)
    planted = {
        text: {
            "probability": probability,
            "files": sorted(map(str, (folder / "images").glob(f"{cluster}-*.png"))),
        }
        for cluster, (text, probability) in enumerate(zip(texts, PROBABILITIES, strict=True))
    }
    (folder / "planted.json").write_text(json.dumps(planted), encoding="utf-8")
    return LoadPlanted(folder / "planted.json")


def test_the_interval_of_the_rate_contains_the_probability(
    study: Study,
    lake: Lake,
    tmp_path: Path,
    run_stages: Callable[..., None],
    build_only: Callable[..., None],
) -> None:
    run_stages(study, "filter", "fetch", "embed", "cluster")
    load = plant(lake, tmp_path)
    fix_thresholds(study, lake, expected_stamp(STAGES["prompts"], study, lake))
    for module, name in ((generate, "generate"), (score, "score")):
        module.run(study, lake, expected_stamp(STAGES[name], study, lake), load)
    build_only("replication", "prompts")
    run_stages(study, "build")
    rows = lake.sql(
        "select n_generations, replication_rate, ci_low, ci_high, method from replication "
        "join prompts using (prompt_id) "
        "where metric = 'clip' and reference = 'representatives' order by prompt"
    ).fetchall()
    assert [(row[0], row[4]) for row in rows] == [(N_SEEDS, "manual")] * len(PROBABILITIES)
    for probability, (_, rate, low, high, _) in zip(PROBABILITIES, rows, strict=True):
        assert low <= probability <= high, (probability, rate)
