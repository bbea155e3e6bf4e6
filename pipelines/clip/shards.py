"""What embedding workers are given: samples, and where their images and their model are."""

from dataclasses import dataclass

from ..errors import LakeError
from .copy_model import CopyChoice
from .model import ClipChoice


@dataclass(frozen=True)
class Job:
    """What is the same for every shard: the pinned table of images, the models, the device."""

    images: str
    version: int
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

    @property
    def lacks(self) -> tuple[list[bool], list[bool], list[bool]]:
        """What each sample lacks: the vectors of its image, of its caption, of copies."""
        return self.lacks_image_vector, self.lacks_caption_vector, self.lacks_copy_vector


def read_images(shard: Shard, job: Job) -> list[bytes]:
    """The stored images of a shard, in its order.

    Raises:
        LakeError: the table cannot be read where this runs.

    """
    import lance

    try:
        dataset = lance.dataset(job.images, version=job.version)
    except (OSError, ValueError) as error:
        raise LakeError(
            f"{job.images}: a worker cannot read it; the lake must lie where every worker finds it "
            f"under the same path ({str(error).splitlines()[0][:200]})"
        ) from None
    table = dataset.take(shard.row_offsets, columns=["sample_id", "image"])
    if table["sample_id"].to_pylist() != shard.sample_ids:
        raise RuntimeError(f"{job.images}: version {job.version} does not hold these samples")
    images: list[bytes] = table["image"].to_pylist()
    return images
