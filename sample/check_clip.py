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

from .augment import copy_of
from .train_clip import (
    HERE,
    Array,
    Model,
    Sample,
    embed_images,
    new_model,
    read_sample,
    same_picture,
)


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


def copy_curve(model: Model, pixels: Array, seed: int) -> Curve:
    """Each picture and one copy of it; pairs of the sample's own near-duplicates do not count."""
    copies = [
        np.asarray(copy_of(Image.fromarray(image), np.random.default_rng([seed, 3, i])))
        for i, image in enumerate(pixels)
    ]
    vectors = embed_images(model, np.concatenate([pixels, np.stack(copies)])).numpy()
    true = np.tile(np.eye(len(pixels), dtype=bool), (2, 2))
    return pair_curve(vectors, true, ~np.tile(same_picture(pixels, 0.9), (2, 2)) | true)


@torch.inference_mode()
def embed_texts(model: Model, folder: Path, captions: list[str]) -> Array:
    """(n, d) float32 of unit norm."""
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(captions)
    return unit(torch.cat([model.encode_text(part) for part in tokens.split(256)]).numpy())


def recall_at(similarity: Array, k: int) -> float:
    """Share of rows whose own column is among their k most similar."""
    rank = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return float((rank < k).mean())


def say_retrieval(model: Model, folder: Path, sample: Sample) -> None:
    """Held-out captions to held-out images and back."""
    rows = np.flatnonzero(sample.held_out)
    images = embed_images(model, sample.pixels[rows]).numpy()
    texts = embed_texts(model, folder, [sample.captions[row] for row in rows])
    print(f"held-out pairs: {len(rows)}")
    for k in (1, 5, 10):
        forth, back = recall_at(texts @ images.T, k), recall_at(images @ texts.T, k)
        chance = k / len(rows)
        print(
            f"  recall@{k}: text to image {forth:.3f}, image to text {back:.3f}, "
            f"chance {chance:.3f} ({forth / chance:.1f} x)"
        )


def say_curve(name: str, curve: Curve, thresholds: tuple[float, ...] = ()) -> None:
    """Recall at three precisions, and both at given thresholds."""
    found = [(p, *curve.at_precision(p)) for p in (0.99, 0.95, 0.9)]
    shown = ", ".join(f"{recall:.3f} at {p} (cosine {t:.3f})" for p, recall, t in found)
    print(f"{name}: recall at precision {shown}")
    for threshold in thresholds:
        recall, precision = curve.at_threshold(threshold)
        print(f"  cosine {threshold}: recall {recall:.3f}, precision {precision:.4f}")


def say_clusters(vectors: Array, thresholds: tuple[float, ...]) -> None:
    """Connected components of the sample: the largest, and how many images have company."""
    cosine = vectors @ vectors.T
    for threshold in thresholds:
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
    say_curve(f"{folder.name}, this model", pair_curve(vectors, true, everything), (0.8, 0.85, 0.9))
    features = folder / "efficientnet_lite0_1280.npy"
    if features.exists():
        curve = pair_curve(unit(np.load(features)), true, everything)
        say_curve(f"{folder.name}, ImageNet tower at 224 pixels", curve)


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
    sample = read_sample()
    say_retrieval(model, arguments.model, sample)
    held_out, thresholds = sample.pixels[sample.held_out], (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    curve = copy_curve(model, held_out, arguments.seed)
    say_curve("copies of held-out images", curve, thresholds)
    start_model = new_model(arguments.seed)
    start_model.visual.head = torch.nn.Identity()
    say_curve("  ImageNet tower at 128 pixels", copy_curve(start_model, held_out, arguments.seed))
    say_curve("copies of all images", copy_curve(model, sample.pixels, arguments.seed), thresholds)
    start = time.perf_counter()
    vectors = embed_images(model, sample.pixels).numpy()
    pace = len(vectors) / (time.perf_counter() - start)
    print(f"clusters of all {len(vectors)} images ({pace:.0f} images a second):")
    say_clusters(vectors, thresholds)
    if arguments.pairs:
        say_pairs(model, arguments.pairs)


if __name__ == "__main__":
    main()
