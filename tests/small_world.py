"""What the studies of the paper name, made small: pictures, and a ViT-L-14 of random weights."""

import io
import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file


def painting(work: str | None, number: int) -> bytes:
    """A JPEG of smooth colours; copies of a work differ by what saving them did."""
    seed = number if work is None else sum(work.encode())
    colours = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), np.uint8)
    picture = Image.fromarray(colours).resize((64, 64), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=96 - number % 3)
    return buffer.getvalue()


def save_small_clip(folder: Path) -> Path:
    """ViT-L-14 with 2 layers instead of 24 and a sixteenth of the width, of random weights."""
    config = open_clip.get_model_config("ViT-L-14")
    assert config is not None
    config["embed_dim"] = 48
    config["vision_cfg"] |= {"layers": 2, "width": 64, "head_width": 16}
    config["text_cfg"] |= {"layers": 2, "width": 48, "heads": 3}
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    said = {"model_cfg": config, "preprocess_cfg": preprocess}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder
