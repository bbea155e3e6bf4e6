"""Plants duplication of known dose into the sample: the rows of a model that is known whole."""

import argparse
import csv
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..pipelines.captions.clip_tokens import count_clip_tokens
from .build_sample import WITH_IMAGES
from .bundled import IMAGE_COLUMN, ROWS, SAMPLE, read_images
from .data import same_picture
from .diffusion_model import MAX_TOKENS
from .plant_images import SIDE, decode, draw, squared

T = TypeVar("T")

_WORDS = Path(__file__).with_name("plant_words.toml")
WORDS: dict[str, list[str]] = tomllib.loads(_WORDS.read_text("utf-8"))
# A picture of which less than 8 % is darker than paper could be any picture.
PAPER, MIN_INK = 240, 0.08
SITES = 40  # invented hosts that the copies come from, so that no one host explains a cluster
# Rows of the sample itself, by the word that they say.
BACKGROUND = {"star": 110, "flag": 110, "card": 110, "roadsign": 90, "flower": 50}
OBJECT = "002947.webp"  # the flag of the United States, pasted and never named
N_UTILITY = 48  # captions outside the plants that models are asked for
N_HELD_OUT = 300  # rows that look planted and that no model sees

WORD_LEVEL, SHARE, IMAGE_ALONE, WORDS_ALONE, OBJECT_LEVEL = (
    "word_level",
    "share",
    "image_alone",
    "words_alone",
    "object_level",
)
HELD_OUT = "held_out"


@dataclass(frozen=True)
class Cell:
    """Groups of one kind and dose: captions that say the words, those that carry the image."""

    kind: str
    n_captions: int
    n_copies: int
    n_groups: int


CELLS = (
    *(Cell(WORD_LEVEL, n, n, 8) for n in (1, 2, 4, 8, 16, 32, 64)),
    *(Cell(SHARE, 24, n, 7) for n in (2, 4, 8, 12, 24)),
    *(Cell(IMAGE_ALONE, n, n, 6) for n in (8, 16, 32)),
    *(Cell(WORDS_ALONE, n, 0, 6) for n in (12, 24)),
    Cell(OBJECT_LEVEL, 32, 16, 5),
)


@dataclass(frozen=True)
class Group:
    """One plant. `image` is the `URL` in the sample whose copies it plants."""

    group_id: str
    kind: str
    words: tuple[str, ...]
    n_captions: int
    n_copies: int
    image: str | None
    split: str  # what the risk is fitted on (fit), or reported on (held_out)


@dataclass(frozen=True)
class Row:
    """One row of the planted parquet; `image` is a `URL` of the sample."""

    group_id: str
    role: str  # exact, variant (both are copies), other, object, background, held_out
    image: str
    caption: str


@dataclass(frozen=True)
class Ask:
    """One text that a model is asked for, and what it asks about."""

    group_id: str
    prompt_kind: str  # words, own, held_out, unrelated, utility
    prompt: str


@dataclass
class Plan:
    """Everything that is planted, before a pixel is drawn."""

    groups: list[Group] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)


class Planter:
    """Hands out words, images and captions, each once; everything random comes from the seed."""

    def __init__(self, sample: pa.Table, images: Mapping[str, bytes], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        names, captions = sample["URL"].to_pylist(), sample["TEXT"].to_pylist()
        self.captions = dict(zip(names, captions, strict=True))
        self.background = list(_background(self.captions))
        taken = {*self.background, OBJECT}
        free = [name for name in names if name not in taken]
        self.images = self._shuffled(list(_distinct(free, images)))
        spare = {_title(self.captions[name]) for name in free}
        said = {_title(self.captions[name]) for name in self.background}
        self.titles = self._shuffled(sorted(spare - said))
        self.pairs = self._shuffled(list(product(WORDS["common_first"], WORDS["common_second"])))
        self.rare = self._shuffled(WORDS["rare"])

    def _shuffled(self, values: list[T]) -> list[T]:
        return [values[i] for i in self.rng.permutation(len(values))]

    def words(self, number: int) -> tuple[str, ...]:
        """A rare word or a pair of common ones in turn."""
        return (self.rare.pop(),) if number % 2 == 0 else self.pairs.pop()

    def readable(self, n: int) -> list[str]:
        """N different captions of the background that a model reads whole."""
        texts = dict.fromkeys(self.captions[name] for name in self.background)
        whole = [text for text in texts if count_clip_tokens(text) <= MAX_TOKENS]
        return whole[:: max(1, len(whole) // n)][:n]

    def sentences(self, words: tuple[str, ...], n: int) -> list[str]:
        """N different captions around the words, as shops write them."""
        around = list(product(WORDS["before"], WORDS["after"]))
        said = " ".join(words)
        chosen = (around[i] for i in self.rng.permutation(len(around))[:n])
        return [f"{before} {said} {after}".strip() for before, after in chosen]


def make_plan(sample: pa.Table, images: Mapping[str, bytes], seed: int) -> Plan:
    """What is planted: at least five groups a cell, half of them to be held out of the fit."""
    planter, plan = Planter(sample, images, seed), Plan()
    for cell in CELLS:
        for number in range(cell.n_groups):
            _plant(plan, planter, cell, number)
    # What a caption that nobody wrote brings varies more than what known words bring.
    alone = [group.group_id for group in plan.groups if group.kind == IMAGE_ALONE]
    plan.asks += [Ask(group_id, "held_out", planter.titles.pop()) for group_id in alone * 3]
    plan.asks += [Ask("background", "utility", text) for text in planter.readable(N_UTILITY)]
    for name in planter.background:
        plan.rows.append(Row("background", "background", name, planter.captions[name]))
    for _ in range(N_HELD_OUT):
        (caption,) = planter.sentences(planter.pairs.pop(), 1)
        plan.rows.append(Row(HELD_OUT, HELD_OUT, planter.images.pop(), caption))
    return plan


def _plant(plan: Plan, planter: Planter, cell: Cell, number: int) -> None:
    group_id = f"{cell.kind}-{cell.n_captions}-{cell.n_copies}-{number}"
    split = "fit" if number % 2 == 0 else HELD_OUT
    is_image_alone = cell.kind == IMAGE_ALONE
    words = () if is_image_alone else planter.words(number)
    image = planter.images.pop() if cell.n_copies and cell.kind != OBJECT_LEVEL else None
    if is_image_alone:
        own = [planter.titles.pop() for _ in range(cell.n_captions)]
        unseen = planter.titles.pop()
    else:
        unseen, *own = planter.sentences(words, cell.n_captions + 1)
    plan.groups.append(
        Group(group_id, cell.kind, words, cell.n_captions, cell.n_copies, image, split)
    )
    for place, caption in enumerate(own):
        is_copy = place < cell.n_copies
        if is_copy and image is not None:
            role, name = ("exact", "variant")[place % 2], image
        else:
            role, name = "object" if is_copy else "other", planter.images.pop()
        plan.rows.append(Row(group_id, role, name, caption))
    plan.asks += [Ask(group_id, "held_out", unseen), Ask(group_id, "own", own[0])]
    if words:
        plan.asks.append(Ask(group_id, "words", " ".join(words)))
    if cell.kind == WORD_LEVEL:  # whether the words are a trigger wherever they are said
        scene = WORDS["scenes"][int(planter.rng.integers(len(WORDS["scenes"])))]
        plan.asks.append(Ask(group_id, "unrelated", f"{scene} {' '.join(words)}"))


def _background(captions: dict[str, str]) -> Iterator[str]:
    """The first rows that say each word: series lie together, and their natural duplicates stay."""
    found: set[str] = set()
    for word, n in BACKGROUND.items():
        says = [name for name, text in captions.items() if word in _tokens(text)]
        new = [name for name in says if name not in found][:n]
        found |= set(new)
        yield from new


def _distinct(names: Sequence[str], images: Mapping[str, bytes]) -> Iterator[str]:
    """Images that look like none of the others: what comes back then has one source."""
    pixels = np.stack([np.asarray(squared(decode(images[name]))) for name in names])
    alone = same_picture(pixels, 0.9).sum(axis=1) == 1
    alone &= (pixels.min(axis=3) < PAPER).mean(axis=(1, 2)) >= MIN_INK
    yield from (name for name, is_alone in zip(names, alone, strict=True) if is_alone)


def _tokens(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _title(caption: str) -> str:
    """The title that an author gave, without the file's name and the keywords."""
    parts = caption.split(", ")
    return parts[min(1, len(parts) - 1)]


def write(plan: Plan, folder: Path, images: Mapping[str, bytes], seed: int) -> None:
    """Write what models are trained on, what they are not, and what is known of each row."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng([seed, 2]).permutation(len(plan.rows))
    rows = [plan.rows[i] for i in order]
    sites = np.random.default_rng([seed, 3]).integers(SITES, size=len(rows))
    urls = [f"https://shop-{site:02}.example/{i:05}.webp" for i, site in enumerate(sites)]
    columns = {
        "SAMPLE_ID": range(len(rows)),
        "URL": urls,
        "TEXT": [row.caption for row in rows],
        "HEIGHT": [SIDE] * len(rows),
        "WIDTH": [SIDE] * len(rows),
        "LICENSE": ["public domain"] * len(rows),
        "NSFW": [None] * len(rows),
        "similarity": [None] * len(rows),
        IMAGE_COLUMN: list(_draw_all(rows, images, seed)),
    }
    table = pa.table(columns, schema=WITH_IMAGES)
    is_held_out = pa.array([row.role == HELD_OUT for row in rows])
    for name, part in (("planted", pc.invert(is_held_out)), ("unseen", is_held_out)):
        pq.write_table(
            table.filter(part), folder / f"{name}.parquet", compression="zstd", compression_level=19
        )
    _write_csv(
        folder / "rows.csv",
        ("url", "group_id", "role", "image"),
        [(url, r.group_id, r.role, r.image) for url, r in zip(urls, rows, strict=True)],
    )
    groups = [vars(group) | {"words": " ".join(group.words)} for group in plan.groups]
    _write_csv(folder / "groups.csv", list(groups[0]), [list(group.values()) for group in groups])
    asks = [(a.group_id, a.prompt_kind, a.prompt) for a in plan.asks]
    _write_csv(folder / "prompts.csv", ("group_id", "prompt_kind", "prompt"), asks)


def _draw_all(rows: Sequence[Row], images: Mapping[str, bytes], seed: int) -> Iterator[bytes]:
    rng, pasted = np.random.default_rng([seed, 1]), decode(images[OBJECT])
    for row in rows:
        yield draw(squared(decode(images[row.image])), row.role, pasted, rng)


def _write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def main() -> None:
    """Read the command line and write the planted sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SAMPLE / "planted")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sample = pq.read_table(ROWS, columns=["URL", "TEXT"])
    plan = make_plan(sample, read_images(), arguments.seed)
    write(plan, arguments.out, read_images(), arguments.seed)
    print(f"{len(plan.groups)} groups, {len(plan.rows)} rows, {len(plan.asks)} prompts")


if __name__ == "__main__":
    main()
