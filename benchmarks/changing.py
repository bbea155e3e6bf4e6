"""Small datasets that change from night to night, by chance: what `nights.py` refreshes.

A dataset is a few shards of rows whose pictures follow from numbers: three in a row show the same
design, saved differently. How rows and pictures lie on the disk is its kind (`kinds.py`).
"""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 12  # of a shard, to begin with
_NAMES = ("star", "horse", "cat", "castle", "flower", "ship", "moon", "tree")
_LOOKS = ("red", "blue", "old", "angry", "sleeping")
BROKEN = -1  # the number of what is no picture
_SETS = {
    "everything": 'include = ["*"]',
    "star": 'include = ["star"]',
    "red": 'include = ["red"]\nexclude = ["old"]',
    "animals": 'any = ["horse", "cat"]',
    "phrase": 'include = ["blue moon"]',
}
_THRESHOLDS = ("0.9, 0.95", "0.85, 0.95", "0.95", "0.8, 0.9, 0.97")
_CLOCKS = (315_532_800, 4_102_444_800)  # 1980 and 2100, in seconds


class Row(NamedTuple):
    """A row of a shard; its picture is known by the address."""

    url: str | None
    caption: str | None


class Dataset(ABC):
    """Shards of rows, the study that reads them, and what may happen to both."""

    data = ""  # what the section [data] says of the pictures
    # The section [clip]. In a batch of other neighbours, a vector is rounded otherwise.
    clip = "[clip]\nbatch_size = 1"

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.shards: dict[str, list[Row]] = {}
        self.pictures: dict[str, int] = {}  # by address
        self.sets, self.thresholds = {"everything", "star"}, _THRESHOLDS[0]
        self._n = 0
        for _ in range(3):
            self.add()
        self.write_study()

    def change(self) -> str:
        """Let one thing happen; returns what it was."""
        return self.chance.choice(CHANGES)(self)

    # How it lies on the disk.

    @abstractmethod
    def write(self, shard: str) -> list[Path]:
        """Write the files of a shard, all of them again; returns them."""

    @abstractmethod
    def files(self, shard: str) -> list[Path]:
        """The files that a shard is made of, and no other."""

    def address(self, number: int) -> str:
        """Where the picture of a new row is."""
        return f"https://host{number % 5}.example/{number}.jpg"

    def write_study(self) -> None:
        """Write the study file."""
        sets = "".join(f'[[keyword_set]]\nname = "{s}"\n{_SETS[s]}\n' for s in sorted(self.sets))
        (self.folder / "study.toml").write_text(
            f'[data]\nparquet = "rows/*.parquet"\n{self.data}\n{self.clip}\n'
            f"[cluster]\nthresholds = [{self.thresholds}]\n"
            f"[fetch]\nmax_lost = 1.0\n{sets}",
            encoding="utf-8",
        )

    def write_rows(self, path: Path, shard: str, **columns: list[object]) -> Path:
        """Write the parquet of a shard, with further columns."""
        path.parent.mkdir(exist_ok=True)
        rows = self.shards[shard]
        urls, captions = [row.url for row in rows], [row.caption for row in rows]
        table = {"url": pa.array(urls, pa.string()), "caption": pa.array(captions, pa.string())}
        pq.write_table(pa.table({**table, **columns}), path)
        return path

    def parquet(self, shard: str) -> Path:
        """The rows of a shard."""
        return self.folder / "rows" / f"{shard}.parquet"

    # What happens to it.

    def add(self) -> str:
        """A new shard."""
        shard = f"{self._n:05}"
        self.shards[shard] = []
        self._grow(shard, _ROWS)
        return f"added {shard}"

    def _grow(self, shard: str, number: int) -> None:
        for _ in range(number):
            self._n += 1
            url = self.address(self._n)
            self.pictures[url] = self._n
            self.shards[shard].append(Row(url, self._caption(self._n)))
        self._write(shard)

    def _caption(self, number: int) -> str | None:
        design = random.Random(number // 3)  # copies say the same words, and some more
        said = f"a {design.choice(_LOOKS)} {design.choice(_NAMES)} and a {design.choice(_NAMES)}"
        return None if number % 29 == 0 else f"{said} {self.chance.choice(_LOOKS)} moon {number}"

    def remove(self) -> str:
        """One shard less, where there are enough."""
        shard = self._any()
        if len(self.shards) < 3:
            return self.grow()
        for file in self.files(shard):
            file.unlink()
        del self.shards[shard]
        return f"removed {shard}"

    def rename(self) -> str:
        """The same files under other names."""
        old, new = self._any(), f"{self._n + 500:05}"
        self._n += 1
        before = self.files(old)
        self.shards[new] = self.shards.pop(old)
        for file, name in zip(before, self.files(new), strict=True):
            file.rename(name)
        return f"renamed {old} to {new}"

    def rewrite(self) -> str:
        """The same content, written again."""
        shard = self._any()
        self._write(shard)
        return f"wrote {shard} again"

    def touch(self) -> str:
        """Files whose times a wrong clock has set."""
        shard = self._any()
        for file in self.files(shard):
            self._jump(file)
        return f"touched {shard}"

    def grow(self) -> str:
        """More rows in a file that was there, before those that were."""
        shard = self._any()
        self._grow(shard, 4)
        self.shards[shard] = [*self.shards[shard][-4:], *self.shards[shard][:-4]]
        self._write(shard)
        return f"4 rows more in {shard}"

    def shrink(self) -> str:
        """Fewer rows."""
        shard = self._any()
        if len(self.shards[shard]) < _ROWS:
            return self.grow()
        gone = self.chance.sample(self.shards[shard], 3)
        self.shards[shard] = [row for row in self.shards[shard] if row not in gone]
        self._write(shard)
        return f"{len(gone)} rows less in {shard}"

    def reword(self) -> str:
        """Other captions of the same pictures."""
        shard = self._any()
        rows = self.shards[shard]
        for place in self.chance.sample(range(len(rows)), 2):
            rows[place] = Row(rows[place].url, f"a new {self.chance.choice(_NAMES)} {place}")
        self._write(shard)
        return f"2 other captions in {shard}"

    def repeat(self) -> str:
        """Rows of one shard in another one, too."""
        shard, other = self._any(), self._any()
        self.shards[other] += self.chance.sample(self.shards[shard], 2)
        self._write(other)
        return f"2 rows of {shard} again in {other}"

    def replace(self) -> str:
        """Other pictures under the same addresses."""
        urls = [row.url for row in self.shards[self._any()] if row.url]
        chosen = sorted(self.chance.sample(urls, 3))
        for url in chosen:
            self.pictures[url] = self.chance.randrange(1_000)
        self._write_all_with(chosen)
        return f"other pictures of {', '.join(chosen)}"

    def spoil(self) -> str:
        """A picture that cannot be read any more."""
        urls = [row.url for row in self.shards[self._any()] if row.url]
        chosen = self.chance.choice(urls)
        self.pictures[chosen] = BROKEN
        self._write_all_with([chosen])
        return f"spoilt {chosen}"

    def mend(self) -> str:
        """All pictures that could not be read can be read."""
        broken = [url for url, number in self.pictures.items() if number == BROKEN]
        for url in broken:
            self.pictures[url] = self.chance.randrange(1_000)
        self._write_all_with(broken)
        return f"mended {len(broken)}"

    def change_sets(self) -> str:
        """A keyword set more, or one less."""
        self.sets ^= {self.chance.choice(sorted(_SETS))}
        self.sets = self.sets or {"everything"}
        self.write_study()
        return f"sets {', '.join(sorted(self.sets))}"

    def change_thresholds(self) -> str:
        """Other thresholds."""
        self.thresholds = self.chance.choice(_THRESHOLDS)
        self.write_study()
        return f"thresholds {self.thresholds}"

    def nothing(self) -> str:
        """Nothing."""
        return "nothing"

    def _any(self) -> str:
        return self.chance.choice(sorted(self.shards))

    def _write_all_with(self, urls: list[str]) -> None:
        for shard, rows in self.shards.items():
            if any(row.url in urls for row in rows):
                self._write(shard)

    def _write(self, shard: str) -> None:
        for file in self.write(shard):
            if self.chance.random() < 0.2:
                self._jump(file)

    def _jump(self, file: Path) -> None:
        """Set a file's time as a clock that is wrong would."""
        seconds = self.chance.uniform(*_CLOCKS)
        os.utime(file, (seconds, seconds))


CHANGES: tuple[Callable[[Dataset], str], ...] = (
    *(Dataset.add, Dataset.remove, Dataset.rename, Dataset.rewrite, Dataset.touch, Dataset.grow),
    *(Dataset.shrink, Dataset.reword, Dataset.repeat, Dataset.replace, Dataset.replace),
    *(Dataset.spoil, Dataset.mend, Dataset.change_sets, Dataset.change_thresholds),
    Dataset.nothing,
)
