"""A small lake written by hand, built and published once: what the marts say can be counted in it.

sample  a  b  c  d  e  f  g         h         i          j        k        l
star    x  x  x           rejected  overlong  not found
sea           x  x  x  x                                 pending  fetched  not finite
blue                x
0.9     [a  b  c][d  e] f
0.8     [a  b  c  d  e] f
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import IMAGES, image_vectors
from memtriggers.pipelines import build
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.registry import TABLES
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.core.study_file import load_study

HOSTILE = "<script>alert(1)</script> | **red** 'star' \"\\ \x1b[31m\n$x${{ ref('x') }} שלום 🌟"

ONE, TWO = "https://One.example/x.jpg", "http://user@two.example:8080/y.jpg?z=1"

SAMPLES: list[dict[str, Any]] = [
    {"sample_id": "a", "url": ONE, "caption": "The star, the star", "words": "the star the star"},
    {"sample_id": "b", "url": ONE, "caption": HOSTILE, "words": "star red"},
    {"sample_id": "c", "url": TWO, "caption": "star sea", "words": "star sea"},
    {"sample_id": "d", "url": "images/d.webp", "caption": "sea", "words": "sea"},
    {"sample_id": "e", "url": "images/e.webp", "caption": "sea blue", "words": "sea blue"},
    {"sample_id": "f", "url": "images/f.webp", "caption": "sea", "words": "sea"},
    {"sample_id": "g", "caption": "star", "words": "star", "status_reason": "url_is_empty"},
    {"sample_id": "h", "caption": "star", "words": "star", "status_reason": "over_77_clip_tokens"},
    {"sample_id": "i", "url": "http://two.example/i", "caption": "star", "words": "star"},
    {"sample_id": "j", "url": "images/j.webp", "caption": "sea", "words": "sea"},
    {"sample_id": "k", "url": "images/k.webp", "caption": "sea", "words": "sea"},
    {"sample_id": "l", "url": "images/l.webp", "caption": "sea", "words": "sea"},
]
MATCHES = {"star": "abcghi", "sea": "cdefjkl", "nothing": "", "blue": "e"}
PARENTS = {"sea": "star", "blue": "sea"}  # with three samples in a cluster, and with two
CLUSTERS: list[dict[str, Any]] = [
    {"threshold": 0.9, "cluster_id": "a", "n_samples": 3, "medoid_sample_id": "b"},
    {"threshold": 0.9, "cluster_id": "d", "n_samples": 2, "medoid_sample_id": "e"},
    {"threshold": 0.8, "cluster_id": "a", "n_samples": 5, "medoid_sample_id": "b"},
]
CONTENTS = {
    "n_captions_distinct": 2,
    "n_urls_distinct": 2,
    "n_domains_distinct": 0,
    "is_placeholder": False,
    "is_blank": False,
}
MEMBERS = {0.9: {"abc": ("a", "b"), "de": ("d", "e")}, 0.8: {"abcde": ("a", "b")}}
# By metric, reference and replication threshold: what each seed of the prompt of a matched.
COPIES: dict[tuple[str, str, float], list[tuple[str, float]]] = {
    ("clip", "members", 0.9): [("c", 0.95), ("a", 0.9), ("c", 0.95), ("a", 0.1)],
    ("clip", "representatives", 0.9): [("a", 0.9), ("a", 0.1), ("b", 0.3), ("a", 0.1)],
    ("l2", "representatives", 0.15): [("b", 0.15), ("b", 0.95), ("a", 0.15), ("a", 0.95)],
}
TABLE_ROWS: dict[str, list[dict[str, Any]]] = {
    "samples": [
        {
            **sample,
            "words": sample["words"].split(),
            "n_rows": 1,
            "status": "rejected" if "status_reason" in sample else "ok",
            "source_file": "/data/x.parquet",
            "source_row": row,
        }
        for row, sample in enumerate(SAMPLES)
    ],
    "sample_rows": [
        {"sample_id": sample["sample_id"], "source_file": "/data/x.parquet", "source_row": row}
        for row, sample in enumerate(SAMPLES)
    ],
    "source_files": [
        {
            "source_file": "/data/x.parquet",
            "n_rows": 13,
            "shape": "LAION-400M",
            "format": "parquet",
            "status": "ok",
        }
    ],
    "keyword_sets": [
        {
            "keyword_set": name,
            "include": [name],
            "parent_keyword_set": PARENTS.get(name),
            "n_samples": len(ids),
        }
        for name, ids in MATCHES.items()
    ],
    "keyword_matches": [
        {"keyword_set": name, "sample_id": sample_id}
        for name, ids in MATCHES.items()
        for sample_id in ids
    ],
    "rejected_rows": [
        {
            "source_file": "/data/x.parquet",
            "source_row": 6,
            "caption_number": 0,
            "rule": "url_is_empty",
        },
    ],
    "words": [
        {"word": "the", "is_stop_word": True, "share_of_captions": 0.5},
        {"word": "star", "is_stop_word": False, "share_of_captions": 0.25},
        {"word": "sea", "is_stop_word": False, "share_of_captions": 0.25},
        {"word": "red", "is_stop_word": False, "share_of_captions": 0.125},
    ],
    "near_duplicates": [
        {"sample_id": pair[0], "other_sample_id": pair[1], "cosine": 0.95}
        for pair in ("ab", "bc", "de", "cd")
    ],
    "clusters": [CONTENTS | cluster for cluster in CLUSTERS],
    "cluster_members": [
        {
            "threshold": threshold,
            "sample_id": sample_id,
            "cluster_id": cluster_id,
            "representative_sample_id": medoid,
            "cosine_to_medoid": 0.95,
        }
        for threshold, groups in MEMBERS.items()
        for ids, (cluster_id, medoid) in {**groups, "f": (None, "f")}.items()
        for sample_id in ids
    ],
    "word_sets": [
        {
            "keyword_set": "star",
            "threshold": 0.9,
            "cluster_id": "a",
            "words": ["red", "star"],
            "n_samples": 1,
            "n_in_cluster": 1,
            "ci_low": 0.2,
        },
        {
            "keyword_set": "sea",
            "threshold": 0.9,
            "cluster_id": "d",
            "words": ["blue", "sea"],
            "n_samples": 2,
            "n_in_cluster": 1,
            "ci_low": 0.1,
        },
    ],
    "prompts": [
        {
            "prompt_id": "p",
            "prompt": HOSTILE,
            "keyword_set": "star",
            "threshold": 0.9,
            "cluster_id": "b",  # any sample in it names it
            "family": "keywords",
            "source": "words",
            "clip_tokens": 4,
            "status": "ok",
        }
    ],
    "replication_thresholds": [
        {
            "keyword_set": "star",
            "threshold": 0.9,
            "cluster_id": "b",
            "metric": metric,
            "reference": reference,
            "replication_threshold": limit,
            "is_distance": metric == "l2",
            "method": "suggested",
            "reason": "made by hand",
            "bands": [limit],
        }
        for metric, reference, limit in COPIES
    ],
    "replication_scores": [
        {
            "generator_id": generator,
            "prompt_id": "p",
            "seed": seed,
            "metric": metric,
            "reference": reference,
            "score": score,
            "matched_sample_id": matched,
            "model": "by hand",
            "preprocessing": "none",
        }
        for generator, far in (("g1", 0), ("g2", 1))
        for (metric, reference, limit), found in COPIES.items()
        for seed, (matched, score) in enumerate(found)
        if not far or score not in (limit, 0.95)
    ],
}
PIXELS = {"b": (200, 100), "c": (100, 150)}  # the others: 100 x 100


def write_parquet(lake: Lake) -> None:
    """The files of `filter`, `words` and `cluster`; what a row leaves out is 0 words or null."""
    for name, rows in TABLE_ROWS.items():
        full = [{"n_captions": 0, "n_occurrences": 0} | row for row in rows]
        path = getattr(lake, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(full, schema=TABLES[name].schema), path)


def write_lance(lake: Lake, clip_id: str) -> None:
    """The tables of `fetch` and `embed`: i was not found, l has no finite vector."""
    store = VectorStore(lake.vectors)
    images = [_image(sample_id) for sample_id in "abcdefkl"]
    images.append({"sample_id": "i", "status": "not_found", "status_reason": "images/i.webp"})
    store.append(IMAGES, pa.Table.from_pylist(images, schema=IMAGES.schema))
    table = image_vectors(clip_id, 2)
    vectors = [{"sample_id": s, "vector": [1.0, 0.0], "status": "ok"} for s in "abcdef"]
    vectors.append({"sample_id": "l", "vector": None, "status": "not_finite"})
    store.append(table, pa.Table.from_pylist(vectors, schema=table.schema))


def _image(sample_id: str) -> dict[str, Any]:
    width, height = PIXELS.get(sample_id, (100, 100))
    return {
        "sample_id": sample_id,
        "status": "ok",
        "image": b"not decoded here",
        "original_width": width,
        "original_height": height,
        "sha256": "same" if sample_id in "de" else sample_id,
        "colour_stddev": 51.0 if sample_id in "abc" else None,
    }


@pytest.fixture(scope="session")
def built_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(
        '[data]\nparquet = "x.parquet"\n[clip]\nmodel = "hf-hub:nobody/never-loaded"\n'
        '[[keyword_set]]\nname = "star"\ninclude = ["star"]\n',
        encoding="utf-8",
    )
    return load_study(path)


@pytest.fixture(scope="session")
def built_lake(tmp_path_factory: pytest.TempPathFactory, built_study: Study) -> Lake:
    """A lake in a folder whose name looks like a glob, with one build in it."""
    lake = Lake(tmp_path_factory.mktemp("models") / "lake [1]*")
    write_parquet(lake)
    write_lance(lake, find_clip(built_study).clip_id)
    with lake.lock(), lake.run("build", "study hash"):
        build.run(built_study, lake, Stamp({"cluster": "1"}, {"filter": "2"}))
    return lake


@pytest.fixture(scope="session")
def rebuilt(built_lake: Lake, built_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A copy of the lake of conftest.py, changed by hand and built again.

    At 0.9, sample a is gone, so that the cluster [a b c] is [b c]; [d e] has fallen apart; f, which
    was alone, has a new sample m beside it. At 0.8, [a b c d e] is [b c d e]. 0.7 is new.
    """
    lake = Lake(tmp_path_factory.mktemp("changes") / "lake")
    shutil.copytree(built_lake.root, lake.root, symlinks=True)
    _edit(lake.samples, "a", {"sample_id": "m", "caption": "sea", "status": "ok", "n_rows": 2})
    rows = [{"sample_id": "m", "source_file": "/data/y.parquet", "source_row": n} for n in (0, 1)]
    _edit(lake.sample_rows, "a", *rows)
    _edit(lake.keyword_matches, "a", {"keyword_set": "star", "sample_id": "m"})
    _edit(lake.near_duplicates, "a", {"sample_id": "f", "other_sample_id": "m", "cosine": 0.95})
    groups = {
        0.9: {"bc": ("b", "b"), "d": (None, "d"), "e": (None, "e"), "fm": ("f", "f")},
        0.8: {"bcde": ("b", "b"), "f": (None, "f"), "m": (None, "m")},
        0.7: {"bcdefm": ("b", "b")},
    }
    _write(lake.cluster_members, [
        {"threshold": t, "sample_id": s, "cluster_id": c, "representative_sample_id": medoid}
        for t, clusters in groups.items()
        for members, (c, medoid) in clusters.items()
        for s in members
    ])  # fmt: skip
    before = pq.read_table(lake.clusters).to_pylist()[0]
    _write(lake.clusters, [
        before | {"threshold": t, "cluster_id": c, "n_samples": len(members), "medoid_sample_id": c}
        for t, clusters in groups.items()
        for members, (c, _) in clusters.items()
        if c is not None
    ])  # fmt: skip
    moved = {"a": "b", "d": "f"}
    sets = pq.read_table(lake.word_sets).to_pylist()
    _write(lake.word_sets, [row | {"cluster_id": moved[row["cluster_id"]]} for row in sets])
    with lake.lock():
        build.run(built_study, lake, Stamp({"cluster": "2"}, {}))
    return lake


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


def _edit(path: Path, gone: str, *new: dict[str, object]) -> None:
    rows = pq.read_table(path).to_pylist()
    _write(path, [*(row for row in rows if row["sample_id"] != gone), *new])


@pytest.fixture
def own_lake(built_lake: Lake, tmp_path: Path) -> Lake:
    """A copy of the small lake, to build in."""
    return Lake(shutil.copytree(built_lake.root, tmp_path / "lake", symlinks=True))


@pytest.fixture
def published(built_lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file as a user opens it."""
    with duckdb.connect(str(built_lake.current), read_only=True) as connection:
        yield connection


@pytest.fixture
def hostile_caption() -> str:
    """The caption of b."""
    return HOSTILE


@pytest.fixture
def copied(built_lake: Lake, tmp_path: Path) -> Path:
    """The published file under another name in another folder."""
    path = tmp_path / "another place" / "2 copied-file.db"
    path.parent.mkdir()
    path.write_bytes(built_lake.current.read_bytes())
    return path
