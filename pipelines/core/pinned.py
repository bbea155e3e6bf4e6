"""A table of images at one version: what workers are told to read, and how they read it."""

from dataclasses import dataclass

from ...lance.store import VectorStore
from .errors import LakeError


@dataclass(frozen=True)
class PinnedImages:
    """The images of a Lance table as it was when somebody looked, wherever they are read."""

    path: str  # absolute: workers have working directories of their own
    version: int
    key: str = "sample_id"  # the column by which its rows are known

    def read(self, row_offsets: list[int], ids: list[str]) -> list[bytes]:
        """The encoded images in these rows, whose keys are these ids, in their order.

        Raises:
            LakeError: the table cannot be read where this runs.

        """
        import lance

        try:
            dataset = lance.dataset(self.path, version=self.version)
        except (OSError, ValueError) as error:
            raise LakeError(
                f"{self.path}: a worker cannot read it; the lake must lie where every worker finds "
                f"it under the same path ({str(error).splitlines()[0][:200]})"
            ) from None
        table = dataset.take(row_offsets, columns=[self.key, "image"])
        if table[self.key].to_pylist() != ids:
            raise RuntimeError(f"{self.path}: version {self.version} does not hold these images")
        encoded: list[bytes] = table["image"].to_pylist()
        return encoded


def pin_images(store: VectorStore, name: str, key: str = "sample_id") -> PinnedImages:
    """A table of the store at its newest version.

    Raises:
        LakeError: there is no such table, or it cannot be read.

    """
    return PinnedImages(str(store.path(name).absolute()), store.version(name), key)
