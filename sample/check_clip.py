"""Prints the figures of the bundled CLIP's model card: retrieval, copies, clusters, speed."""

import argparse
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.sparse.csgraph import connected_components

from ..pipelines.evaluation.copies import copy_of
from .data import HERE, Array, Sample, read_sample, same_picture
from .model import Model, embed_images, new_model

THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


class Curve(NamedTuple):
    """Pairs in falling order of their cosine."""

    cosine: Array  # (p,) float32
    hits: Array  # (p,) int64, true pairs so far
    n_true: int

    def at_precision(self, precision: float) -> tuple[float, float]:
        """The largest recall with at least this precision, and its threshold."""
        enough = np.flatnonzero(self.hits >= precision * np.arange(1, len(self.hits) + 1))
        if not len(enough):
            return 0.0, 1.0
        return self.hits[enough[-1]] / self.n_true, float(self.cosine[enough[-1]])

    def at_threshold(self, threshold: float) -> tuple[float, float]:
        """Recall and precision of the pairs whose cosine is at least this."""
        n = int(np.searchsorted(-self.cosine, -threshold, side="right"))
        hits = int(self.hits[n - 1]) if n else 0
        return hits / self.n_true, hits / max(n, 1)


def load(folder: Path) -> Model:
    """The model as any user of open_clip loads it."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval().to(memory_format=torch.channels_last)


def unit(vectors: Array) -> Array:
    """Renormalised in float32."""
    wide = vectors.astype(np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def pair_curve(vectors: Array, true: Array, counted: Array) -> Curve:
    """Every pair i < j that counts; true, counted: (n, n) bool."""
    above = np.triu(counted, 1)
    cosine, label = (vectors @ vectors.T)[above], true[above]
    order = np.argsort(-cosine, kind="stable")
    return Curve(cosine[order], np.cumsum(label[order]), int(label.sum()))


def copies_of(pixels: Array, seed: int) -> Array:
    """One copy of every picture, changed as the web changes them; (n, 128, 128, 3) uint8."""
    return np.stack(
        [
            np.asarray(copy_of(Image.fromarray(image), np.random.default_rng([seed, 3, i]), 0.5))
            for i, image in enumerate(pixels)
        ]
    )


def same_series(captions: list[str]) -> Array:
    """(n, n) bool: title and keywords agree, and only the file's name differs."""
    names = [caption.partition(", ")[2] for caption in captions]
    series = np.unique(names, return_inverse=True)[1]
    return np.asarray(series[:, None] == series[None, :])


def copy_curve(originals: Array, copies: Array, alike: Array) -> Curve:
    """Each picture with its copy, against all other pairs but those of alike pictures."""
    true = np.tile(np.eye(len(originals), dtype=bool), (2, 2))
    return pair_curve(np.concatenate([originals, copies]), true, ~np.tile(alike, (2, 2)) | true)


@torch.inference_mode()
def embed_texts(model: Model, folder: Path, captions: list[str]) -> Array:
    """(n, d) float32 of unit norm."""
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(captions)
    return unit(torch.cat([model.encode_text(part) for part in tokens.split(256)]).numpy())


def recall_at(similarity: Array, k: int) -> float:
    """Share of rows whose own column is among their k most similar."""
    rank = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return float((rank < k).mean())


def say_retrieval(images: Array, texts: Array) -> None:
    """Captions to images and back; row i of one belongs to row i of the other."""
    print(f"retrieval among {len(images)} held-out pairs:")
    for k in (1, 5, 10):
        forth, back = recall_at(texts @ images.T, k), recall_at(images @ texts.T, k)
        chance = k / len(images)
        print(
            f"  recall@{k}: text to image {forth:.3f}, image to text {back:.3f}, "
            f"chance {chance:.3f} ({forth / chance:.1f} x)"
        )


def say_copies(name: str, originals: Array, copies: Array, sample: Sample) -> None:
    """How well copies are told from other pictures, of the same series or not."""
    found = recall_at(copies @ originals.T, 1)
    print(f"{name}: {found:.3f} of {len(copies)} copies are closest to their original")
    same = same_picture(sample.pixels, 0.95)
    for what, alike in (
        ("against pictures of other series", same | same_series(sample.captions)),
        ("against all other pictures", same),
    ):
        say_curve(f"  {what}", copy_curve(originals, copies, alike), THRESHOLDS)


def say_curve(name: str, curve: Curve, thresholds: tuple[float, ...] = ()) -> None:
    """Recall at three precisions, and both at given thresholds."""
    found = [(p, *curve.at_precision(p)) for p in (0.99, 0.95, 0.9)]
    shown = ", ".join(f"{recall:.3f} at {p} (cosine {t:.3f})" for p, recall, t in found)
    print(f"{name}: recall at precision {shown}")
    for threshold in thresholds:
        recall, precision = curve.at_threshold(threshold)
        print(f"  cosine {threshold}: recall {recall:.3f}, precision {precision:.4f}")


def say_clusters(vectors: Array) -> None:
    """Connected components of the sample: the largest, and how many images have company."""
    cosine = vectors @ vectors.T
    for threshold in THRESHOLDS:
        labels = connected_components(cosine >= threshold)[1]
        sizes = np.sort(np.bincount(labels))[::-1]
        print(
            f"  cosine {threshold}: largest {sizes[:12].tolist()}, {(sizes > 1).sum()} clusters, "
            f"{sizes[sizes > 1].sum()} images in them, largest holds {sizes[0] / len(labels):.1%}"
        )


def read_tar(path: Path) -> Iterator[Image.Image]:
    """The images of an archive in the order of their names."""
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            content = tar.extractfile(member)
            assert content is not None, f"{path}: {member.name} is not a file"
            yield Image.open(io.BytesIO(content.read())).convert("RGB")


def say_pairs(model: Model, folder: Path) -> None:
    """Labelled pairs of another domain: images.tar, and metadata.parquet with a `work` column."""
    work = np.array(pq.read_table(folder / "metadata.parquet")["work"].to_pylist())
    true = (work[:, None] == work[None, :]) & (work != "")[:, None]
    everything = np.ones_like(true)
    images = [np.asarray(i.resize((128, 128), 3)) for i in read_tar(folder / "images.tar")]
    vectors = embed_images(model, np.stack(images)).numpy()
    say_curve(f"{folder.name}, this model", pair_curve(vectors, true, everything), THRESHOLDS)
    features = folder / "efficientnet_lite0_1280.npy"
    if features.exists():
        curve = pair_curve(unit(np.load(features)), true, everything)
        say_curve(f"{folder.name}, ImageNet tower at 224 pixels", curve)


def say_speed(model: Model, pixels: Array) -> None:
    """Images a second from decoded pixels to vectors."""
    start = time.perf_counter()
    embed_images(model, pixels)
    print(f"{len(pixels) / (time.perf_counter() - start):.0f} images a second")


def say_sample(model: Model, folder: Path, seed: int) -> None:
    """Everything that is measured on the sample."""
    sample = read_sample()
    held_out = np.flatnonzero(sample.held_out)
    kept = sample.at(held_out)
    copies = copies_of(sample.pixels, seed)
    say_speed(model, kept.pixels)
    images, copied = (embed_images(model, pixels).numpy() for pixels in (sample.pixels, copies))
    say_retrieval(images[held_out], embed_texts(model, folder, kept.captions))
    say_copies("copies of held-out pictures", images[held_out], copied[held_out], kept)
    tower = new_model(seed)
    tower.visual.head = torch.nn.Identity()
    before = embed_images(tower, kept.pixels).numpy()
    before_copied = embed_images(tower, copies[held_out]).numpy()
    say_copies("the same with the ImageNet tower", before, before_copied, kept)
    say_copies("copies of all pictures", images, copied, sample)
    print(f"clusters of all {len(images)} pictures:")
    say_clusters(images)


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=HERE / "clip")
    parser.add_argument("--pairs", type=Path, help="folder with images.tar and metadata.parquet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    model = load(arguments.model)
    print(f"loaded in {time.perf_counter() - start:.2f} s")
    if arguments.pairs:
        say_pairs(model, arguments.pairs)
    say_sample(model, arguments.model, arguments.seed)


if __name__ == "__main__":
    main()
