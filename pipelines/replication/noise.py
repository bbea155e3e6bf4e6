"""How much a text moves the noise prediction of a diffusion model: Wen's sign of memorization.

Y. Wen et al., "Detecting, Explaining, and Mitigating Memorization in Diffusion Models" (2024): the
prediction with the prompt minus that without it, d = ε(x, e_prompt) - ε(x, e_empty), is larger
where a prompt is memorized.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..core.study import Generator

Norms = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """A Stable Diffusion pipeline, and the noises and first steps that it is asked about."""

    pipeline: Any  # diffusers.StableDiffusionPipeline
    settings: Generator  # its steps, guidance and size
    n_seeds: int  # noises: of the seeds 0, 1, …
    n_steps: int  # first denoising steps

    @property
    def is_possible(self) -> bool:
        """Whether the pipeline has one text encoder and a U-Net, as Stable Diffusion 1 and 2."""
        parts = getattr(self.pipeline, "components", {})
        is_there = [parts.get(name) is not None for name in ("text_encoder", "unet")]
        return all(is_there) and "text_encoder_2" not in parts

    def magnitude(self, prompt: str) -> float:
        """D(p): the mean norm of d over noises and steps."""
        with torch.no_grad():
            text, empty = self.encode(prompt)
            norms = [norm.mean() for norm in self._norms(text, empty)]
        return float(torch.stack(norms).mean())

    def significance(self, prompt: str) -> Norms:
        """The mean norm of the gradient of ‖d‖ with respect to each token's embedding, (tokens,).

        The gradient at each step is that of its own input, as the paper has it: what earlier steps
        owe to the token does not count.
        """
        with torch.no_grad():
            text, empty = self.encode(prompt)
        text.requires_grad_()
        steps = []
        for norms in self._norms(text, empty):
            gradient = [
                torch.autograd.grad(norm, text, retain_graph=True)[0][0].norm(dim=1)
                for norm in norms
            ]
            steps.append(torch.stack(gradient).mean(dim=0))
        found: Norms = torch.stack(steps).mean(dim=0).cpu().double().numpy()  # mps has no float64
        return found

    def encode(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The embeddings of the prompt and of the empty one, (1, tokens, d) each."""
        pipeline = self.pipeline
        text, empty = pipeline.encode_prompt(prompt, pipeline.device, 1, True)
        return text, empty

    def _norms(self, text: torch.Tensor, empty: torch.Tensor) -> Iterator[torch.Tensor]:
        """‖d‖ of each noise, (seeds,), at one step after the other."""
        pipeline, scheduler = self.pipeline, self.pipeline.scheduler
        scheduler.set_timesteps(self.settings.steps, device=pipeline.device)
        latents = self._noise() * scheduler.init_noise_sigma
        n = self.n_seeds
        for step in scheduler.timesteps[: self.n_steps]:
            scaled = scheduler.scale_model_input(latents, step)
            with_text = pipeline.unet(scaled, step, text.expand(n, -1, -1)).sample
            with torch.no_grad():
                without = pipeline.unet(scaled, step, empty.expand(n, -1, -1)).sample
            difference = with_text - without
            yield difference.flatten(1).norm(dim=1)
            guided = without + self.settings.guidance_scale * difference.detach()
            latents = scheduler.step(guided, step, latents).prev_sample

    def _noise(self) -> torch.Tensor:
        """(seeds, 4, height, width) of the latents; each seed's own, made on the CPU."""
        pipeline, settings = self.pipeline, self.settings
        scale = pipeline.vae_scale_factor
        shape = (
            pipeline.unet.config.in_channels,
            settings.height // scale,
            settings.width // scale,
        )
        noises = [
            torch.randn(shape, generator=torch.Generator().manual_seed(seed))
            for seed in range(self.n_seeds)
        ]
        return torch.stack(noises).to(pipeline.device, pipeline.unet.dtype)
