"""One file of rows, and how its columns are read in SQL."""

from dataclasses import dataclass

from ..core.quoting import identifier, literal
from ..formats.registry import PARQUET
from .columns import NUMBERS, Column, Columns, is_whole_number

NUMBER = "file_row_number"  # what DuckDB always calls the number of a row
FILE = "memtriggers_file"  # what it is told to call the name of the file

_LIST_IN_TEXT = (
    "coalesce(try_cast(try_cast({0} as json) as varchar[]), try_cast({0} as varchar[]), [{0}])"
)


@dataclass(frozen=True)
class SourceFile:
    """One file of rows: which of its columns is what (None: it has none)."""

    path: str
    format: str
    shape: str
    n_rows: int | None
    """None: not counted yet."""
    columns: Columns
    types: dict[str, str]
    carried: tuple[Column, ...] = ()
    """The columns that the study carries through."""
    prefix: str = ""
    """What the paths in its url column lack before them."""
    copy: str | None = None
    """The parquet that is read in its place."""
    n_lost: int = 0
    """The rows of it that cannot be read."""
    problem: str | None = None
    """Why it cannot be opened, where the study passes over such files."""

    @property
    def needs_copy(self) -> bool:
        """Whether DuckDB does not read it as it is."""
        if self.format != PARQUET:
            return True
        names = [name.lower() for name in self.types]
        is_ours = NUMBER in names or FILE in names
        return self.n_rows != 0 and (is_ours or len(set(names)) < len(names))

    @property
    def select(self) -> str:
        """The columns of `source`, read from this file's own, or from its copy."""
        values = [f"{self._value(role)} as {role}" for role in self.columns]
        values += [
            f"{self._carried(n)} as memtriggers_column_{n}" for n in range(len(self.carried))
        ]
        return ", ".join(values)

    def _read(self, role: str) -> str | None:
        column = self.columns[role]
        if column is None:
            return None
        return identifier(role) if self.copy is not None else column.sql

    def _carried(self, n: int) -> str:
        return f"m{n}" if self.copy is not None else self.carried[n].sql

    def _value(self, role: str) -> str:
        wanted = "double" if role in NUMBERS else "varchar"
        column, value = self.columns[role], self._read(role)
        if column is None or value is None:
            return f"null::{wanted}"
        if column.is_list:
            return f"unnest({self._captions(column, value)})"
        value = f"try_cast({value} as {wanted})"
        if role == "url" and self.prefix:
            return f"{literal(self.prefix)} || {value}"
        if role not in NUMBERS or is_whole_number(column.kind):
            return value
        return f"if(isnan({value}), null, {value})"  # pandas writes a missing number as NaN

    def _captions(self, column: Column, value: str) -> str:
        """The list of captions; one null where there is none, so that the row leaves a trace."""
        if column.is_list_text and self.copy is None:
            value = _LIST_IN_TEXT.format(value)
        return f"case when len({value}) > 0 then {value}::varchar[] else [null::varchar] end"

    @property
    def caption_number(self) -> str:
        """Which caption of its row each is, from 0."""
        column, value = self.columns["caption"], self._read("caption")
        if column is None or value is None or not column.is_list:
            return "0::bigint"
        return f"unnest(range(len({self._captions(column, value)})))"
