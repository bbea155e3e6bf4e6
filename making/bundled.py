"""The folder of the bundled sample, and its encoded images by name."""

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

SAMPLE = Path(__file__).resolve().parents[1] / "sample"
ROWS = SAMPLE / "openclipart.parquet"
IMAGE_COLUMN = "jpg"  # as img2dataset names it, whatever the format: these are WebP


@cache
def read_images() -> dict[str, bytes]:
    """The bytes of every image by its `URL`, 7.5 MB, in the order of the rows."""
    table = pq.read_table(ROWS, columns=["URL", IMAGE_COLUMN])
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
