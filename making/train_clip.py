"""Trains the bundled CLIP: an ImageNet tower that learns what a copy is, and a text tower."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as functional
from PIL import Image

from ..pipelines.evaluation.copies import copy_of
from .bundled import SAMPLE
from .checkpoints import load_checkpoint, save_checkpoint
from .data import SIZE, Array, Sample, in_batches, read_sample, same_picture, to_input
from .model import Model, export, export_words, new_model, read_weights


@dataclass(frozen=True)
class Recipe:
    """What a training run depends on; the same recipe gives the same model."""

    seed: int = 0
    steps: int = 450
    size: int = 160  # pixels a side
    batch: int = 96  # pictures a step, one copy of each
    strength: float = 1.0  # of the copies; those of the evaluation have 0.5
    temperature: float = 0.05  # of the copy loss, as in SSCD
    margin: float = 0.2  # by which a copy must be closer to its picture than to any other
    memory: float = 0.5  # share that a picture's remembered embedding keeps at each visit
    caption_weight: float = 0.5
    trunk_rate: float = 2e-4
    head_rate: float = 5e-4
    text_rate: float = 1.5e-3
    warm_up: int = 30  # steps
    frozen_blocks: int = 4  # the lower blocks cost most of the time and gain least
    pull: float = 5.0  # towards the ImageNet weights, times the learning rate, a step
    average: float = 0.99  # of the exponential moving average that is saved


# First what a copy is and what captions say; then details, by milder copies: under strong ones two
# Rubik's cubes are one picture, and captions draw the pictures of a series to each other. Last at
# the resolution that the model is used at, which costs half as much again a step.
_MILDER = Recipe(steps=250, strength=0.6, caption_weight=0.1, text_rate=5e-4, warm_up=10)
_LARGER = replace(_MILDER, steps=600, size=SIZE, margin=0.35)
PHASES: tuple[Recipe, ...] = (
    *(Recipe(), _MILDER, _LARGER),
    replace(_LARGER, seed=1, steps=500, strength=0.8),
    replace(_LARGER, seed=2, steps=400, strength=0.8),
)

Weights = Mapping[str, torch.Tensor]


@torch.no_grad()
def start_projection(model: Model, pixels: Array) -> torch.Tensor:
    """Set the projection to the principal directions of the ImageNet features; (n, d) of unit norm.

    Cosines then begin as those of the ImageNet tower, where a random projection blurs them.
    """
    features = in_batches(model.visual.trunk, pixels)
    directions = torch.linalg.eigh(features.T @ features).eigenvectors.T.flip(0)
    projection = model.visual.head.proj.weight
    projection.copy_(directions[: len(projection)])
    return functional.normalize(features @ projection.T, dim=-1)


def shorten(caption: str, rng: np.random.Generator) -> str:
    """The caption, or in half of the cases some of its comma-separated parts in another order."""
    parts = caption.split(", ")
    if rng.random() < 0.5:
        return caption
    kept = rng.permutation(len(parts))[: rng.integers(1, len(parts) + 1)]
    return ", ".join(parts[i] for i in kept)


def copy_loss(
    views: torch.Tensor,
    rows: torch.Tensor,
    memory: torch.Tensor,
    same: torch.Tensor,
    temperature: float,
    margin: float,
) -> torch.Tensor:
    """Instance discrimination: a copy must find its picture among all the remembered ones.

    views: (b, d) of unit norm; rows: (b,) int64; memory: (n, d) of unit norm, without gradient;
    same: (n, n) bool, the pictures that are no negatives. After Wu et al. 2018, arXiv:1805.01978;
    the margin, which makes one threshold fit all pictures, after CosFace, arXiv:1801.09414.
    """
    own = functional.one_hot(rows, len(memory))
    logits = (views @ memory.T - margin * own) / temperature
    return functional.cross_entropy(hide_others(logits, same[rows], rows), rows)


def hide_others(logits: torch.Tensor, same: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Take what is the same as the target, except the target itself, out of a softmax."""
    kept = functional.one_hot(target, logits.shape[1]).bool()
    return logits.masked_fill(same & ~kept, -1e4)


def caption_loss(
    views: torch.Tensor,
    texts: torch.Tensor,
    rows: torch.Tensor,
    memory: torch.Tensor,
    same: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """CLIP's loss in both directions; captions are asked of the whole memory too."""
    target = torch.arange(len(rows))
    logits = scale * texts @ views.T  # (b texts, b images)
    among = same[rows][:, rows]
    losses = [
        functional.cross_entropy(hide_others(logits, among, target), target),
        functional.cross_entropy(hide_others(logits.T, among.T, target), target),
        functional.cross_entropy(hide_others(scale * texts @ memory.T, same[rows], rows), rows),
    ]
    return torch.stack(losses).mean()


class Training:
    """Model, optimiser and memory at one step; everything random comes from (seed, step)."""

    def __init__(self, recipe: Recipe, sample: Sample, checkpoint: Path) -> None:
        self.recipe, self.checkpoint = recipe, checkpoint
        self.pixels = sample.pixels[~sample.held_out]
        self.captions = [sample.captions[row] for row in np.flatnonzero(~sample.held_out)]
        captions = np.unique(self.captions, return_inverse=True)[1]
        same = same_picture(self.pixels, 0.97)
        self.same = torch.from_numpy(same)
        self.same_caption = torch.from_numpy(same | (captions[:, None] == captions[None, :]))
        self.tokenizer = open_clip.SimpleTokenizer()
        self.model = new_model(recipe.seed)
        self.memory = start_projection(self.model, self.pixels)
        self.origin = {k: p.detach().clone() for k, p in self.trunk().items()}
        self.optimizer = self.new_optimizer()
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.step = 0

    def trunk(self) -> dict[str, torch.nn.Parameter]:
        """The weights of the image tower that are trained."""
        trunk = self.model.visual.trunk
        frozen = [trunk.conv_stem, trunk.bn1, *trunk.blocks[: self.recipe.frozen_blocks]]
        for module in frozen:
            module.requires_grad_(False)
        return {name: p for name, p in trunk.named_parameters() if p.requires_grad}

    def new_optimizer(self) -> torch.optim.AdamW:
        """AdamW with one rate for each part."""
        recipe, model = self.recipe, self.model
        groups = [
            (list(self.trunk().values()), recipe.trunk_rate),
            (list(model.visual.head.parameters()), recipe.head_rate),
            ([*model.text.parameters(), model.logit_scale], recipe.text_rate),
        ]
        return torch.optim.AdamW(
            [{"params": p, "lr": rate, "rate": rate} for p, rate in groups], weight_decay=0.01
        )

    def schedule(self) -> float:
        """Linear warm-up, then a half cosine to zero."""
        recipe = self.recipe
        fall = 0.5 * (1 + np.cos(np.pi * self.step / recipe.steps))
        return float(min(1.0, (self.step + 1) / recipe.warm_up) * fall)

    def pictures(self) -> Array:
        """The rows of this step: every epoch is a new permutation."""
        epoch, i = divmod(self.step, len(self.pixels) // self.recipe.batch)
        order = np.random.default_rng([self.recipe.seed, 1, epoch]).permutation(len(self.pixels))
        return order[i * self.recipe.batch : (i + 1) * self.recipe.batch]

    def advance(self) -> tuple[float, float]:
        """One step; returns the copy loss and the caption loss."""
        recipe, rng = self.recipe, np.random.default_rng([self.recipe.seed, 2, self.step])
        chosen = self.pictures()
        rows = torch.from_numpy(chosen)
        tokens = self.tokenizer([shorten(self.captions[row], rng) for row in chosen])
        pictures = [Image.fromarray(self.pixels[row]) for row in chosen]
        copies = [np.asarray(copy_of(picture, rng, recipe.strength)) for picture in pictures]
        views = functional.normalize(self.model.encode_image(to_input(copies)), dim=-1)
        texts = functional.normalize(self.model.encode_text(tokens), dim=-1)
        scale = self.model.logit_scale.exp().clamp(max=50)
        image_loss = copy_loss(
            views, rows, self.memory, self.same, recipe.temperature, recipe.margin
        )
        text_loss = caption_loss(views, texts, rows, self.memory, self.same_caption, scale)
        self.update(image_loss + recipe.caption_weight * text_loss)
        self.remember(rows, views.detach())
        self.step += 1
        return image_loss.item(), text_loss.item()

    def remember(self, rows: torch.Tensor, views: torch.Tensor) -> None:
        """Mix the new embeddings into the remembered ones."""
        mixed = self.memory[rows].lerp(views, 1 - self.recipe.memory)
        self.memory[rows] = functional.normalize(mixed, dim=-1)

    def update(self, loss: torch.Tensor) -> None:
        """Descend, pull the trunk towards where it came from, and average."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self.schedule()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        with torch.no_grad():
            for name, parameter in self.trunk().items():
                rate = self.optimizer.param_groups[0]["lr"]
                parameter.lerp_(self.origin[name], rate * self.recipe.pull)
            keep = min(self.recipe.average, (self.step + 1) / (self.step + 10))
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "memory": self.memory,
        }
        save_checkpoint(self.checkpoint, asdict(self.recipe), state)

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one; raise if another recipe made it."""
        state = load_checkpoint(self.checkpoint, asdict(self.recipe))
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.average, self.step = state["average"], state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.memory = state["memory"]
        return True

    def follow(self, weights: Weights) -> None:
        """Start from the weights that an earlier phase ended with."""
        self.model.load_state_dict(weights)
        self.average = {name: value.clone() for name, value in weights.items()}
        embeddings = in_batches(self.model.encode_image, self.pixels)
        self.memory = functional.normalize(embeddings, dim=-1)

    def finish(self) -> None:
        """Go on to the last step, saving every 50."""
        start, first = time.monotonic(), self.step
        while self.step < self.recipe.steps:
            copies, captions = self.advance()
            if self.step % 10 == 0:
                pace = (time.monotonic() - start) / (self.step - first)
                print(f"{self.step} {copies:.3f} {captions:.3f} {pace:.2f} s/step", flush=True)
            if self.step % 50 == 0:
                self.save()


def train(
    phases: Sequence[Recipe],
    read: Callable[[int], Sample],
    checkpoints: Path,
    weights: Weights | None = None,
) -> Training:
    """Go through the phases, each with a checkpoint of its own; returns the last.

    Args:
        phases: one after the other, each from the averaged weights of the one before.
        read: the sample at a size.
        checkpoints: a folder; what is there is gone on from.
        weights: what the first phase starts from; None: the ImageNet weights.

    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    for number, recipe in enumerate(phases, 1):
        training = Training(recipe, read(recipe.size), checkpoints / f"phase_{number}.pt")
        if not training.resume() and weights is not None:
            training.follow(weights)
        training.finish()
        weights = training.average
    return training


def main() -> None:
    """Read the command line, train, and export the averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, help="folder outside the tree; resumed if there")
    parser.add_argument("--out", type=Path, default=SAMPLE / "clip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--from", dest="start", type=Path, help="a model: the last phase alone")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    phases, weights = PHASES, None
    if arguments.start is not None:
        phases, weights = PHASES[-1:], read_weights(arguments.start)
    trained = train(phases, read_sample, arguments.checkpoints, weights)
    export(trained.average, arguments.out)
    export_words(trained.captions, arguments.out)


if __name__ == "__main__":
    main()
