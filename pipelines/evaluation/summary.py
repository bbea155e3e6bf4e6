"""What came of an evaluation, and the threshold that it recommends."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ... import __version__
from ..clip.recommended import Recommendation
from .figures import COPIES, LABELLED, SERIES, Measured, recommend
from .retrieval import Retrieval


@dataclass(frozen=True)
class Summary:
    """What came of one evaluation."""

    clip_id: str
    on: str
    """`sample`, `lake` or `labelled`."""
    pictures: str
    """Where they are from, in words."""
    n_pictures: int
    labelled_by: str | None
    """The column or file that says which pairs are true."""
    n_copies: int
    """Of each picture."""
    seed: int
    retrieval: list[Retrieval]
    measured: Measured
    hashes: list[str]
    """The methods that are perceptual hashes."""
    load_seconds: float
    images_per_second: float
    notes: list[str]

    @cached_property
    def recommended(self) -> dict[str, Recommendation | None]:
        """The threshold that each kind of pairs recommends for the model."""
        copies = "copies of" if self.n_copies == 1 else f"{self.n_copies} copies of each of"
        said = {
            COPIES: f"{copies} {self.n_pictures:,} {self.pictures}",
            SERIES: f"{copies} {self.n_pictures:,} {self.pictures}, series among them",
            LABELLED: f"{self.n_pictures:,} {self.pictures} labelled by {self.labelled_by}",
        }
        return {
            pairs: recommend(curve, said[pairs])
            for (pairs, method), curve in self.measured.curves.items()
            if method == self.clip_id
        }

    @property
    def main_figures(self) -> dict[str, Any]:
        """The model's own figures, without its peers and without its curves."""
        return {
            "n_pictures": self.n_pictures,
            "n_copies": self.n_copies,
            "seed": self.seed,
            "retrieval": [asdict(one) for one in self.retrieval],
            "pairs": [asdict(f) for f in self.measured.figures if f.method == self.clip_id],
        }

    @property
    def document(self) -> dict[str, Any]:
        """All of it but the curves, for JSON."""
        names = ("clip_id", "on", "pictures", "n_pictures", "n_copies", "labelled_by", "seed")
        found = {pairs: r and asdict(r) for pairs, r in self.recommended.items()}
        return {
            "memtriggers": __version__,
            **{name: getattr(self, name) for name in names},
            "hashes": self.hashes,
            "recommended": found,
            "retrieval": [asdict(one) for one in self.retrieval],
            "pairs": [asdict(figures) for figures in self.measured.figures],
            "load_seconds": self.load_seconds,
            "images_per_second": self.images_per_second,
            "notes": self.notes,
        }
