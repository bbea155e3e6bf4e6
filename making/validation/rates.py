"""What a model gave back: the distance of every image to what was planted, by prompt and seed."""

import csv
import hashlib
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
from ...pipelines.core.lake import Lake
from ...pipelines.core.study_file import load_study
from ...pipelines.replication.compared import IMAGE
from ...pipelines.replication.pixels import read_pixels
from ...pipelines.replication.references import Training, choose_references, read_training
from ...pipelines.replication.surroundings import COPY, as_thumbnails
from ..plant import IMAGE_ALONE, WORDS_ALONE, Ask
from .lakes import STEPS, Asked, read_groups

EMPTY = "empty"
N_UNPROMPTED = 256  # images of the empty prompt
_BATCH = 64
_MANY = 24  # members, from which on representatives stand for them

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Generated:
    """One image: what was asked for, and how far it is from what was planted."""

    guidance_scale: float
    group_id: str
    prompt_kind: str
    prompt_id: str
    seed: int
    distance: float  # relative to its surroundings
    is_copy: bool


def read_generated(asked: Asked) -> Iterator[Generated]:
    """Every image that was scored, with what memtriggers published of it.

    Where only words were planted, a copy of any member counts, not of the one that names them.
    """
    groups, about = read_groups(asked.plants), read_asks(asked)
    for guidance, prompt_id, seed, distance in _published(asked):
        ask = about[prompt_id]
        if ask.group_id not in groups or groups[ask.group_id].kind != WORDS_ALONE:
            yield _generated(guidance, ask, seed, distance)
    alone = {group_id for group_id, group in groups.items() if group.kind == WORDS_ALONE}
    yield from _any_member(asked, {key: ask for key, ask in about.items() if ask.group_id in alone})


def read_asks(asked: Asked) -> dict[str, Ask]:
    """What each prompt_id asks."""
    with (asked.plants / "prompts.csv").open(encoding="utf-8", newline="") as file:
        asks = [Ask(**row) for row in csv.DictReader(file)]
    return {hashlib.md5(ask.prompt.encode()).hexdigest(): ask for ask in asks}


def _published(asked: Asked) -> list[tuple[float, str, int, float]]:
    with duckdb.connect(str(asked.lake / "current.duckdb"), read_only=True) as connection:
        return connection.execute(
            "select guidance_scale, prompt_id, seed, score from replication_scores "
            "join generators using (generator_id) "
            "where metric = 'l2_relative' and reference = 'representatives' order by all"
        ).fetchall()


def _generated(guidance_scale: float, ask: Ask, seed: int, distance: float) -> Generated:
    prompt_id = hashlib.md5(ask.prompt.encode()).hexdigest()
    is_copy = distance <= COPY
    return Generated(
        guidance_scale, ask.group_id, ask.prompt_kind, prompt_id, seed, distance, is_copy
    )


def _any_member(asked: Asked, about: dict[str, Ask]) -> Iterator[Generated]:
    """The nearest image of the group, as far from its surroundings without the group."""
    lake, members, training = Lake(asked.lake), members_of(asked), _training(asked)
    store = VectorStore(lake.vectors).dataset(GENERATED_IMAGES.name)
    for generator_id, guidance in lake.sql(
        "select generator_id, guidance_scale from generators order by all"
    ).fetchall():
        for prompt_id, ask in about.items():
            where = f"generator_id = '{generator_id}' and prompt_id = '{prompt_id}'"
            images = store.to_table(columns=["seed", "image"], filter=where).sort_by("seed")
            if len(images) and ask.group_id in members:
                nearest = _nearest(training, images["image"].to_pylist(), members[ask.group_id])
                for seed, distance in zip(images["seed"].to_pylist(), nearest, strict=True):
                    yield _generated(guidance, ask, seed, float(distance))


def unprompted(asked: Asked) -> Iterator[Generated]:
    """Images of the empty prompt, beside every image that was planted without words.

    Guidance changes nothing in them: it is away from the empty prompt.
    """
    pipeline = StableDiffusionPipeline.from_pretrained(asked.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    images = [
        image
        for start in range(0, N_UNPROMPTED, _BATCH)
        for image in pipeline(
            [""] * _BATCH,
            num_inference_steps=STEPS,
            guidance_scale=1.0,
            width=asked.pixels,
            height=asked.pixels,
            generator=[torch.Generator().manual_seed(start + i) for i in range(_BATCH)],
        ).images
    ]
    encoded = [_png(image) for image in images]
    members, training = members_of(asked), _training(asked)
    for group_id, group in read_groups(asked.plants).items():
        if group.kind == IMAGE_ALONE and group_id in members:
            nearest = _nearest(training, encoded, members[group_id])
            for seed, distance in enumerate(nearest):
                yield _generated(1.0, Ask(group_id, EMPTY, ""), seed, float(distance))


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
    return read_training(load_study(asked.study), Lake(asked.lake))


def _nearest(training: Training, encoded: list[bytes], members: Iterable[str]) -> Floats:
    """The distance of each image to the nearest member, or representative of many."""
    rows = np.flatnonzero(np.isin(training.sample_ids.to_pylist(), list(members))).astype(np.int32)
    shown = rows
    if len(rows) > _MANY:
        shown = choose_references(rows, int(rows[0]))["representatives"]
    references = read_pixels(training.pictures.stored[IMAGE].take(shown).read().to_pylist())
    (surroundings,) = training.surroundings.values()
    drawn = surroundings.surround(read_pixels(encoded))
    found = surroundings.without(rows).relative(drawn, as_thumbnails(references))
    nearest: Floats = found.min(axis=1)
    return nearest


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
