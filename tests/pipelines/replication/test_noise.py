"""Wen's magnitude and significance beside a direct computation on a tiny pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.core.study import Generator
from memtriggers.pipelines.replication.noise import Probe
from memtriggers.pipelines.replication.tokens import probe_prompt


@pytest.fixture(scope="module")
def pipeline(tiny_diffusion: Path, one_thread: None) -> Any:
    return StableDiffusionPipeline.from_pretrained(tiny_diffusion)


def make_probe(pipeline: Any, n_seeds: int = 2, n_steps: int = 2) -> Probe:
    settings = Generator("tiny", steps=10, guidance_scale=7.5, width=32, height=32)
    return Probe(pipeline, settings, n_seeds, n_steps)


def direct_differences(pipeline: Any, text: Any, empty: Any, seed: int, steps: int) -> list[Any]:
    """d at each step of one seed, as the paper writes it."""
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(10)
    x = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(seed))
    found = []
    for t in scheduler.timesteps[:steps]:
        d = pipeline.unet(x, t, text).sample - pipeline.unet(x, t, empty).sample
        found.append(d)
        with torch.no_grad():
            guided = pipeline.unet(x, t, empty).sample + 7.5 * d
            x = scheduler.step(guided, t, x).prev_sample
    return found


def embeddings(pipeline: Any, prompt: str) -> Any:
    ids = pipeline.tokenizer(prompt, padding="max_length", max_length=77, return_tensors="pt")
    return pipeline.text_encoder(ids.input_ids)[0].detach()


def test_the_magnitude_is_the_mean_norm_over_noises_and_steps(pipeline: Any) -> None:
    text, empty = embeddings(pipeline, "starry night"), embeddings(pipeline, "")
    norms = [
        float(d.norm().detach())
        for seed in range(3)
        for d in direct_differences(pipeline, text, empty, seed, steps=2)
    ]
    found = make_probe(pipeline, n_seeds=3).magnitude("starry night")
    assert found == pytest.approx(np.mean(norms), rel=1e-4)
    assert make_probe(pipeline, n_seeds=3).magnitude("") == pytest.approx(0.0, abs=1e-5)


def test_the_significance_is_the_gradient_of_the_norm(pipeline: Any) -> None:
    text, empty = embeddings(pipeline, "a starry night"), embeddings(pipeline, "")
    text.requires_grad_()
    gradients = [
        torch.autograd.grad(d.norm(), text)[0][0].norm(dim=1)
        for seed in range(2)
        for d in direct_differences(pipeline, text, empty, seed, steps=2)
    ]
    expected = torch.stack(gradients).mean(dim=0).numpy()
    found = make_probe(pipeline).significance("a starry night")
    assert found == pytest.approx(expected, rel=1e-3)
    probed = probe_prompt(make_probe(pipeline), "a starry night")
    assert [token.kind for token in probed.tokens] == [
        "begin",
        *["word"] * 3,
        "end",
        "padding",
    ]
    assert [token.token for token in probed.tokens[1:4]] == ["a", "starry", "night"]
    assert [t.significance for t in probed.tokens[:5]] == pytest.approx(expected[:5], rel=1e-3)
    padding = probed.tokens[-1]
    assert padding.significance == pytest.approx(np.linalg.norm(expected[5:]), rel=1e-3)
    assert padding.n_tokens == 72


def test_a_word_adds_what_its_absence_takes_away(pipeline: Any) -> None:
    probe = make_probe(pipeline)
    probed = probe_prompt(probe, "starry night")
    assert probed.magnitude == probe.magnitude("starry night")
    assert [(word.word, word.occlusion) for word in probed.words] == [
        ("starry", probed.magnitude - probe.magnitude("night")),
        ("night", probed.magnitude - probe.magnitude("starry")),
    ]


def test_the_tokens_are_read_as_they_are_written(pipeline: Any) -> None:
    tokens = probe_prompt(make_probe(pipeline, 1, 1), "Café van-gogh's").tokens
    assert [token.token for token in tokens if token.kind == "word"] == [
        *("café", "van", "-", "gogh", "'s")
    ]


def test_a_prompt_of_one_token_names_that_token(pipeline: Any) -> None:
    probed = probe_prompt(make_probe(pipeline), "night")
    words = [token for token in probed.tokens if token.kind == "word"]
    assert [token.token for token in words] == ["night"]
    assert words[0].significance > 0
    assert probed.words[0].occlusion == pytest.approx(probed.magnitude, abs=1e-5)


@pytest.mark.filterwarnings("ignore:Token indices sequence length")
def test_what_cannot_be_probed_is_said_in_one_line(pipeline: Any) -> None:
    with pytest.raises(ModelError, match="the prompt is empty"):
        probe_prompt(make_probe(pipeline), "  ")
    with pytest.raises(ModelError, match=r"has 92 tokens.*reads 77"):
        probe_prompt(make_probe(pipeline), "night " * 90)
    without = StableDiffusionPipeline(
        **{name: part for name, part in pipeline.components.items() if name != "text_encoder"},
        text_encoder=None,
        requires_safety_checker=False,
    )
    with pytest.raises(ModelError, match="StableDiffusionPipeline: probe reads pipelines with one"):
        probe_prompt(make_probe(without), "night")
