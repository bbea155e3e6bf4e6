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
# As recommended for the CLIP that came along when the study was made, and 0.05 below and above.
THRESHOLD = 0.82
THRESHOLDS = [0.77, THRESHOLD, 0.87]
N_SEEDS = 32
STEPS = 20
VIEWS = 100
GUIDANCE = (3.0, 1.0)
MEMTRIGGERS = (sys.executable, "-m", "memtriggers")


@dataclass(frozen=True)
class Scanned:
    """Some rows, and the lake in which memtriggers scans them; both lie in one folder."""

    plants: Path  # the folder of groups.csv, rows.csv and prompts.csv
    folder: Path

    @property
    def rows(self) -> Path:
        """What is scanned."""
        return self.folder / "rows.parquet"

    @property
    def lake(self) -> Path:
        """Where it is scanned, and what was trained on it is measured."""
        return self.folder / "lake"

    @property
    def study(self) -> Path:
        """What memtriggers is asked to do."""
        return self.folder / "study.toml"


@dataclass(frozen=True)
class Asked(Scanned):
    """A model that was trained on the rows, and what it is asked."""

    pixels: int
    prompt_kinds: tuple[str, ...] = tuple(FAMILIES)
    group_kinds: tuple[str, ...] | None = None  # all of them
    n_seeds: int = N_SEEDS
    is_curated: bool = False  # what is left of the clusters has no keyword sets of its own
    trained: Path | None = None  # a model that lies elsewhere

    @property
    def model(self) -> Path:
        """As diffusers saves it."""
        return self.trained or self.folder / "model"


def scan(scanned: Scanned, risk_fit: Path | None) -> None:
    """Scan and cluster rows, with the risk of their words if it is known: what a curator knows."""
    lines = []
    if risk_fit is not None:
        lines = ["[risk]", f"views = {VIEWS}", f"fit = {_text(risk_fit.absolute())}"]
    _refresh(scanned, lines, _keyword_sets(read_groups(scanned.plants), is_curated=False))


def run(asked: Asked, guidance_scale: float) -> None:
    """Scan, cluster, generate and score what is missing; `refresh` says what."""
    groups = read_groups(asked.plants)
    _write_prompts(asked, groups)
    lines = [
        "[prompts]",
        'file = "prompts.csv"',
        "families = []",
        "[generator]",
        f"model = {_text(asked.model.absolute())}",
        f"steps = {STEPS}",
        f"guidance_scale = {guidance_scale}",
        f"width = {asked.pixels}",
        f"height = {asked.pixels}",
        f"n_seeds = {asked.n_seeds}",
        "batch_size = 128",
        "[score]",
        'metrics = ["clip", "l2_relative"]',
    ]
    _refresh(asked, lines, _keyword_sets(groups, asked.is_curated))


def _refresh(scanned: Scanned, lines: list[str], keyword_sets: dict[str, list[str]]) -> None:
    data = ["[data]", 'parquet = "rows.parquet"', 'image_column = "jpg"']
    data += ["[cluster]", f"thresholds = {THRESHOLDS}", "[report]", f"threshold = {THRESHOLD}"]
    for name, include in keyword_sets.items():
        lines += ["[[keyword_set]]", f"name = {_text(name)}", f"include = {json.dumps(include)}"]
    scanned.study.write_text("\n".join([*data, *lines]) + "\n", encoding="utf-8")
    there = ("--study", str(scanned.study), "--lake", str(scanned.lake))
    subprocess.run([*MEMTRIGGERS, "refresh", *there], check=True)


def _text(value: object) -> str:
    """As TOML writes it."""
    return json.dumps(str(value))


def _keyword_sets(groups: dict[str, Group], is_curated: bool) -> dict[str, list[str]]:
    """What each includes."""
    found = {keyword_set(is_curated, group): list(group.words) for group in groups.values()}
    return found | {EVERYTHING: ["*"]}


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


def keyword_set(is_curated: bool, group: Group | None) -> str:
    """The keyword set by which a group, or the background, is asked for."""
    if is_curated or group is None or group.kind == IMAGE_ALONE:
        return EVERYTHING
    return " ".join(group.words)


def _write_prompts(asked: Asked, groups: dict[str, Group]) -> None:
    """Each prompt names its group's cluster by a copy, or where there is none by another row."""
    named = first_samples(asked)
    with (asked.plants / "prompts.csv").open(encoding="utf-8", newline="") as file:
        asks = [row for row in csv.DictReader(file) if _is_asked(asked, groups, row)]
    with (asked.folder / "prompts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["keyword_set", "cluster", "family", "prompt"])
        for ask in asks:
            name = named.get(ask["group_id"])
            if name is not None:  # or curation removed it
                group, family = groups.get(ask["group_id"]), FAMILIES[ask["prompt_kind"]]
                sets = keyword_set(asked.is_curated, group)
                writer.writerow([sets, name, family, ask["prompt"]])


def _is_asked(asked: Asked, groups: dict[str, Group], ask: dict[str, str]) -> bool:
    group = groups.get(ask["group_id"])
    is_kind = group is None or asked.group_kinds is None or group.kind in asked.group_kinds
    return is_kind and ask["prompt_kind"] in asked.prompt_kinds


def first_samples(asked: Scanned) -> dict[str, str]:
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
