"""Images that lie on this machine and change: what is stored is what a new lake would have."""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import (
    LanceTable,
    caption_vectors_name,
    copy_vectors_name,
    image_vectors,
    image_vectors_name,
)
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clip.vectors import vector_table
from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.stamped_tables import read_stamp, write_stamp
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.images import column, files
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.killed import killed_at

DATA = {
    "column": 'image_column = "image"',
    "tars": "image_tars = true",
    "folder": 'image_root = "images"\nurl_column = "url"',
}
SOURCES = {
    "column": column.ColumnSource,
    "tars": column.ColumnSource,
    "folder": files.FileSource,
}
MODELS = (  # tables of vectors of several models
    image_vectors("one-00000000", 4),
    image_vectors("other-00000000", 4),
    LanceTable(copy_vectors_name("copies-00000000"), image_vectors("", 4).schema),
)

COMPLETE = Stamp({"clip": "1"}, {})

Images = dict[int, bytes | None]  # by the number of a caption; None: the image is missing
Rows = dict[str, dict[str, Any]]  # by caption


@dataclass(frozen=True)
class World:
    """A folder with shards of images, in one of the ways in which they lie on a machine."""

    kind: str
    folder: Path
    study: Study

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    def write(self, shard: str, images: Images) -> None:
        rows = [
            {
                "key": f"{n}",
                "url": f"{n}.png" if self.kind == "folder" else f"https://host.example/{n}.png",
                "caption": f"thing {n}",
                **({"image": image} if self.kind == "column" else {}),
            }
            for n, image in images.items()
        ]
        pq.write_table(pa.Table.from_pylist(rows), self.folder / f"{shard}.parquet")
        there = {f"{n}.png": image for n, image in images.items() if image is not None}
        if self.kind == "tars":
            self._write_tar(shard, there)
        elif self.kind == "folder":
            (self.folder / "images").mkdir(exist_ok=True)
            for n in images:
                (self.folder / f"images/{n}.png").unlink(missing_ok=True)
            for name, image in there.items():
                (self.folder / "images" / name).write_bytes(image)

    def _write_tar(self, shard: str, images: dict[str, bytes]) -> None:
        with tarfile.open(self.folder / f"{shard}.tar", "w") as tar:
            for name, image in images.items():
                member = tarfile.TarInfo(name)
                member.size = len(image)
                tar.addfile(member, io.BytesIO(image))

    def files(self) -> list[Path]:
        return [p for p in self.folder.rglob("*.*") if p.suffix in (".parquet", ".tar", ".png")]

    def refresh(self, *stages: str, lake: Lake | None = None) -> list[str]:
        """Run those that are stale; returns them."""
        lake, ran = lake or self.lake, []
        with lake.lock():
            for name in stages or ("filter", "fetch"):
                if STAGES[name].why_stale(self.study, lake):
                    ran.append(name)
                    STAGES[name].run(self.study, lake)
        return ran

    def rows(self, lake: Lake | None = None) -> Rows:
        """The rows of `images` of the samples that there are."""
        lake = lake or self.lake
        samples = pq.read_table(lake.samples, columns=["sample_id", "caption"]).to_pylist()
        captions = {row["sample_id"]: row["caption"] for row in samples}
        rows = VectorStore(lake.vectors).dataset("images").to_table().to_pylist()
        assert len({row["sample_id"] for row in rows}) == len(rows)
        return {captions[r["sample_id"]]: r for r in rows if r["sample_id"] in captions}

    def is_as_new(self) -> bool:
        """Whether the images are those of a lake that is made now."""
        lake = Lake(self.folder / "new")
        self.refresh(lake=lake)
        new = self.rows(lake)
        shutil.rmtree(lake.root)
        return without_time(self.rows()) == without_time(new)

    def recorded(self) -> str:
        recorded = STAGES["fetch"].recorded(self.lake, self.study)
        assert recorded is not None
        return recorded[1]

    def pretend_vectors(self) -> None:
        """A vector of each image by several models, whose tables are complete."""
        store = VectorStore(self.lake.vectors)
        ids = sorted(row["sample_id"] for row in self.rows().values() if row["status"] == "ok")
        for table in MODELS:
            vectors = np.eye(len(ids), 4, dtype=np.float32) + 1
            store.append(table, vector_table(ids, vectors))
            write_stamp(store, table.name, COMPLETE)


def without_time(rows: Rows) -> Rows:
    return {caption: {**row, "fetched_at": None} for caption, row in rows.items()}


def fetched_again(before: Rows, after: Rows) -> set[str]:
    return {c for c in before if c in after and after[c]["fetched_at"] != before[c]["fetched_at"]}


@pytest.fixture(params=DATA)
def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_study: Callable[..., Study],
    draw: Callable[..., bytes],
) -> World:
    """Two shards of three images; one is no image and one is missing."""
    made = World(request.param, tmp_path, make_study(data=DATA[request.param]))
    made.write("a", {0: draw(0), 1: draw(1), 2: b"no image"})
    made.write("b", {3: draw(3), 4: None, 5: draw(5)})
    assert made.refresh() == ["filter", "fetch"]
    return made


def test_a_touch_and_the_same_bytes_again_run_nothing(
    world: World, draw: Callable[..., bytes]
) -> None:
    for file in world.files():
        os.utime(file, ns=(0, 0))
    assert world.refresh() == []
    world.write("a", {0: draw(0), 1: draw(1), 2: b"no image"})
    if world.kind != "tars":  # a tar holds its time of writing, which is 0 here
        assert world.refresh() == []
    before = world.recorded()
    world.refresh()
    assert world.recorded() == before


def test_a_replaced_image_is_fetched_again_and_no_other(
    world: World, draw: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.rows()
    world.pretend_vectors()
    world.write("a", {0: draw(0), 1: draw(100), 2: b"no image"})
    read = count_reads(world.kind, monkeypatch)
    assert "fetch" in world.refresh()
    monkeypatch.undo()
    after = world.rows()
    assert fetched_again(before, after) == {"thing 1"}
    assert after["thing 1"]["image"] == draw(100) and world.is_as_new()
    # Compared are the images of files that changed; the one that is other is read once more.
    compared = ["1.png"] if world.kind == "folder" else ["0.png", "1.png", "2.png"]
    assert sorted(read) == sorted([*compared, "1.png"])
    assert vectors_of(world) == [{"thing 0", "thing 3", "thing 5"}] * len(MODELS)


def count_reads(kind: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are read from now on."""
    source, names = SOURCES[kind], list[str]()
    read = source.read

    async def counting(self: Any, row: Any) -> bytes:
        names.append(row.url.rpartition("/")[2])
        return await read(self, row)

    monkeypatch.setattr(source, "read", counting)
    return names


def vectors_of(world: World) -> list[set[str]]:
    """Whose vectors there are, by model; none of an incomplete table says that it is complete."""
    captions = {row["sample_id"]: caption for caption, row in world.rows().items()}
    store = VectorStore(world.lake.vectors)
    found = []
    for table in MODELS:
        ids = store.dataset(table.name).to_table()["sample_id"].to_pylist()
        found.append({captions[sample_id] for sample_id in ids})
        n_ok = sum(row["status"] == "ok" for row in world.rows().values())
        assert len(ids) == n_ok or read_stamp(store, table.name) != COMPLETE
    return found


def test_refused_and_missing_ones_are_fetched_when_their_source_changes(
    world: World, draw: Callable[..., bytes]
) -> None:
    before = world.rows()
    assert before["thing 2"]["status"] == "not_an_image"
    assert before["thing 4"]["status"] == "not_found"
    world.write("a", {0: draw(0), 1: draw(1), 2: draw(2)})
    world.write("b", {3: draw(3), 4: draw(4), 5: draw(5)})
    world.refresh()
    after = world.rows()
    assert fetched_again(before, after) == {"thing 2", "thing 4"}
    assert {row["status"] for row in after.values()} == {"ok"} and world.is_as_new()


def test_an_image_that_is_gone_is_not_found(world: World, draw: Callable[..., bytes]) -> None:
    world.pretend_vectors()
    world.write("a", {0: None, 1: draw(1), 2: None})
    world.refresh()
    statuses = {caption: row["status"] for caption, row in world.rows().items()}
    assert [statuses[f"thing {n}"] for n in range(3)] == ["not_found", "ok", "not_found"]
    assert world.is_as_new()
    assert vectors_of(world) == [{"thing 1", "thing 3", "thing 5"}] * len(MODELS)


@pytest.mark.parametrize("world", ["tars", "folder"], indirect=True)
def test_files_that_hold_it_all_may_be_gone(world: World) -> None:
    for file in world.files():
        if (file.suffix == ".tar" and file.stem == "a") or file.name in ("0.png", "1.png", "2.png"):
            file.unlink()
    assert world.refresh() == ["fetch"]
    assert [row["status"] for row in world.rows().values()].count("not_found") == 4
    assert world.is_as_new()


def test_renamed_shards_are_the_same_images(world: World) -> None:
    before, recorded = world.rows(), world.recorded()
    for file in world.files():
        if file.stem == "a":
            file.rename(file.with_stem("z"))
    assert world.refresh() == ["filter", "fetch"]
    assert world.rows() == before and world.recorded() == recorded
    assert world.refresh() == []


@pytest.mark.parametrize("world", ["column", "tars"], indirect=True)
def test_an_image_may_come_from_another_file_that_did_not_change(
    world: World, draw: Callable[..., bytes]
) -> None:
    world.write("c", {0: draw(77)})
    world.refresh()
    assert world.rows()["thing 0"]["image"] == draw(0)
    for file in world.files():
        if file.stem == "a":
            file.unlink()
    world.refresh()
    assert world.rows()["thing 0"]["image"] == draw(77) and world.is_as_new()


def test_an_image_that_changed_while_its_sample_was_away(
    world: World, draw: Callable[..., bytes]
) -> None:
    world.write("a", {2: b"no image"})
    world.refresh()
    world.write("a", {0: draw(50), 1: draw(1), 2: b"no image"})
    world.refresh()
    assert world.rows()["thing 0"]["image"] == draw(50) and world.is_as_new()


def test_a_file_that_changes_while_images_are_read_is_not_trusted(
    world: World, draw: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[world.kind]
    read = source.read
    now, soon = {7: draw(7), 8: draw(8)}, {7: draw(7), 8: draw(80)}

    async def changing(self: Any, row: Any) -> bytes:
        if row.url.endswith("7.png"):
            world.write("c", soon)
        return await read(self, row)

    world.write("c", now)
    with monkeypatch.context() as patch:
        patch.setattr(source, "read", changing)
        world.refresh()
    assert world.rows()["thing 8"]["image"] in (draw(8), draw(80))
    world.write("c", now)  # the hash of which is the one that was noted
    world.refresh()
    assert world.is_as_new()


@pytest.mark.parametrize("world", ["folder"], indirect=True)  # the others are killed in the same
@pytest.mark.parametrize("is_reverted", [False, True])
@pytest.mark.parametrize("commit", range(8))
def test_a_run_that_was_killed_ends_the_same_when_it_is_repeated(
    world: World,
    draw: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    commit: int,
    is_reverted: bool,
) -> None:
    world.pretend_vectors()
    world.refresh("filter")
    world.write("a", {0: draw(60), 1: draw(1), 2: b"no image"})
    world.refresh("filter")
    with killed_at(commit, monkeypatch):
        world.refresh("fetch")
    if is_reverted:
        world.write("a", {0: draw(0), 1: draw(1), 2: b"no image"})
    world.refresh()
    assert world.rows()["thing 0"]["image"] == draw(0 if is_reverted else 60)
    vectors = vectors_of(world)  # a table that lacks one is not complete
    assert is_reverted or vectors == [{"thing 1", "thing 3", "thing 5"}] * len(MODELS)
    assert world.is_as_new()


def forget_what_0_2_did_not_note(world: World) -> None:
    shutil.rmtree(world.lake.root / "origins")
    store = VectorStore(world.lake.vectors)
    stamp = read_stamp(store, "images")
    assert stamp is not None
    inputs = {name: value for name, value in stamp.inputs.items() if name != "image_files"}
    write_stamp(store, "images", Stamp(stamp.study, inputs))


def test_an_upgrade_compares_each_image_once_and_sees_what_changes_from_then_on(
    world: World, draw: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_what_0_2_did_not_note(world)
    before, recorded, read = world.rows(), world.recorded(), count_reads(world.kind, monkeypatch)
    assert world.refresh() == ["fetch"] and world.recorded() == recorded and read
    assert world.rows() == before
    read.clear()
    assert world.refresh() == [] and not read
    world.write("a", {0: draw(0), 1: draw(100), 2: b"no image"})
    assert "fetch" in world.refresh()
    assert world.rows()["thing 1"]["image"] == draw(100)


def test_what_changed_before_anything_was_noted_is_compared(
    world: World, draw: Callable[..., bytes]
) -> None:
    forget_what_0_2_did_not_note(world)
    before = world.rows()
    world.write("a", {0: draw(0), 1: draw(100), 2: b"no image"})
    world.write("c", {9: draw(9)})
    world.refresh()
    assert fetched_again(before, world.rows()) == {"thing 1"} and world.is_as_new()


@pytest.mark.parametrize("world", ["folder"], indirect=True)
def test_images_from_another_place_are_compared(
    world: World, draw: Callable[..., bytes], make_study: Callable[..., Study]
) -> None:
    other = replace(world, study=make_study(data=DATA["folder"].replace("images", "other")))
    shutil.copytree(world.folder / "images", world.folder / "other")
    (world.folder / "other" / "1.png").write_bytes(draw(100))
    before = world.rows()
    assert other.refresh() == ["filter", "fetch"]
    assert fetched_again(before, other.rows()) == {"thing 1", "thing 2", "thing 4"}, "and failures"
    assert other.is_as_new()


def test_odd_paths_stay_what_they_are(
    tmp_path: Path, make_study: Callable[..., Study], draw: Callable[..., bytes]
) -> None:
    world = World("folder", tmp_path, make_study(data=DATA["folder"]))
    world.write("a", {0: draw(0)})
    (tmp_path / "secret.png").write_bytes(draw(1))
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    odd = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "x/../0.png", "x" * 300]
    rows = [{"url": url, "caption": f"odd {n}"} for n, url in enumerate(odd)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    world.refresh()
    before = world.rows()
    (tmp_path / "secret.png").write_bytes(draw(2))
    (tmp_path / "images" / "0.png").write_bytes(draw(3))
    assert world.refresh() == ["fetch"]
    assert fetched_again(before, world.rows()) == {"thing 0", "odd 3"}
    assert world.is_as_new()


def test_vectors_follow_their_images(
    tmp_path: Path,
    make_study: Callable[..., Study],
    draw: Callable[..., bytes],
    tiny_clip: Path,
    descriptor: Path,
    cluster: str,
) -> None:
    sha256 = hashlib.sha256(descriptor.read_bytes()).hexdigest()
    models = (
        f'[clip]\nmodel = "{tiny_clip}"\n[copy_model]\npath = "{descriptor}"\nsha256 = "{sha256}"\n'
    )
    study = make_study(data=DATA["column"], sections=models)
    study = replace(study, resources=Resources(scheduler=cluster))
    world = World("column", tmp_path, study)
    world.write("a", {n: draw(n) for n in range(4)})
    flow = ("filter", "fetch", "embed")
    assert world.refresh(*flow) == [*flow]
    world.write("a", {0: draw(0), 1: draw(70), 2: b"none", 3: draw(3)})
    assert world.refresh(*flow) == [*flow]
    assert world.refresh(*flow) == []
    new = Lake(tmp_path / "new")
    world.refresh(*flow, lake=new)
    clip_id = find_clip(study).clip_id
    for table in (image_vectors_name(clip_id), caption_vectors_name(clip_id), *copies(new)):
        assert vectors_in(world.lake, table) == vectors_in(new, table)
        assert len(vectors_in(new, table)) == 3


def copies(lake: Lake) -> list[str]:
    return [path.stem for path in lake.vectors.glob("copy_vectors-*.lance")]


def vectors_in(lake: Lake, table: str) -> dict[str, list[float]]:
    rows = VectorStore(lake.vectors).dataset(table).to_table().to_pylist()
    return {row["sample_id"]: np.round(row["vector"], 2).tolist() for row in rows}


@pytest.mark.parametrize("world", ["folder"], indirect=True)
def test_a_disk_that_is_not_mounted_costs_no_image(world: World) -> None:
    """Most files are gone at once: nothing is removed, unless the study lets them go."""
    before = world.rows()
    away = world.folder.parent / "away"
    images = [file for file in world.files() if file.suffix == ".png"]
    away.mkdir()
    for number, file in enumerate(images):
        file.rename(away / str(number))
    with pytest.raises(StageError, match="are gone; nothing was removed; bring them back"):
        world.refresh()
    assert world.rows() == before
    for number, file in enumerate(images):
        (away / str(number)).rename(file)
    assert world.refresh() == []
    assert world.rows() == before
