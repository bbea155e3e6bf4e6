"""What embedding workers are given: samples, and where their images and their model are."""

from dataclasses import dataclass

from ..core.pinned import PinnedImages
from .copy_model import CopyChoice
from .model import ClipChoice


@dataclass(frozen=True)
class Job:
    """What is the same for every shard: the pinned table of images, the models, the device."""

    images: PinnedImages
    choice: ClipChoice
    batch_size: int
    device: str
    copies: CopyChoice | None = None
    workers_per_host: int = 1  # that share its cores


@dataclass(frozen=True)
class Shard:
    """Samples that are embedded together; a vector that is there already is not made again."""

    sample_ids: list[str]
    captions: list[str]
    row_offsets: list[int]
    lacks_image_vector: list[bool]
    lacks_caption_vector: list[bool]
    lacks_copy_vector: list[bool]

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def lacks(self) -> tuple[list[bool], list[bool], list[bool]]:
        """What each sample lacks: the vectors of its image, of its caption, of copies."""
        return self.lacks_image_vector, self.lacks_caption_vector, self.lacks_copy_vector
