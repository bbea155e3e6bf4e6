"""A real Stable Diffusion pipeline of tiny random components, for tests and benchmarks."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from memtriggers.making.diffusion_model import new_text_encoder, new_tokenizer
from memtriggers.pipelines.captions.clip_tokens import MAX_CLIP_TOKENS

SIDE = 32  # pixels of its images
_WIDTH = 32


def save_tiny_pipeline(folder: Path, seed: int = 0, width: int = _WIDTH) -> Path:
    """Save the pipeline as diffusers does, weights in safetensors; returns the folder.

    `width` is the number of channels of its U-Net's first block.
    """
    torch.manual_seed(seed)
    StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=new_text_encoder(_WIDTH, MAX_CLIP_TOKENS),
        tokenizer=new_tokenizer(MAX_CLIP_TOKENS),
        unet=_unet(width),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def _unet(width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIDE // 2,  # the latents are half as wide as the images
        in_channels=4,
        out_channels=4,
        block_out_channels=(width, 2 * width),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=8,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(_WIDTH, 2 * _WIDTH),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        sample_size=SIDE,
    )


def save_tiny_lora(pipeline: Path, folder: Path, seed: int = 1) -> Path:
    """Save a LoRA of random weights for the U-Net of a pipeline; returns the file."""
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet")
    torch.manual_seed(seed)
    targets = ["to_q", "to_v"]
    unet.add_adapter(LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)
    return folder / "pytorch_lora_weights.safetensors"
