"""Real open-vocabulary detectors of transformers with tiny random weights, for tests."""

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertTokenizerFast,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    SwinConfig,
)

from memtriggers.making.diffusion_model import new_tokenizer

_SIDE = 64  # pixels that they look at
_TOKENS = 16
_TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": _TOKENS,
}
_VISION = _TEXT | {"image_size": _SIDE, "patch_size": 16}
_VISION.pop("max_position_embeddings")


def save_tiny_owl(folder: Path, version: int = 2, seed: int = 0) -> Path:
    """Save an OWLv2, or an OWL-ViT, as transformers does; returns the folder."""
    torch.manual_seed(seed)
    size = {"height": _SIDE, "width": _SIDE}
    settings = {"text_config": _TEXT, "vision_config": _VISION, "projection_dim": 16}
    if version == 2:
        model = Owlv2ForObjectDetection(Owlv2Config(**settings))
        processor = Owlv2Processor(Owlv2ImageProcessor(size=size), new_tokenizer(_TOKENS))
    else:
        model = OwlViTForObjectDetection(OwlViTConfig(**settings))
        processor = OwlViTProcessor(OwlViTImageProcessor(size=size), new_tokenizer(_TOKENS))
    model.save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    return folder


def save_tiny_dino(folder: Path) -> Path:
    """Save a Grounding DINO, which knows five words; returns the folder."""
    torch.manual_seed(0)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = (*special, ".", "us", "american", "flag", "helmet")
    backbone = SwinConfig(
        image_size=_SIDE,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    layers = {"encoder_layers": 2, "decoder_layers": 2, "num_queries": 10}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    text = BertConfig(vocab_size=len(words), **_TEXT | {"max_position_embeddings": 64})
    model = GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            backbone_config=backbone,
            text_config=text,
            d_model=32,
            max_text_len=32,
            **layers,
            **heads,
        )
    )
    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": _SIDE, "longest_edge": 2 * _SIDE}),
        BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}),
    )
    model.save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    return folder
