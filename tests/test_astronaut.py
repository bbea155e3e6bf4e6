"""The paper's study of objects as it stands in `studies/`, on a small world made for it.

Its keyword set, prompts, phrases and design are those of the file; the models are small and random.
"""

import re
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.tests import warm
from memtriggers.tests.small_world import painting, save_small_clip
from memtriggers.tests.tiny_detectors import save_tiny_owl
from memtriggers.tests.tiny_diffusion import SIDE, save_tiny_pipeline

pytestmark = pytest.mark.slow  # the whole of a bundled study
STUDIES = Path(__file__).parents[1] / "studies"
N_ASTRONAUTS, N_OTHERS, N_NAMING, SEEDS = 16, 52, 3, 2


def write_world(folder: Path) -> None:
    """LAION-shaped rows with their images in a column: astronauts, some with a flag, and others."""
    captions = [f"An astronaut, picture {n}" for n in range(N_ASTRONAUTS - N_NAMING)]
    captions += [f"Astronaut and the U.S. flag {n}" for n in range(N_NAMING)]
    captions += [f"A mountain lake {n}" for n in range(N_OTHERS)]
    works = ["suit"] * 4 + [None] * (len(captions) - 4)  # nearly identical images, for a cluster
    rows = {
        "URL": [f"https://host{n}.example/{n}.jpg" for n in range(len(captions))],
        "TEXT": captions,
        "jpg": [painting(work, n) for n, work in enumerate(works)],
    }
    (folder / "laion400m").mkdir()
    pq.write_table(pa.table(rows), folder / "laion400m" / "part-0.parquet")


def write_study(folder: Path) -> Path:
    """The study of the paper, with what it names replaced by what there is here."""
    clip = save_small_clip(folder / "clip")
    here = {
        "[[keyword_set]]": 'image_column = "jpg"\n\n[[keyword_set]]',
        'model = "ViT-L-14"\npretrained = "openai"': f'model = "{clip}"',
        # Random weights put all images close together.
        "thresholds = [0.85, 0.9, 0.95]": "thresholds = [0.9995, 0.9997, 0.9999]",
        '"google/owlv2-base-patch16-ensemble"': f'"{save_tiny_owl(folder / "owl")}"',
        '"CompVis/stable-diffusion-v1-4"': f'"{save_tiny_pipeline(folder / "diffusion")}"',
        'dtype = "float16"\n': f"steps = 2\nwidth = {SIDE}\nheight = {SIDE}\n",
        "n_seeds = 500": f"n_seeds = {SEEDS}",
    }
    text = (STUDIES / "astronaut.toml").read_text(encoding="utf-8")
    for paper, small in here.items():
        assert paper in text, paper
        text = text.replace(paper, small)
    prompts = (STUDIES / "astronaut_prompts.csv").read_bytes()
    (folder / "astronaut_prompts.csv").write_bytes(prompts)
    path = folder / "astronaut.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> duckdb.DuckDBPyConnection:
    """What one `refresh` of the study publishes."""
    folder = tmp_path_factory.mktemp("astronaut")
    write_world(folder)
    there = ("--study", write_study(folder), "--lake", folder / "lake", "--scheduler", cluster)
    command = warm.command("memtriggers", "refresh", *there)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "score, objects, build, report" in done.stdout
    return duckdb.connect(str(folder / "lake" / "current.duckdb"), read_only=True)


def test_the_prompts_of_the_study_ask_for_the_largest_cluster(
    published: duckdb.DuckDBPyConnection,
) -> None:
    rows = published.execute(
        "select family, prompt, n_samples from prompts "
        "join keyword_clusters using (keyword_set, threshold, cluster_id) "
        "where source = 'file' and cluster_rank = 1 order by family"
    ).fetchall()
    assert [row[0] for row in rows] == ["irrelevant", "keywords", "long", "short"]
    assert all("astronaut" in row[1] and "flag" not in row[1] for row in rows)
    assert all(row[2] >= 4 for row in rows)


def test_images_whose_captions_name_the_flag_do_not_count(
    published: duckdb.DuckDBPyConnection,
) -> None:
    rows = published.execute(
        "select split_part(detector_id, '-', 1), n, rate, ci_low, ci_high from object_rates "
        "where population = 'train'"
    ).fetchall()
    assert {row[0] for row in rows} == {"clip_tiles", "owlv2"}
    assert all(row[1] == N_ASTRONAUTS - N_NAMING for row in rows)
    assert all(low <= rate <= high for _, _, rate, low, high in rows)


def test_each_prompt_has_its_rate_beside_that_of_all(
    published: duckdb.DuckDBPyConnection,
) -> None:
    n, n_rows = np.transpose(
        published.execute(
            "select sum(n), count(*) from object_rates where population = 'generated' "
            "and prompt_id is not null group by detector_id"
        ).fetchall()
    )
    prompts = published.execute("select count(*) from prompts where status = 'ok'").fetchone()
    assert prompts is not None and (n_rows == prompts[0]).all()
    assert (n == prompts[0] * SEEDS).all()


def test_every_query_of_the_page_runs(published: duckdb.DuckDBPyConnection) -> None:
    text = (STUDIES / "astronaut.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        assert published.execute(query).fetchall()
