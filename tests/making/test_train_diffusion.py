"""The training of the small Stable Diffusion: resumed, refused, and saved as any pipeline is."""

import dataclasses
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")
diffusers = pytest.importorskip("diffusers", reason="needs memtriggers[generate]")

from memtriggers.making import train_diffusion  # noqa: E402
from memtriggers.making.checkpoints import RecipeError  # noqa: E402
from memtriggers.making.diffusion_model import SIZES, as_pipeline, new_unet  # noqa: E402
from memtriggers.making.train_diffusion import (  # noqa: E402
    AutoencoderRecipe,
    Recipe,
    Rows,
    chosen_rows,
    read_rows,
    train_autoencoder,
    train_unet,
)

N = 12
AUTOENCODER = AutoencoderRecipe(steps=3, batch=4)
RECIPE = Recipe(steps=4, batch=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """Twelve rows of six images."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(N // 2):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8)).save(buffer, "PNG")
        images.append(buffer.getvalue())
    captions = [f"picture {number}" for number in range(N)]
    pq.write_table(pa.table({"TEXT": captions, "jpg": images * 2}), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.fixture
def rows(parquet: Path) -> Rows:
    return read_rows(parquet, 32)


def weights(module: Any) -> list[Any]:
    return [value.clone() for value in module.state_dict().values()]


def same(one: Any, other: Any) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


def train(rows: Rows, folder: Path, **changes: Any) -> tuple[Any, Any, Any]:
    folder.mkdir(exist_ok=True)
    autoencoder = train_autoencoder(AUTOENCODER, rows.pixels, folder / "autoencoder.pt")
    recipe = dataclasses.replace(RECIPE, **changes)
    return autoencoder, *train_unet(recipe, rows, autoencoder, folder / "unet.pt")


def test_each_distinct_image_is_kept_once(rows: Rows) -> None:
    assert rows.pixels.shape == (N // 2, 32, 32, 3)
    assert rows.image.tolist() == [*range(N // 2)] * 2
    assert rows.weights.tolist() == [1.0] * N


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_another_another(rows: Rows, tmp_path: Path) -> None:
    first, second = train(rows, tmp_path / "a"), train(rows, tmp_path / "b")
    assert all(map(same, first, second))
    third = train(rows, tmp_path / "c", seed=1)
    assert same(first[0], third[0]) and not same(first[1], third[1])


@pytest.mark.slow
def test_a_training_that_was_interrupted_ends_as_one_that_was_not(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train(rows, tmp_path / "undisturbed")
    monkeypatch.setattr(train_diffusion, "SAVE_EVERY", 2)
    update = train_diffusion.Training.update

    def interrupted(self: Any, loss: Any) -> None:
        update(self, loss)
        if "unet" in self.modules and self.step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_diffusion.Training, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(rows, tmp_path / "resumed")
    monkeypatch.setattr(train_diffusion.Training, "update", update)
    resumed = train(rows, tmp_path / "resumed")
    assert all(map(same, undisturbed, resumed))


@pytest.mark.slow
def test_a_checkpoint_of_another_recipe_or_other_rows_is_refused(
    rows: Rows, tmp_path: Path
) -> None:
    train(rows, tmp_path)
    with pytest.raises(RecipeError, match=r"unet\.pt is of another recipe or other rows"):
        train(rows, tmp_path, seed=1)
    other = dataclasses.replace(rows, captions=[*rows.captions[:-1], "another"])
    with pytest.raises(RecipeError, match="name another file"):
        train(other, tmp_path)


def test_every_row_is_seen_once_a_view_and_weighted_ones_as_often_as_they_weigh(
    rows: Rows,
) -> None:
    seen = np.concatenate(list(islice(chosen_rows(RECIPE, rows), 3 * N // RECIPE.batch)))
    assert np.bincount(seen).tolist() == [3] * N
    heavy = dataclasses.replace(rows, weights=np.r_[3.0, np.ones(N - 1)])
    seen = np.concatenate(list(islice(chosen_rows(RECIPE, heavy), 500 * N // RECIPE.batch)))
    counts = np.bincount(seen, minlength=N)
    assert counts[0] / counts[1:].mean() == pytest.approx(3, abs=0.3)


@pytest.mark.slow
def test_what_is_saved_is_a_stable_diffusion_pipeline(rows: Rows, tmp_path: Path) -> None:
    pipeline = as_pipeline(*train(rows, tmp_path / "checkpoints"))
    pipeline.to(torch.float16).save_pretrained(tmp_path / "model", safe_serialization=True)
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(
        tmp_path / "model", dtype=torch.float32
    )
    loaded.set_progress_bar_config(disable=True)
    made = loaded(["picture 1"], num_inference_steps=2, width=32, height=32).images
    assert made[0].size == (32, 32)
    assert loaded.tokenizer.model_max_length == 32
    stored = sum(file.stat().st_size for file in (tmp_path / "model").rglob("*.safetensors"))
    assert stored < 24_000_000
    assert not list((tmp_path / "model").rglob("*.bin"))


@pytest.mark.parametrize("pixels", sorted(SIZES))
def test_a_unet_is_as_small_as_its_budget(pixels: int) -> None:
    n_weights = sum(p.numel() for p in new_unet(SIZES[pixels]).parameters())
    assert n_weights <= {32: 2.5e6, 64: 4.0e6}[pixels]
