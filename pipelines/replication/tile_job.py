"""What workers are given that cut pictures into tiles: the pictures, and the model of the tiles."""

from dataclasses import dataclass

from ..clip.copy_model import CopyChoice
from ..clip.model import ClipChoice
from ..core.pinned import PinnedImages
from ..images.tiles import Scale


@dataclass(frozen=True)
class TileShard:
    """Pictures that are cut and embedded together."""

    ids: list[str]
    row_offsets: list[int]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class TileJob:
    """What is the same for every shard: the pinned table of images and the model of their tiles."""

    images: PinnedImages
    choice: ClipChoice | CopyChoice
    batch_size: int
    device: str
    scales: tuple[Scale, ...]  # how their pictures are cut
    workers_per_host: int = 1  # that share its cores
