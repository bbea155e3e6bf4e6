"""The small Stable Diffusion that is trained on the planted rows: its parts before training."""

import json
from dataclasses import dataclass
from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..pipelines.captions.clip_tokens import clip_tokenizer

Part = Any  # diffusers and transformers carry no types that are of use

TEXT_WIDTH = 64  # the vocabulary of CLIP alone is 49,408 × width
MAX_TOKENS = 32  # the planted captions have at most 20


@dataclass(frozen=True)
class Size:
    """How large a model is, by the pixels a side of its images."""

    pixels: int
    unet: tuple[int, ...]  # channels of its blocks, the first of which reads no text
    autoencoder: tuple[int, ...] = (32, 48, 64)  # two halvings: latents are a quarter of the side


SIZES = {32: Size(32, (32, 64)), 64: Size(64, (32, 64, 96))}


def new_autoencoder(size: Size) -> Part:
    """Without attention: at this size it costs and gains nothing."""
    n_blocks = len(size.autoencoder)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=size.autoencoder,
        down_block_types=("DownEncoderBlock2D",) * n_blocks,
        up_block_types=("UpDecoderBlock2D",) * n_blocks,
        latent_channels=4,
        sample_size=size.pixels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def new_unet(size: Size) -> Part:
    """Text is read at half of the latents' side and below."""
    n_reading = len(size.unet) - 1
    return UNet2DConditionModel(
        sample_size=size.pixels // 4,
        in_channels=4,
        out_channels=4,
        block_out_channels=size.unet,
        layers_per_block=1,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * n_reading),
        up_block_types=(*["CrossAttnUpBlock2D"] * n_reading, "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers means the number of heads
        norm_num_groups=16,
    )


def new_text_encoder(width: int = TEXT_WIDTH, max_tokens: int = MAX_TOKENS) -> Part:
    """CLIP's architecture, two layers of it."""
    vocabulary = clip_tokenizer().get_vocab()
    return CLIPTextModel(
        CLIPTextConfig(
            bos_token_id=vocabulary["<start_of_text>"],
            eos_token_id=vocabulary["<end_of_text>"],
            pad_token_id=vocabulary["<end_of_text>"],
            hidden_size=width,
            intermediate_size=4 * width,
            num_attention_heads=4,
            num_hidden_layers=2,
            max_position_embeddings=max_tokens,
            vocab_size=len(vocabulary),
        )
    )


def new_tokenizer(max_tokens: int = MAX_TOKENS) -> CLIPTokenizer:
    """CLIP's own, from the merges that the package carries; transformers writes < > as <| |>."""
    model = json.loads(clip_tokenizer().to_str())["model"]
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(piece, piece): number for piece, number in model["vocab"].items()}
    merges: Part = [tuple(pair) for pair in model["merges"]]  # their annotation says text
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_tokens)


def new_scheduler() -> Part:
    """Noise to the very end (arXiv:2305.08891): images on white would come out grey without."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
    )


def as_pipeline(autoencoder: Part, unet: Part, text_encoder: Part) -> Part:
    """The pipeline of trained parts."""
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=new_tokenizer(),
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
