"""The lake: one directory that is the whole state; its paths, its lock, its runs on record."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import LakeError
from .find_lake import refresh_command
from .lake_format import check_format, migrate, require_today
from .masking import mask
from .registry import TABLES
from .runs import Run, read_run

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Lake:
    """Where each stage writes. Every path has exactly one writer.

    A parquet file for each table of the registry, `lake.samples` and so on; and beside them:

    lance/              fetch    images; embed: image_vectors, caption_vectors;
                                 generate: generated_images, generated_vectors;
                                 objects: background_images, object_tiles, object_boxes
    prompts/answers/    prompts  what a language model answered
    exports/, builds/   build    scalar columns of the Lance tables; published databases
    docs/               build    index.html, the documentation of the tables
    report/             report   index.html; images/, where it were too large with them
    evaluations/        evaluate summary.json, curves.parquet, evaluation.html, by model
    decisions/          explore  what a person decided
    runs/               each     one file a run
    format              each     the number of its format: `lake_format.py`
    origins/            fetch, embed: what images and imported vectors were made from
    contents.sqlite     any      hashes of the files that are read; may be removed: `contents.py`
    byte_keys.sqlite    filter   hashes of images that are keys; may be removed: `byte_keys.py`
    robots.sqlite       fetch    hosts' robots.txt; may be removed: `robots.py`
    footers.sqlite      any      rows and schemas of parquet; may be removed: `footers.py`
    rows/               any      what DuckDB does not read, as parquet; may be removed: `copies.py`

    Raises:
        LakeError: this version cannot open the lake: its format is newer, or no number.

    """

    root: Path

    def __init__(self, root: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "root", Path(root))
        check_format(self.root)

    def sql(
        self, query: str, values: Mapping[str, object] | None = None
    ) -> "duckdb.DuckDBPyRelation":
        """Query the published tables, read-only: `Lake("lake").sql("from clusters").df()`.

        The tables of the vector store are there, too. `values` holds the value of each `$name`.
        Each call opens the build that is published then; what it returns stays with that build.

        Raises:
            LakeError: nothing is published yet.
            duckdb.Error: DuckDB refused the query.

        """
        import duckdb

        from ...lance.store import VectorStore
        from .store_views import show_tables

        connection = duckdb.connect(str(self.require_build()), read_only=True)
        show_tables(connection, VectorStore(self.vectors), query)
        return connection.sql(query, params=values)

    def __getattr__(self, name: str) -> Path:
        """The parquet file of a table of the registry: `lake.samples`."""
        table = TABLES.get(name)
        if table is None or table.folder is None:
            raise AttributeError(f"a lake has no table or path {name!r}", name=name, obj=self)
        return self.parquet(table.folder, name)

    def parquet(self, folder: str, table: str) -> Path:
        """The parquet file of a table, e.g. `samples/samples.parquet`."""
        return self.root / folder / f"{table}.parquet"

    @property
    def prompt_answers(self) -> Path:
        """What a language model answered, one file a question."""
        return self.root / "prompts" / "answers"

    @property
    def rows(self) -> Path:
        """Copies of rows that DuckDB does not read, by their contents."""
        return self.root / "rows"

    @property
    def footers(self) -> Path:
        """What parquet files say of themselves; may be removed."""
        return self.root / "footers.sqlite"

    @property
    def byte_keys(self) -> Path:
        """Hashes of rows' images, where these tell them apart; may be removed."""
        return self.root / "byte_keys.sqlite"

    @property
    def robots(self) -> Path:
        """What hosts allow to be asked for, where the study asks them; may be removed."""
        return self.root / "robots.sqlite"

    @property
    def vectors(self) -> Path:
        """The folder of the Lance tables."""
        return self.root / "lance"

    @property
    def exports(self) -> Path:
        """Scalar columns of Lance tables, for dbt."""
        return self.root / "exports"

    @property
    def builds(self) -> Path:
        """The published databases; the last few are kept."""
        return self.root / "builds"

    @property
    def docs(self) -> Path:
        """dbt's documentation of the tables, one page."""
        return self.root / "docs" / "index.html"

    @property
    def current(self) -> Path:
        """A symbolic link to the build that readers open."""
        return self.root / "current.duckdb"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report" / "index.html"

    def evaluation(self, clip_id: str, on: str) -> Path:
        """The folder of one evaluation of a model: on the lake's images, its labels, the sample."""
        return self.root / "evaluations" / clip_id / on

    @property
    def runs(self) -> Path:
        """One JSON file a run."""
        return self.root / "runs"

    def origins(self, table: str) -> Path:
        """What the rows of a Lance table were made from."""
        return self.parquet("origins", table)

    @property
    def contents(self) -> Path:
        """What is remembered of the files that the study names."""
        return self.root / "contents.sqlite"

    @property
    def scratch(self) -> Path:
        """Spilled data and files that are not finished; empty whenever no stage runs."""
        return self.root / "tmp"

    def require_today(self) -> None:
        """Raise LakeError where the lake has an older format: who only reads cannot migrate."""
        require_today(self.root)

    def require_build(self) -> Path:
        """The published database; raises LakeError when there is none yet, or the lake is older."""
        self.require_today()
        if not self.current.exists():
            raise LakeError(
                f"{self.root}: nothing is published yet; run: {refresh_command(self.root)}"
            )
        return self.current

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lake for writing. A lock dies with its process, so that a kill leaves none.

        A new lake gets the number of its format, an older one is migrated.

        Raises:
            LakeError: another process holds it; names its pid. Or its format, see `check_format`.

        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise LakeError(
                    f"{self.root}: process {file.read().strip() or '?'} is writing to this lake; "
                    "wait for it or stop it"
                ) from None
            check_format(self.root)  # another version may have written since it was opened
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            migrate(self.root, write_text)
            self._close_dead_runs()
            yield

    @contextmanager
    def run(self, stage: str, study_hash: str) -> Iterator[Run]:
        """Record one run of a stage, however it ends."""
        now = datetime.now(UTC)
        run = Run(f"{now:%Y%m%dT%H%M%S%f}-{stage}", stage, now.isoformat(), study_hash)
        self._write_run(run)
        try:
            yield run
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            run.end("interrupted" if interrupted else "failed", mask(str(error)))
            with suppress(LakeError):  # the first thing that went wrong is what is said
                self._write_run(run)
            raise
        run.end("ok", None)
        self._write_run(run)

    def recorded_runs(self) -> list[dict[str, Any]]:
        """The record of every run, the first one first."""
        return [read_run(file) for file in sorted(self.runs.glob("*.json"))]

    def _write_run(self, run: Run) -> None:
        file = self.runs / f"{run.run_id}.json"
        try:
            write_text(file, json.dumps(asdict(run)) + "\n")
        except OSError as error:
            raise LakeError(
                f"{file}: {error.strerror}: this run of {run.stage} is not on record; "
                "make room, and run it again"
            ) from None

    def _close_dead_runs(self) -> None:
        # Whoever holds the lock knows that a run which still says "running" was killed.
        for file in self.runs.glob("*.json"):
            run = read_run(file)
            if run["status"] == "running":
                write_text(file, json.dumps(run | {"status": "killed"}) + "\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name to write to; it becomes `path` in one step when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        yield unfinished
        if not unfinished.is_symlink():
            sync(unfinished)
        unfinished.replace(path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before anything points to it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_text(path: Path, text: str) -> None:
    """Write a small text file in one step."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
