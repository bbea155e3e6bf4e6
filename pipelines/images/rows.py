"""What an image is asked of: a row of the samples, and anything that can read its bytes."""

from typing import NamedTuple, Protocol

READS_AT_ONCE = 16  # of local images: enough to keep the decoding threads busy


class Row(NamedTuple):
    """A sample whose image is wanted."""

    sample_id: str
    url: str | None
    source_file: str
    source_row: int


class ImageSource(Protocol):
    """Reads the bytes of one image; at most `at_once` reads at the same time."""

    at_once: int

    async def read(self, row: Row) -> bytes:
        """The bytes as they are; raises Refused with a status and a reason."""
        ...
