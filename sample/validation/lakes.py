"""One lake a training run: the rows scanned and the model asked, by memtriggers' own commands."""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ..plant import IMAGE_ALONE, Group

FAMILIES = {"words": "keywords", "held_out": "short", "own": "long", "unrelated": "irrelevant"}
EVERYTHING = "everything"
THRESHOLD = 0.82  # that recommended for the bundled CLIP
N_SEEDS = 32
STEPS = 20
GUIDANCE = (3.0, 1.0)


@dataclass(frozen=True)
class Asked:
    """A model, the rows it was trained on, and what it is asked."""

    plants: Path  # the folder of groups.csv, rows.csv and prompts.csv
    folder: Path  # study.toml, the prompts and the lake lie here
    rows: Path  # parquet
    model: Path
    pixels: int
    prompt_kinds: tuple[str, ...] = tuple(FAMILIES)

    @property
    def lake(self) -> Path:
        """Where it is measured."""
        return self.folder / "lake"


def run(asked: Asked, guidance_scale: float) -> None:
    """Scan, cluster, generate and score what is missing; `refresh` says what."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    groups = read_groups(asked.plants)
    _write_prompts(asked, groups)
    study = asked.folder / "study.toml"
    study.write_text(_study(asked, groups, guidance_scale), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "memtriggers",
        "refresh",
        "--study",
        study,
        "--lake",
        asked.lake,
    ]
    subprocess.run(list(map(str, command)), check=True)


def read_groups(plants: Path) -> dict[str, Group]:
    """The plants, by group_id."""
    with (plants / "groups.csv").open(encoding="utf-8", newline="") as file:
        return {row["group_id"]: _group(row) for row in csv.DictReader(file)}


def _group(row: dict[str, str]) -> Group:
    return Group(
        row["group_id"],
        row["kind"],
        tuple(row["words"].split()),
        int(row["n_captions"]),
        int(row["n_copies"]),
        row["image"] or None,
        row["split"],
    )


def keyword_set(group: Group) -> str:
    """The keyword set by which a group is asked for."""
    return EVERYTHING if group.kind == IMAGE_ALONE else " ".join(group.words)


def _study(asked: Asked, groups: dict[str, Group], guidance_scale: float) -> str:
    sets = {keyword_set(group): list(group.words) or ["*"] for group in groups.values()}
    lines = [
        "[data]",
        f"parquet = {json.dumps(str(asked.rows))}",
        'image_column = "jpg"',
        "[prompts]",
        'file = "prompts.csv"',
        "families = []",
        "[generator]",
        f"model = {json.dumps(str(asked.model))}",
        f"steps = {STEPS}",
        f"guidance_scale = {guidance_scale}",
        f"width = {asked.pixels}",
        f"height = {asked.pixels}",
        f"n_seeds = {N_SEEDS}",
        "batch_size = 64",
        "[score]",
        'metrics = ["clip", "l2_relative"]',
    ]
    for name, include in sets.items():
        lines += [
            "[[keyword_set]]",
            f"name = {json.dumps(name)}",
            f"include = {json.dumps(include)}",
        ]
    return "\n".join(lines) + "\n"


def _write_prompts(asked: Asked, groups: dict[str, Group]) -> None:
    """Each prompt names its group's cluster by a copy, or where there is none by another row."""
    named = first_samples(asked)
    with (asked.plants / "prompts.csv").open(encoding="utf-8", newline="") as file:
        asks = [row for row in csv.DictReader(file) if row["prompt_kind"] in asked.prompt_kinds]
    with (asked.folder / "prompts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["keyword_set", "cluster", "family", "prompt"])
        for ask in asks:
            if ask["group_id"] in named:
                group, family = groups[ask["group_id"]], FAMILIES[ask["prompt_kind"]]
                name = named[ask["group_id"]]
                writer.writerow([keyword_set(group), name, family, ask["prompt"]])


def first_samples(asked: Asked) -> dict[str, str]:
    """The sample_id of one row of each group, a copy of its image where it has one."""
    found = duckdb.execute(
        """
        select
            group_id,
            arg_min(md5(url || chr(31) || TEXT), (role not in ('exact', 'variant'), url))
        from read_csv($facts) as facts
        join read_parquet($rows) using (url)
        group by group_id
        """,
        {"facts": str(asked.plants / "rows.csv"), "rows": str(asked.rows)},
    ).fetchall()
    return dict(found)
