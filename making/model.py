"""The bundled CLIP: its configuration, its weights before training, its files."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import load_file, save

from ..pipelines.clip.words_read import WORDS, split_words
from ..pipelines.evaluation.imagenet import imagenet_weights
from .data import SIZE

Model = Any  # open_clip and timm carry no types

_WEIGHTS = "open_clip_model.safetensors"

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 512,
        "custom_text": True,
        "vision_cfg": {
            "timm_model_name": "tf_efficientnet_lite0",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": SIZE,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,  # the vocabulary alone is 3.2 million weights
            "heads": 4,
            "layers": 3,
        },
    },
    "preprocess_cfg": {
        "size": SIZE,
        "mode": "RGB",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",  # keeps the sides, which a centre crop would never see
    },
}


def new_model(seed: int) -> Model:
    """The model before training: ImageNet features, and a random text tower."""
    torch.manual_seed(seed)
    model = open_clip.CustomTextCLIP(
        **{k: v for k, v in CONFIG["model_cfg"].items() if k != "custom_text"}
    )
    weights = {k: v for k, v in imagenet_weights().items() if not k.startswith("classifier")}
    missing = model.visual.trunk.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    return model.eval().to(memory_format=torch.channels_last)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """What `export` wrote, in float32."""
    weights = load_file(folder / _WEIGHTS)
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def export(weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write what open_clip reads as local-dir:FOLDER, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    contiguous = {name: value.contiguous() for name, value in half.items()}
    (folder / _WEIGHTS).write_bytes(save(contiguous))
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")


def export_words(captions: Iterable[str], folder: Path) -> None:
    """Write the words that at least three captions say: of others the text tower knows nothing."""
    n_captions = Counter(word for caption in captions for word in set(split_words(caption)))
    known = sorted(word for word, n in n_captions.items() if n >= 3)
    (folder / WORDS).write_text("\n".join(known) + "\n", encoding="utf-8")
