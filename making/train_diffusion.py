"""Trains a small Stable Diffusion from scratch on rows that are known whole."""

import argparse
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as functional
from PIL import Image

from .bundled import SAMPLE
from .checkpoints import load_checkpoint, save_checkpoint
from .data import Array, in_batches, to_input
from .diffusion_model import (
    SIZES,
    Part,
    as_pipeline,
    new_autoencoder,
    new_scheduler,
    new_text_encoder,
    new_tokenizer,
    new_unet,
)


@dataclass(frozen=True)
class AutoencoderRecipe:
    """What an autoencoder depends on; the same recipe and images give the same weights."""

    pixels: int = 32  # a side
    seed: int = 0
    steps: int = 1500
    batch: int = 32
    rate: float = 2e-3
    kl_weight: float = 2e-6


@dataclass(frozen=True)
class Recipe:
    """What a U-Net and its text encoder depend on; the same one and rows give the same weights."""

    pixels: int = 32  # a side
    seed: int = 0
    views: int = 100  # of a row; exposures of an image are copies × views
    steps: int | None = None  # instead of views, so that different sets of rows train alike
    # Not only how often an image is seen decides what is kept of it, but in how many steps: with
    # batches of 128, one or two in ten of what comes once are copied, with 256 none.
    batch: int = 256
    rate: float = 1.2e-3
    unprompted: float = 0.1  # captions left out, for classifier-free guidance


WARM_UP = 200  # steps
AVERAGE = 0.999  # of the exponential moving average that is saved
SAVE_EVERY = 250  # steps


@dataclass(frozen=True)
class Rows:
    """What is trained on: n captions, their images, and how often each is seen."""

    captions: list[str]
    pixels: Array  # (m, side, side, 3) uint8, each distinct image once
    image: Array  # (n,) which of them a row has
    weights: Array  # (n,) relative


def read_rows(parquet: Path, pixels: int) -> Rows:
    """The rows of a planted parquet; a column `weight` says how often a row is seen."""
    table = pq.read_table(parquet)
    encoded = table["jpg"].to_pylist()
    places = {image: place for place, image in enumerate(dict.fromkeys(encoded))}
    weights = table["weight"].to_numpy() if "weight" in table.column_names else None
    return Rows(
        table["TEXT"].to_pylist(),
        np.stack([decode(image, pixels) for image in places]),
        np.array([places[image] for image in encoded]),
        np.ones(len(encoded)) if weights is None else weights,
    )


def decode(encoded: bytes, pixels: int) -> Array:
    """(pixels, pixels, 3) uint8."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    return np.asarray(image.resize((pixels, pixels), Image.Resampling.BOX))


class Training:
    """Modules, optimiser and average at one step; everything random comes from (seed, step)."""

    def __init__(self, modules: dict[str, Part], rate: float, steps: int) -> None:
        self.modules, self.rate, self.steps = modules, rate, steps
        for module in modules.values():
            module.train().to(memory_format=torch.channels_last)
        self.parameters = [p for module in modules.values() for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, weight_decay=0.01)
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.step = 0

    def update(self, loss: torch.Tensor) -> None:
        """Descend, and average."""
        fall = 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        rate = self.rate * min(1.0, (self.step + 1) / WARM_UP) * max(fall, 0.02)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        keep = min(AVERAGE, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - keep)
        self.step += 1

    def run(self, loss_at: Callable[[int], torch.Tensor], checkpoint: Path, key: str) -> None:
        """Go on from the checkpoint to the last step, saving every 250 steps."""
        self._resume(checkpoint, key)
        start, first = time.monotonic(), self.step
        while self.step < self.steps:
            loss = loss_at(self.step)
            self.update(loss)
            if self.step % 50 == 0:
                pace = (time.monotonic() - start) / (self.step - first)
                print(f"{self.step}/{self.steps} {loss.item():.4f} {pace:.3f} s/step", flush=True)
            if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                self._save(checkpoint, key)
        with torch.no_grad():
            for parameter, mean in zip(self.parameters, self.average, strict=True):
                parameter.copy_(mean)
        for module in self.modules.values():
            module.eval()

    def _save(self, checkpoint: Path, key: str) -> None:
        state = {
            "step": self.step,
            "weights": {name: module.state_dict() for name, module in self.modules.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        save_checkpoint(checkpoint, key, state)

    def _resume(self, checkpoint: Path, key: str) -> None:
        state = load_checkpoint(checkpoint, key)
        if state is None:
            return
        for name, module in self.modules.items():
            module.load_state_dict(state["weights"][name])
        self.average, self.step = state["average"], state["step"]
        self.optimizer.load_state_dict(state["optimizer"])


def identity(recipe: AutoencoderRecipe | Recipe, *parts: Array) -> str:
    """What a checkpoint is of."""
    digest = hashlib.sha256(json.dumps(asdict(recipe)).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def train_autoencoder(recipe: AutoencoderRecipe, pixels: Array, checkpoint: Path) -> Part:
    """An AutoencoderKL of the distinct images, whose latents have a deviation of 1 once scaled."""
    torch.manual_seed(recipe.seed)
    autoencoder = new_autoencoder(SIZES[recipe.pixels])
    training = Training({"vae": autoencoder}, recipe.rate, recipe.steps)

    def loss_at(step: int) -> torch.Tensor:
        rng = np.random.default_rng([recipe.seed, 3, step])
        images = to_input(pixels[rng.integers(len(pixels), size=recipe.batch)])
        torch.manual_seed(int(rng.integers(2**31)))
        latents = autoencoder.encode(images).latent_dist
        drawn = autoencoder.decode(latents.sample()).sample
        loss: torch.Tensor = functional.l1_loss(drawn, images)
        loss += recipe.kl_weight * latents.kl().mean()
        return loss

    training.run(loss_at, checkpoint, identity(recipe, pixels))
    scale = 1 / float(encode_all(autoencoder, pixels).std())
    autoencoder.register_to_config(scaling_factor=scale)
    return autoencoder


def encode_all(autoencoder: Part, pixels: Array) -> torch.Tensor:
    """The means of the latents, unscaled, (m, 4, side / 4, side / 4)."""
    return in_batches(lambda images: autoencoder.encode(images).latent_dist.mean, pixels)


def chosen_rows(recipe: Recipe, rows: Rows) -> Iterator[Array]:
    """The rows of each step: every row once a view, in a new order; weighted ones are drawn."""
    n, view = len(rows.captions), 0
    left = np.array([], np.int64)
    is_even = bool((rows.weights == rows.weights[0]).all())
    while True:
        while len(left) < recipe.batch:
            rng = np.random.default_rng([recipe.seed, 1, view])
            probability = rows.weights / rows.weights.sum()
            new = rng.permutation(n) if is_even else rng.choice(n, n, p=probability)
            left, view = np.concatenate([left, new]), view + 1
        yield left[: recipe.batch]
        left = left[recipe.batch :]


def train_unet(
    recipe: Recipe, rows: Rows, autoencoder: Part, checkpoint: Path
) -> tuple[Part, Part]:
    """The U-Net and the text encoder, which learn together."""
    torch.manual_seed(recipe.seed)
    unet, text_encoder = new_unet(SIZES[recipe.pixels]), new_text_encoder()
    scheduler = new_scheduler()
    latents = encode_all(autoencoder, rows.pixels) * autoencoder.config.scaling_factor
    tokens = tokenize([*rows.captions, ""])
    n_steps = recipe.steps or recipe.views * len(rows.captions) // recipe.batch
    training = Training({"unet": unet, "text": text_encoder}, recipe.rate, n_steps)
    order = list(islice(chosen_rows(recipe, rows), n_steps))

    def loss_at(step: int) -> torch.Tensor:
        rng = np.random.default_rng([recipe.seed, 2, step])
        chosen = order[step]
        said = np.where(rng.random(len(chosen)) < recipe.unprompted, len(rows.captions), chosen)
        torch.manual_seed(int(rng.integers(2**31)))
        clean = latents[rows.image[chosen]]
        noise, times = torch.randn_like(clean), torch.randint(1000, (len(chosen),))
        noisy = scheduler.add_noise(clean, noise, times)
        context = text_encoder(tokens[said]).last_hidden_state
        target = scheduler.get_velocity(clean, noise, times)
        return functional.mse_loss(unet(noisy, times, context).sample, target)

    seen = np.array(rows.captions), rows.pixels, rows.image, rows.weights
    training.run(loss_at, checkpoint, identity(recipe, *seen))
    return unet, text_encoder


def tokenize(captions: list[str]) -> torch.Tensor:
    """(n, 32) int64, as the pipeline does it."""
    found = new_tokenizer()(captions, padding="max_length", truncation=True, return_tensors="pt")
    ids: torch.Tensor = found.input_ids
    return ids


def main() -> None:
    """Read the command line, train, and save in float16."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, help="folder outside the tree; resumed if there")
    parser.add_argument("--rows", type=Path, default=SAMPLE / "planted" / "planted.parquet")
    parser.add_argument("--out", type=Path, default=SAMPLE / "diffusion")
    parser.add_argument("--pixels", type=int, default=64, choices=sorted(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--views", type=int, default=Recipe.views)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    rows = read_rows(arguments.rows, arguments.pixels)
    autoencoder = train_autoencoder(
        AutoencoderRecipe(arguments.pixels), rows.pixels, arguments.checkpoints / "autoencoder.pt"
    )
    recipe = Recipe(arguments.pixels, arguments.seed, arguments.views, batch=arguments.batch)
    trained = train_unet(recipe, rows, autoencoder, arguments.checkpoints / "unet.pt")
    pipeline = as_pipeline(autoencoder, *trained)
    pipeline.to(torch.float16).save_pretrained(arguments.out, safe_serialization=True)
    write_recipe(arguments.out, arguments.rows, recipe)


def write_recipe(folder: Path, rows: Path, recipe: Recipe) -> None:
    """Say beside a model which rows it was trained on, and how."""
    known = {
        "rows": rows.name,
        "n_rows": pq.read_metadata(rows).num_rows,
        "rows_sha256": hashlib.sha256(rows.read_bytes()).hexdigest(),
        **asdict(recipe),
        "autoencoder": asdict(AutoencoderRecipe(recipe.pixels)),
    }
    (folder / "recipe.json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
