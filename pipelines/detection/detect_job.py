"""What detecting workers are given: where the images are, the model, and what to look for."""

from dataclasses import dataclass

from ..core.pinned import PinnedImages

OWL, DINO = ("owlvit", "owlv2"), ("grounding-dino", "mm-grounding-dino")  # model types


@dataclass(frozen=True)
class DetectJob:
    """What is the same for every shard: the pinned table of images, the model, the texts."""

    images: PinnedImages
    folder: str
    detector_id: str  # another one when the files in the folder are others
    texts: tuple[tuple[str, ...], ...]  # of each object
    device: str
    workers_per_host: int = 1  # that share its cores
