"""Which words of a prompt bring an image back: by gradients, and by leaving each word out."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import ModelError
from .noise import Probe

BEGIN, WORD, END, PADDING = "begin", "word", "end", "padding"


@dataclass(frozen=True)
class Token:
    """One token, or all the padding behind the end: those that stand for nothing."""

    position: int
    token: str
    kind: str  # begin, word, end or padding
    significance: float  # the norm of the gradient; of padding, that of all its gradients together
    n_tokens: int = 1


@dataclass(frozen=True)
class Word:
    """One word, and D(p) - D(p without it)."""

    word: str
    occlusion: float


@dataclass(frozen=True)
class Probed:
    """What a prompt's words do."""

    prompt: str
    magnitude: float  # D(p)
    tokens: list[Token]
    words: list[Word]


def probe_prompt(probe: Probe, prompt: str) -> Probed:
    """The magnitude of a prompt, the significance of its tokens, and what each word adds.

    Raises:
        ModelError: the prompt has no word, or more tokens than the text encoder reads; or the
            pipeline is none with one text encoder and a U-Net.

    """
    if not probe.is_possible:
        raise ModelError(
            f"{type(probe.pipeline).__name__}: probe reads pipelines with one text encoder and a "
            "U-Net, such as those of Stable Diffusion 1 and 2"
        )
    words = prompt.split()
    if not words:
        raise ModelError("the prompt is empty: there is no word to leave out; give it some")
    _check_length(probe, prompt)
    magnitude = probe.magnitude(prompt)
    without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
    occlusion = [magnitude - probe.magnitude(text) for text in without]
    found = [Word(word, left_out) for word, left_out in zip(words, occlusion, strict=True)]
    return Probed(prompt, magnitude, _tokens(probe, prompt), found)


def _check_length(probe: Probe, prompt: str) -> None:
    tokenizer = probe.pipeline.tokenizer
    n_tokens, limit = len(tokenizer(prompt).input_ids), tokenizer.model_max_length
    if n_tokens > limit:
        raise ModelError(
            f"the prompt has {n_tokens} tokens, begin and end included: the text encoder reads "
            f"{limit} and cuts the rest; say it in fewer words"
        )


def _tokens(probe: Probe, prompt: str) -> list[Token]:
    """The tokens of the prompt, the begin and the end; then the padding as one."""
    tokenizer = probe.pipeline.tokenizer
    ids = tokenizer(prompt).input_ids
    names = [tokenizer.decode([number]) for number in ids]
    kinds = [BEGIN, *[WORD] * (len(ids) - 2), END]
    significance = probe.significance(prompt)
    tokens = [
        Token(position, name, kind, float(significance[position]))
        for position, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    padding = significance[len(ids) :]
    if len(padding):
        together = float(np.linalg.norm(padding))
        tokens.append(Token(len(ids), "", PADDING, together, len(padding)))
    return tokens
