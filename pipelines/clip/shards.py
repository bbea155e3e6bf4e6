"""What embedding workers are given: samples, and where their images and their model are."""

from dataclasses import dataclass

from .model import ClipChoice


@dataclass(frozen=True)
class Job:
    """What is the same for every shard: the pinned table of images, and the model."""

    images: str
    version: int
    choice: ClipChoice
    batch_size: int


@dataclass(frozen=True)
class Shard:
    """Samples that are embedded together; a vector that is there already is not committed again."""

    sample_ids: list[str]
    captions: list[str]
    row_offsets: list[int]
    lacks_image_vector: list[bool]
    lacks_caption_vector: list[bool]
