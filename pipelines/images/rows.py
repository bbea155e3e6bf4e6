"""What an image is asked of: a row of the samples, anything that can read its bytes, or why not."""

from typing import NamedTuple, Protocol

READS_AT_ONCE = 16  # of local images: enough to keep the decoding threads busy


class Refused(Exception):
    """Why a sample has no image: a status of the table `images`, and the detail."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


class Later(Refused):
    """Refused for now: the row is to be read again after so many seconds.

    Where the wait is of the host, it asks for it: nothing else of it is to be read before.
    """

    def __init__(self, status: str, reason: str, wait: float, *, is_of_host: bool) -> None:
        super().__init__(status, reason)
        self.wait, self.is_of_host = wait, is_of_host


class Row(NamedTuple):
    """A sample whose image is wanted."""

    sample_id: str
    url: str | None
    source_file: str
    source_row: int


class Cell(NamedTuple):
    """What a column holds of an image: its bytes, or the path of its file."""

    data: bytes | None
    path: str | None


class ImageSource(Protocol):
    """Reads the bytes of one image; at most `at_once` reads at the same time."""

    at_once: int

    async def read(self, row: Row) -> bytes:
        """The bytes as they are; raises Refused with a status and a reason."""
        ...
