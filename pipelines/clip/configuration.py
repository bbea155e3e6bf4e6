"""What a model's configuration may say: open_clip makes whatever it names, code of others too."""

import json
import re
from pathlib import Path
from typing import Any

from ..core.errors import ModelError

# The fields that open_clip takes. Whatever stands elsewhere in the file it does not read.
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "multimodal_cfg", "custom_text", "quick_gelu"}
_MODEL |= {"init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "output_dict", "pad_id"}
_BLOCK = {"block_type", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner"}
_BLOCK |= {"scale_attn", "scale_fc", "act_kwargs", "norm_kwargs", "output_tokens", "pool_type"}
_BLOCK |= {"final_ln_after_pool", "ls_init_value", "mlp_ratio", "layers", "width"}
_VISION = _BLOCK | {"head_width", "patch_size", "image_size", "patch_dropout", "pos_embed_type"}
_VISION |= {"attentional_pool", "attn_pooler_queries", "attn_pooler_heads", "no_ln_pre"}
_VISION |= {"timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias"}
_VISION |= {"timm_drop", "timm_drop_path"}
_TEXT = _BLOCK | {"context_length", "vocab_size", "heads", "embed_cls", "pad_id", "eos_id"}
_TEXT |= {"no_causal_mask", "proj_bias", "proj_type", "tokenizer_mode", "tokenizer_kwargs"}
_TEXT |= {"hf_tokenizer_name", "hf_model_name", "hf_model_pretrained", "hf_proj_type"}
_TEXT |= {"hf_pooler_type"}
_PREPROCESS = {"size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"}
# Of what is handed on to a tokenizer or a layer, what says how it works; none of it names a file.
_TOKENIZER = {"clean", "strip_sep_token", "language", "reduction_mask"}

ALLOWED = {
    "model_cfg": _MODEL,
    "model_cfg.vision_cfg": _VISION,
    "model_cfg.text_cfg": _TEXT,
    "model_cfg.multimodal_cfg": _TEXT | {"dim_head", "n_queries", "attn_pooler_heads"},
    "model_cfg.text_cfg.tokenizer_kwargs": _TOKENIZER,
    "model_cfg.multimodal_cfg.tokenizer_kwargs": _TOKENIZER,
    **{
        f"model_cfg.{section}.{layer}_kwargs": keys
        for section in ("vision_cfg", "text_cfg", "multimodal_cfg")
        for layer, keys in (("act", {"approximate"}), ("norm", {"eps", "elementwise_affine"}))
    },
    "preprocess_cfg": _PREPROCESS,
}
_WAY_OUT = "take it out of the file if the model works without it, or name another model"


def check_configuration(path: Path) -> dict[str, Any]:
    """The `text_cfg` of an open_clip_config.json, all of which open_clip may be given.

    Raises:
        ModelError: it cannot be read, or says what may run code that is not open_clip's.

    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    for section, allowed in ALLOWED.items():
        _check_section(path, section, _find(path, said, section), allowed)
    vision, text = (_find(path, said, f"model_cfg.{tower}_cfg") for tower in ("vision", "text"))
    timm_name = vision.get("timm_model_name")
    if timm_name is not None and not re.fullmatch(r"[\w.]+", str(timm_name), re.ASCII):
        raise ModelError(
            f"{path}: vision_cfg.timm_model_name: {timm_name!r}: not the name of a model of timm's "
            "own; name another model"
        )
    _check_text_model(path, text.get("hf_model_name"))
    return text


def _find(path: Path, said: Any, section: str) -> dict[str, Any]:
    """A section of the file, empty where there is none."""
    for key in section.split("."):
        said = {} if not isinstance(said, dict) or said.get(key) is None else said[key]
    if not isinstance(said, dict):
        raise ModelError(f"{path}: {section}: not a table of keys and values; name another model")
    return said


def _check_section(path: Path, section: str, said: dict[str, Any], allowed: set[str]) -> None:
    odd = sorted(said.keys() - allowed)
    if "trust_remote_code" in odd:
        raise ModelError(
            f"{path}: {section}.trust_remote_code: code of a model is never executed; {_WAY_OUT}"
        )
    if odd:
        raise ModelError(f"{path}: {section}.{odd[0]}: not a key that is known here; {_WAY_OUT}")


def _check_text_model(path: Path, name: str | None) -> None:
    """Refuse a text tower of transformers that brings code: transformers would ask whether to."""
    if name is None:
        return
    from transformers import CONFIG_MAPPING, PretrainedConfig

    config, _ = PretrainedConfig.get_config_dict(name)
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING:
        raise ModelError(
            f"{path}: text_cfg.hf_model_name: {name!r} brings code of its own, which is never "
            "executed; name another model"
        )
