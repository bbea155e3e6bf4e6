"""What workers are given that cut pictures into tiles: the pictures, and the model of the tiles."""

from dataclasses import dataclass

from ..clip.copy_model import CopyChoice
from ..clip.model import ClipChoice
from ..images.tiles import Scale

TileShard = tuple[list[str], list[int]]  # ids, and the rows of the table that hold them


@dataclass(frozen=True)
class TileJob:
    """What is the same for every shard: the pinned table of images and the model of their tiles."""

    images: str
    version: int
    key: str  # the column by which its rows are known
    choice: ClipChoice | CopyChoice
    batch_size: int
    device: str
    scales: tuple[Scale, ...]  # how their pictures are cut
    workers_per_host: int = 1  # that share its cores
