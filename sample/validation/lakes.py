"""One lake a training run: the rows scanned and the model asked, by memtriggers' own commands."""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ..plant import IMAGE_ALONE, Group

FAMILIES = {
    "words": "keywords",
    "held_out": "short",
    "own": "long",
    "unrelated": "irrelevant",
    "utility": "without_name",
}
EVERYTHING = "everything"
THRESHOLD = 0.82  # that recommended for the bundled CLIP
N_SEEDS = 32
STEPS = 20
VIEWS = 100
GUIDANCE = (3.0, 1.0)


@dataclass(frozen=True)
class Asked:
    """A model, the rows it was trained on, and what it is asked; all of it lies in one folder."""

    plants: Path  # the folder of groups.csv, rows.csv and prompts.csv
    folder: Path
    pixels: int
    prompt_kinds: tuple[str, ...] = tuple(FAMILIES)
    is_curated: bool = False  # what is left of the clusters has no keyword sets of its own
    risk_fit: Path | None = None

    @property
    def rows(self) -> Path:
        """What the model was trained on."""
        return self.folder / "rows.parquet"

    @property
    def model(self) -> Path:
        """As diffusers saves it."""
        return self.folder / "model"

    @property
    def lake(self) -> Path:
        """Where it is measured."""
        return self.folder / "lake"


def run(asked: Asked, guidance_scale: float) -> None:
    """Scan, cluster, generate and score what is missing; `refresh` says what."""
    groups = read_groups(asked.plants)
    _write_prompts(asked, groups)
    study = asked.folder / "study.toml"
    study.write_text(_study(asked, groups, guidance_scale), encoding="utf-8")
    command = [sys.executable, "-m", "memtriggers", "refresh"]
    command += ["--study", str(study), "--lake", str(asked.lake)]
    subprocess.run(command, check=True)


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


def keyword_set(asked: Asked, group: Group | None) -> str:
    """The keyword set by which a group, or the background, is asked for."""
    if asked.is_curated or group is None or group.kind == IMAGE_ALONE:
        return EVERYTHING
    return " ".join(group.words)


def _study(asked: Asked, groups: dict[str, Group], guidance_scale: float) -> str:
    named = {keyword_set(asked, group): list(group.words) for group in groups.values()}
    sets = named | {EVERYTHING: ["*"]}
    lines = [
        "[data]",
        'parquet = "rows.parquet"',
        'image_column = "jpg"',
        "[prompts]",
        'file = "prompts.csv"',
        "families = []",
        "[generator]",
        'model = "model"',
        f"steps = {STEPS}",
        f"guidance_scale = {guidance_scale}",
        f"width = {asked.pixels}",
        f"height = {asked.pixels}",
        f"n_seeds = {N_SEEDS}",
        "batch_size = 64",
        "[score]",
        'metrics = ["clip", "l2_relative"]',
    ]
    if asked.risk_fit is not None:
        lines += [
            "[risk]",
            f"views = {VIEWS}",
            f"fit = {json.dumps(str(asked.risk_fit.absolute()))}",
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
    named, of_captions = first_samples(asked), samples_of_captions(asked)
    with (asked.plants / "prompts.csv").open(encoding="utf-8", newline="") as file:
        asks = [row for row in csv.DictReader(file) if row["prompt_kind"] in asked.prompt_kinds]
    with (asked.folder / "prompts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["keyword_set", "cluster", "family", "prompt"])
        for ask in asks:
            name = named.get(ask["group_id"])
            if ask["prompt_kind"] == "utility":
                name = of_captions.get(ask["prompt"])
            if name is not None:  # or curation removed it
                group, family = groups.get(ask["group_id"]), FAMILIES[ask["prompt_kind"]]
                writer.writerow([keyword_set(asked, group), name, family, ask["prompt"]])


def samples_of_captions(asked: Asked) -> dict[str, str]:
    """The sample_id of a row that has each caption."""
    found = duckdb.execute(
        "select TEXT, min(md5(url || chr(31) || TEXT)) from read_parquet($rows) group by TEXT",
        {"rows": str(asked.rows)},
    ).fetchall()
    return dict(found)


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
