"""What a model gave back: the distance of every image to what was planted, by prompt and seed."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES
from ...pipelines.lake import Lake
from ...pipelines.replication.pictures import IMAGE
from ...pipelines.replication.pixels import read_pixels
from ...pipelines.replication.references import Training, choose_references, read_training
from ...pipelines.replication.surroundings import COPY
from ...pipelines.study_file import load_study
from ..plant import IMAGE_ALONE, WORDS_ALONE
from .lakes import N_SEEDS, STEPS, Asked, read_groups

Rows = npt.NDArray[np.int32]
EMPTY = "empty"
_BATCH = 64


@dataclass(frozen=True)
class Generated:
    """One image: what was asked for, and how far it is from what was planted."""

    guidance_scale: float
    group_id: str
    prompt_kind: str
    prompt: str
    seed: int
    distance: float  # relative to its surroundings

    @property
    def is_copy(self) -> bool:
        """By Carlini's rule."""
        return self.distance <= COPY


def read_generated(asked: Asked) -> Iterator[Generated]:
    """Every image that was scored, with what memtriggers published of it.

    Where only words were planted, a copy of any member counts, not of the one that names them.
    """
    with duckdb.connect(str(asked.lake / "current.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select guidance_scale, prompt, seed, score from replication_scores "
            "join prompts using (prompt_id) join generators using (generator_id) "
            "where metric = 'l2_relative' and reference = 'representatives' order by all"
        ).fetchall()
    with (asked.plants / "prompts.csv").open(encoding="utf-8", newline="") as file:
        about = {
            row["prompt"]: (row["group_id"], row["prompt_kind"]) for row in csv.DictReader(file)
        }
    groups = read_groups(asked.plants)
    for guidance, prompt, seed, score in found:
        group_id, kind = about[prompt]
        if groups[group_id].kind != WORDS_ALONE:
            yield Generated(guidance, group_id, kind, prompt, seed, score)
    yield from _any_member(
        asked, about, {g for g, one in groups.items() if one.kind == WORDS_ALONE}
    )


def _any_member(
    asked: Asked, about: dict[str, tuple[str, str]], groups: set[str]
) -> Iterator[Generated]:
    """The nearest image of the group, as far from its surroundings without the group."""
    members, training = members_of(asked), _training(asked)
    lake = Lake(asked.lake)
    named = lake.sql(
        "select generator_id, guidance_scale, prompt_id, prompt from prompts, generators"
    ).fetchall()
    store = VectorStore(lake.vectors).dataset(GENERATED_IMAGES.name)
    for generator_id, guidance, prompt_id, prompt in named:
        group_id, kind = about[prompt]
        if group_id not in groups:
            continue
        where = f"generator_id = '{generator_id}' and prompt_id = '{prompt_id}'"
        images = store.to_table(columns=["seed", "image"], filter=where).sort_by("seed")
        if len(images):
            distances = _distances(training, images["image"].to_pylist(), members[group_id])
            for seed, distance in zip(images["seed"].to_pylist(), distances, strict=True):
                yield Generated(guidance, group_id, kind, prompt, seed, float(distance))


def unprompted(asked: Asked, guidance_scale: float = 1.0) -> Iterator[Generated]:
    """Images of the empty prompt beside every image that was planted without words."""
    pipeline = StableDiffusionPipeline.from_pretrained(asked.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    images = [
        image
        for start in range(0, N_SEEDS * 8, _BATCH)
        for image in pipeline(
            [""] * _BATCH,
            num_inference_steps=STEPS,
            guidance_scale=guidance_scale,
            width=asked.pixels,
            height=asked.pixels,
            generator=[torch.Generator().manual_seed(start + i) for i in range(_BATCH)],
        ).images
    ]
    encoded = [_png(image) for image in images]
    members, training = members_of(asked), _training(asked)
    for group_id, group in read_groups(asked.plants).items():
        if group.kind == IMAGE_ALONE and group_id in members:
            distances = _distances(training, encoded, members[group_id])
            for seed, distance in enumerate(distances):
                yield Generated(guidance_scale, group_id, EMPTY, "", seed, float(distance))


def members_of(asked: Asked) -> dict[str, list[str]]:
    """The sample ids of each group's copies, or of all its rows where nothing was copied."""
    found = duckdb.execute(
        """
        select group_id, list(md5(url || chr(31) || TEXT) order by url)
        from read_csv($facts)
        join read_parquet($rows) using (url)
        where role in ('exact', 'variant') or group_id like 'words_alone%'
        group by group_id
        """,
        {"facts": str(asked.plants / "rows.csv"), "rows": str(asked.rows)},
    ).fetchall()
    return dict(found)


def _training(asked: Asked) -> Training:
    return read_training(load_study(asked.folder / "study.toml"), Lake(asked.lake))


def _distances(
    training: Training, encoded: list[bytes], members: Iterable[str]
) -> npt.NDArray[np.float64]:
    """Of each image to the nearest member, or representative of many."""
    rows = np.flatnonzero(np.isin(training.sample_ids.to_pylist(), list(members))).astype(np.int32)
    shown = choose_references(rows, int(rows[0]))["representatives"] if len(rows) > 24 else rows
    references = read_pixels(training.pictures.stored[IMAGE].take(shown).read().to_pylist())
    (surroundings,) = training.surroundings.values()
    found = surroundings.relative(read_pixels(encoded), references, rows)
    nearest: npt.NDArray[np.float64] = found.min(axis=1)
    return nearest


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
