"""How fast the components of nearly identical vectors are found, beside bare products and peers.

    python benchmarks/cluster.py --vectors 20000

Each contestant runs in a process of its own, one after the other, `--repeats` times around; the
table has the medians. scikit-learn and FAISS take part when they are installed; all must find as
many components. `--spectrum paintings` takes that of real embeddings, where they are at hand.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from memtriggers.benchmarks.memory import peak_megabytes
from memtriggers.pipelines.clusters.forest import components, spanning_forest

Vectors = npt.NDArray[np.float32]
THRESHOLDS = (0.85, 0.9, 0.95)
THRESHOLD = 0.9  # the one that the peers are asked for
BLOCK_ROWS = 2048  # at which bare products are fastest
PAINTINGS = Path(__file__).parents[2] / "shared/data/wild-paintings/sscd_disc_mixup_int8_512.npy"


def make_vectors(n: int, dimensions: int, largest: int, spectrum: str) -> Vectors:
    """Half of the vectors in clusters of heavy-tailed sizes, half alone, in random order.

    Centres lie around a few hundred themes, as pictures do, with a cosine of about 0.36 within one.
    Members are between nearly identical to their centre and, in the tail, outside the threshold.
    """
    random = np.random.default_rng(0)
    sizes = [largest]
    while sum(sizes) < n // 2:
        sizes.append(int(min(largest, 2 * random.random() ** -1.1)))
    group = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), len(sizes) + np.arange(n)])[:n]
    scale = SPECTRA[spectrum](dimensions)
    centres = 0.8 * random.standard_normal((group.max() + 1, dimensions), np.float32) * scale
    themes = 0.6 * random.standard_normal((300, dimensions), np.float32) * scale
    centres += themes[(random.zipf(1.3, len(centres)) - 1) % 300]
    spread = 0.05 + 0.35 * random.random((n, 1), np.float32)
    vectors = centres[group] + spread * random.standard_normal((n, dimensions), np.float32) * scale
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shuffled: Vectors = vectors[random.permutation(n)]
    return shuffled


def spectrum_of_paintings(dimensions: int) -> Vectors:
    """The standard deviation along each principal axis of real SSCD vectors."""
    vectors = np.load(PAINTINGS).astype(np.float64)
    return np.sqrt(np.linalg.eigvalsh(vectors.T @ vectors)[::-1][:dimensions]).astype(np.float32)


SPECTRA: dict[str, Callable[[int], Vectors]] = {
    "paintings": spectrum_of_paintings,
    # Much the same: 40 % of the variance lies in 8 dimensions and 80 % in 128.
    "power-law": lambda dimensions: np.arange(1, dimensions + 1, dtype=np.float32) ** -0.5,
    "isotropic": lambda dimensions: np.ones(dimensions, np.float32),
}


def run_memtriggers(vectors: Vectors) -> int:
    forest = spanning_forest(vectors, [THRESHOLD])
    return len(np.unique(components(forest, len(vectors), THRESHOLD)))


def run_three_thresholds(vectors: Vectors) -> int:
    forest = spanning_forest(vectors, THRESHOLDS)
    found = {t: components(forest, len(vectors), t) for t in THRESHOLDS}
    return len(np.unique(found[THRESHOLD]))


def run_bare_products(vectors: Vectors) -> None:
    buffer = np.empty(BLOCK_ROWS**2, np.float32)
    for top in range(0, len(vectors), BLOCK_ROWS):
        rows = vectors[top : top + BLOCK_ROWS]
        for left in range(top, len(vectors), BLOCK_ROWS):
            columns = vectors[left : left + BLOCK_ROWS]
            block = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(rows, columns.T, out=block)


def run_scikit_learn(vectors: Vectors) -> int:
    cluster = import_module("sklearn.cluster")
    found = cluster.DBSCAN(eps=1 - THRESHOLD, min_samples=1, metric="cosine").fit(vectors)
    return len(set(found.labels_))


def run_faiss(vectors: Vectors) -> int:
    faiss = import_module("faiss")
    n, dimensions = vectors.shape
    index = faiss.IndexFlatIP(dimensions)
    index.add(vectors)
    limits, _, neighbours = index.range_search(vectors, THRESHOLD)
    joined = csr_array((np.ones(len(neighbours), np.int8), neighbours, limits), shape=(n, n))
    return int(connected_components(joined, directed=False)[0])


CONTESTANTS: dict[str, tuple[Callable[[Vectors], int | None], str]] = {
    "memtriggers": (run_memtriggers, "numpy"),
    "memtriggers, 3 thresholds": (run_three_thresholds, "numpy"),
    "bare products of the triangle": (run_bare_products, "numpy"),
    "scikit-learn DBSCAN(cosine)": (run_scikit_learn, "sklearn"),
    "FAISS range_search + components": (run_faiss, "faiss"),
}


def measure(name: str, path: str) -> dict[str, float | None]:
    """Seconds and peak MB of one contestant, in a fresh process."""
    command = [sys.executable, __file__, "--run", name, "--data", path]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float | None] = json.loads(done.stdout)
    return result


def run_one(name: str, path: str) -> None:
    vectors = np.load(path)
    vectors[:64] @ vectors[:64].T  # start BLAS's threads
    started = time.perf_counter()
    n_components = CONTESTANTS[name][0](vectors)
    seconds = time.perf_counter() - started
    result = {"seconds": seconds, "megabytes": peak_megabytes(), "components": n_components}
    click.echo(json.dumps(result))


def print_table(runs: dict[str, list[dict[str, float | None]]]) -> None:
    bare = statistics.median(run["seconds"] or 0 for run in runs["bare products of the triangle"])
    click.echo(f"{'':32} {'seconds':>8} {'× bare':>7} {'peak MB':>8} {'components at 0.9':>18}")
    for name, results in runs.items():
        seconds = statistics.median(run["seconds"] or 0 for run in results)
        peak = max(run["megabytes"] or 0 for run in results)
        n_components = "" if (found := results[0]["components"]) is None else f"{found:,.0f}"
        click.echo(f"{name:32} {seconds:8.2f} {seconds / bare:7.2f} {peak:8.0f} {n_components:>18}")


@click.command()
@click.option("--vectors", default=20_000, show_default=True, help="How many vectors.")
@click.option("--dimensions", default=512, show_default=True, help="Their length.")
@click.option("--largest", default=1_000, show_default=True, help="The largest cluster.")
@click.option(
    "--spectrum", default="power-law", show_default=True, type=click.Choice(list(SPECTRA))
)
@click.option("--repeats", default=3, show_default=True, help="Runs of each contestant.")
@click.option("--run", hidden=True)
@click.option("--data", hidden=True)
def main(
    vectors: int,
    dimensions: int,
    largest: int,
    spectrum: str,
    repeats: int,
    run: str | None,
    data: str | None,
) -> None:
    """Compare the ways to find components of nearly identical vectors."""
    if run is not None and data is not None:
        return run_one(run, data)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "vectors.npy")
        np.save(path, make_vectors(vectors, dimensions, largest, spectrum))
        present = [name for name, (_, package) in CONTESTANTS.items() if find_spec(package)]
        runs: dict[str, list[dict[str, float | None]]] = {name: [] for name in present}
        for _ in range(repeats):
            for name in present:
                runs[name].append(measure(name, path))
    click.echo(f"{vectors:,} × {dimensions} float32, {spectrum}, medians of {repeats}")
    print_table(runs)
    found = {one["components"] or 0 for results in runs.values() for one in results} - {0}
    if len(found) > 1:
        raise click.ClickException(f"they disagree: {sorted(found)} components")
    return None


if __name__ == "__main__":
    main()
