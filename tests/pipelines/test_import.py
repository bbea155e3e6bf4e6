"""Vectors in clip-retrieval's layout: found by url and caption, whatever their place."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import caption_vectors_name, image_vectors_name
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.errors import SourceError, StageError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.refresh import stale_stages

CLIP = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'
IMPORTED = 'vectors = "emb/img_emb_*.npy"\nmetadata = "emb/metadata_*.parquet"\n'
WITH_CAPTIONS = IMPORTED + 'caption_vectors = "emb/text_emb_*.npy"\n'
Rows = dict[str, tuple[str, list[float] | None]]


@pytest.fixture
def write_shard(tmp_path: Path) -> Callable[..., None]:
    """Write one shard: the rows of laion.parquet with these numbers, and their vectors."""

    def write(shard: int, numbers: list[int], vectors: np.ndarray[Any, Any]) -> None:
        folder = tmp_path / "emb"
        folder.mkdir(exist_ok=True)
        rows = [
            {"url": f"https://host{n}.example/{n}.jpg", "caption": f"a picture of thing {n}"}
            for n in numbers
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"metadata_{shard}.parquet")
        np.save(folder / f"img_emb_{shard}.npy", vectors.astype(np.float16))
        np.save(folder / f"text_emb_{shard}.npy", -vectors.astype(np.float16))

    return write


def vector(number: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(number).standard_normal(8)


def vectors(*numbers: int) -> np.ndarray[Any, Any]:
    return np.stack([vector(number) for number in numbers])


def read(lake: Lake, study: Study) -> tuple[Rows, Rows]:
    """Image and caption vectors by caption; each sample is there once."""
    captions = {
        row["sample_id"]: row["caption"]
        for row in pq.read_table(lake.samples, columns=["sample_id", "caption"]).to_pylist()
    }
    clip_id = find_clip(study).clip_id
    found = []
    for name in (image_vectors_name(clip_id), caption_vectors_name(clip_id)):
        rows = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
        found.append({captions[r["sample_id"]]: (r["status"], r["vector"]) for r in rows})
        assert len(found[-1]) == len(rows)
    return found[0], found[1]


def test_a_vector_is_found_by_url_and_caption(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_laion(*({} for _ in range(30)), {"TEXT": "not among them"})
    numbers = np.random.default_rng(0).permutation(30).tolist()
    for shard, start in ((9, 0), (10, 10), (11, 20)):  # "10" comes before "9" among names
        part = numbers[start : start + 10]
        write_shard(shard, [*part, 99], vectors(*part, 99))
    study = make_study("laion.parquet", WITH_CAPTIONS, CLIP)
    run_stages(study, "filter", "fetch", "embed")
    images, captions = read(lake, study)
    assert set(images) == set(captions) == {f"a picture of thing {n}" for n in range(30)}
    for number in range(30):
        unit = vector(number) / np.linalg.norm(vector(number))
        status, stored = images[f"a picture of thing {number}"]
        assert status == "ok" and np.allclose(stored, unit, atol=1e-3)
        assert np.allclose(captions[f"a picture of thing {number}"][1], -unit, atol=1e-3)


def test_more_come_later_and_nothing_comes_twice(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_laion({}, {}, {})
    write_shard(0, [0, 0, 7], vectors(0, 1, 7))
    study = make_study("laion.parquet", IMPORTED, CLIP)
    run_stages(study, "filter", "fetch", "embed")
    first, captions = read(lake, study)
    assert list(first) == ["a picture of thing 0"] and not captions
    write_shard(1, [2, 0], vectors(2, 5) * np.array([[np.nan], [1]]))
    study = make_study("laion.parquet", WITH_CAPTIONS, CLIP)
    run_stages(study, "embed")
    second, captions = read(lake, study)
    assert second["a picture of thing 0"] == first["a picture of thing 0"]
    assert second["a picture of thing 2"] == ("not_finite", None)
    assert set(captions) == {"a picture of thing 0", "a picture of thing 2"}


def test_metadata_of_other_samples_is_an_error(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
) -> None:
    write_laion({}, {})
    write_shard(0, [7, 8], vectors(7, 8))
    with pytest.raises(StageError) as lost:
        run_stages(make_study("laion.parquet", IMPORTED, CLIP), "filter", "fetch", "embed")
    assert str(lost.value).startswith(
        "embed: none of 2 samples has a vector of its image: not_in_the_metadata 2; the first was "
        "https://host0.example/0.jpg; name the metadata"
    )


def test_everything_after_it_works_without_an_image(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
) -> None:
    write_laion({}, {}, {}, {})
    write_shard(0, [0, 1, 2, 3], vectors(5, 5, 6, 7))
    study = make_study("laion.parquet", IMPORTED, CLIP)
    run_stages(study, *(name for name, stage in STAGES.items() if stage.is_wanted(study)))
    assert not stale_stages(study, lake)
    query = (
        "select status, count(*), max(cluster_id is not null) from samples "
        "left join cluster_members using (sample_id) where threshold = 0.9 group by 1"
    )
    command = [sys.executable, "-m", "memtriggers", "sql", "--lake", str(lake.root)]
    done = subprocess.run(
        [*command, "--format", "csv", query], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["embedded,4,True"]
    assert lake.report.exists()


def test_the_command_imports_too(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
) -> None:
    write_laion({}, {})
    write_shard(0, [0, 1], vectors(0, 1))
    study = make_study("laion.parquet", sections=CLIP)
    run_stages(study, "filter")
    command = [sys.executable, "-m", "memtriggers", "embed", "--study", "../study.toml"]
    command += ["--vectors", "img_emb_*.npy", "--metadata", "*.parquet", "--lake", str(lake.root)]
    done = subprocess.run(command, cwd=tmp_path / "emb", capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("embed: 2 in, 2 out, 0 lost\n", "")
    assert len(read(lake, study)[0]) == 2


def test_files_that_do_not_belong_together_are_one_line(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    write_laion({}, {})
    study = make_study("laion.parquet", IMPORTED, CLIP)
    write_shard(0, [0, 1], vectors(0, 1))
    run_stages(study, "filter")

    def check(message: str) -> None:
        with pytest.raises(SourceError, match=message) as error:
            run_stages(study, "embed")
        assert "\n" not in str(error.value)

    np.save(tmp_path / "emb" / "img_emb_0.npy", vectors(0))
    check(r"img_emb_0\.npy: float64 of shape \(1, 8\); expected .* the 2 rows of")
    np.save(tmp_path / "emb" / "img_emb_0.npy", np.array([[{}], [{}]]))
    check(r"img_emb_0\.npy: not a readable \.npy file")
    write_shard(1, [1], vectors(1))
    (tmp_path / "emb" / "img_emb_1.npy").unlink()
    check(r"1 files for 2 of metadata; without the other of the two: number 1")
    write_shard(0, [0, 1], vectors(0, 1))
    write_shard(1, [1], vectors(1)[:, :4])
    check(r"vectors of several lengths: \[4, 8\]")
    (tmp_path / "emb" / "img_emb_x1.npy").write_bytes(b"")
    check(r"two files share its number")


def test_vectors_of_another_length_than_the_models_are_one_line(
    write_laion: Callable[..., Path],
    write_shard: Callable[..., None],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
) -> None:
    write_laion({}, {})
    write_shard(0, [0], vectors(0))
    study = make_study("laion.parquet", IMPORTED, CLIP)
    run_stages(study, "filter", "embed")
    write_shard(0, [1], vectors(1)[:, :4])
    with pytest.raises(SourceError, match="holds vectors of length 8, the imported ones have 4"):
        run_stages(study, "embed")


def test_the_model_and_the_metadata_must_be_named(
    write_laion: Callable[..., Path],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
) -> None:
    write_laion({})
    run_stages(make_study("laion.parquet"), "filter")
    with pytest.raises(StudyError, match="name the model that made the imported vectors"):
        run_stages(make_study("laion.parquet", IMPORTED), "embed")
    with pytest.raises(StudyError, match="data: metadata: missing"):
        run_stages(make_study("laion.parquet", 'vectors = "*.npy"', CLIP), "embed")
