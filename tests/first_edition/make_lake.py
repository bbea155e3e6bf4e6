"""Make `lake.tar.xz` with the code of the first edition; see README.md for how to run it."""

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import memtriggers

HERE = Path(__file__).parent
# Linux's name for the folder that a process is in: a path that stays the same wherever that is.
CURRENT = Path("/proc/self/cwd")
MODIFIED = 1_795_737_600  # of every file, a whole second: a stage is known by its files' times
N_COPIES = {"lighthouse": (6, 3), "windmill": (5, 2)}  # rows whose images are nearly the same
N_OTHERS = 7  # rows of each keyword, each with an image of its own
N_SEEN = 8  # generations that were looked at when a threshold was set
WIDTH = 8  # channels of the pipeline's first blocks
TOKENS = 77  # of CLIP
BYTES = 160  # of a prompt: the tokens of the pipeline, whose tokenizer knows bytes alone
TINY_CLIP = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": TOKENS,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}
VOCABULARY = [
    "boat",
    "bird",
    "cloud",
    "tree",
    "house",
    "sea",
    "gull",
    "dog",
    "cat",
    "chair",
    "lamp",
    "bridge",
]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder)
        os.chdir(folder)
        refresh(folder)
        decide()
        refresh(folder)
        remove_earlier_builds(folder)
        pack(folder, HERE / "lake.tar.xz")


def write_study(folder: Path) -> None:
    """All that the study names, and the study."""
    torch.manual_seed(0)
    shutil.copy(HERE / "study.toml", folder)
    rows = make_rows()
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    write_csv(folder / "flags.csv", ("sample_id", "shows"), labels(rows))
    write_csv(
        folder / "prompts.csv",
        ("keyword_set", "cluster", "family", "prompt"),
        [("lighthouse", "", "short", "a lighthouse at night"), ("windmill", "", "long", "mills")],
    )
    (folder / "vocabulary.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    fits = Path(memtriggers.__file__).parent / "sample" / "validation" / "results"
    for file in fits.glob("risk_fit.*"):  # and what it was fitted on
        shutil.copy(file, folder)
    save_clip(folder / "clip")
    save_pipeline(folder / "diffusion")
    for file in folder.rglob("*"):
        os.utime(file, (MODIFIED, MODIFIED))


def make_rows() -> list[dict[str, Any]]:
    """Rows of both keywords: copies, pictures of their own, and what is wrong with real data."""
    rows, picture = [], 0
    for word, copies in N_COPIES.items():
        for n_copies in (*copies, *[1] * N_OTHERS):
            picture += 1
            for copy in range(n_copies):
                said = f"a famous {word} poster" if n_copies > 1 else f"{word} by the sea"
                rows.append(row(len(rows), f"{said} {copy}{picture}", draw(picture, copy)))
    rows += [
        row(len(rows), "a windmill on a coffee cup", draw(90)),
        row(len(rows) + 1, "nothing of either", draw(91)),
        row(len(rows) + 2, "a lighthouse with a flag", draw(92)),
        row(len(rows) + 3, "a lighthouse that is cut off", draw(93)[:90]),
        row(len(rows) + 4, "a windmill without an image", None),
        row(len(rows) + 5, None, draw(94)),
        row(len(rows) + 6, "a lighthouse again", rows[0]["jpg"]),  # the same file
        rows[0],  # the same row
    ]
    return rows


def row(number: int, caption: str | None, image: bytes | None) -> dict[str, Any]:
    url = f"https://host{number % 7}.example/{number}.png"
    return {"SAMPLE_ID": number, "URL": url, "TEXT": caption, "NSFW": "UNLIKELY", "jpg": image}


def draw(picture: int, copy: int = 0) -> bytes:
    """A PNG of smooth colours; copies differ by some noise.

    By enough that no two pairs of copies are as near as each other: rounding would choose one.
    """
    colours = np.random.default_rng(picture).integers(0, 256, (3, 3, 3), np.uint8)
    pixels = np.array(Image.fromarray(colours).resize((32, 32), Image.Resampling.BICUBIC))
    if copy:
        noise = np.random.default_rng([picture, copy]).normal(0, 2 + copy, pixels.shape)
        pixels = np.clip(pixels + noise.round(), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def labels(rows: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    ids = {sample_id(row) for row in rows if row["TEXT"]}
    return [(one, number % 3 == 0) for number, one in enumerate(sorted(ids))]


def sample_id(row: dict[str, Any]) -> str:
    return hashlib.md5(f"{row['URL']}\x1f{row['TEXT']}".encode()).hexdigest()


def write_csv(path: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def save_clip(folder: Path) -> None:
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(TINY_CLIP))
    model = simple(open_clip.create_model(f"local-dir:{folder}", load_weights=False))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def save_pipeline(folder: Path) -> None:
    """A Stable Diffusion whose tokenizer knows bytes alone: CLIP's would be most of the archive."""
    alphabet = sorted(ByteLevel.alphabet())
    special = ("<|startoftext|>", "<|endoftext|>")
    pieces = [*alphabet, *(f"{piece}</w>" for piece in alphabet), *special]
    text = CLIPTextConfig(
        bos_token_id=len(pieces) - 2,
        eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1,
        hidden_size=2 * WIDTH,
        intermediate_size=4 * WIDTH,
        num_attention_heads=2,
        num_hidden_layers=1,
        max_position_embeddings=BYTES,
        vocab_size=len(pieces),
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(WIDTH, 2 * WIDTH),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=2 * WIDTH,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(WIDTH, 2 * WIDTH),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        sample_size=16,
    )
    StableDiffusionPipeline(
        vae=simple(vae),
        text_encoder=simple(CLIPTextModel(text)),
        tokenizer=CLIPTokenizer(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[],
            model_max_length=BYTES,
        ),
        unet=simple(unet),
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


@torch.no_grad()
def simple(model: Any) -> Any:
    """The model with one bit a weight, which an archive holds in little more."""
    for weights in model.parameters():
        if weights.ndim > 1 and weights.std() > 0:
            weights.copy_(torch.where(weights < 0, -1, 1) * weights.std())
    return model


def refresh(folder: Path) -> None:
    """Run the command from the study's own folder, which it reaches by that name."""
    command = [sys.executable, "-m", "memtriggers", "refresh"]
    options = ["--study", str(CURRENT / "study.toml"), "--lake", str(folder / "lake")]
    subprocess.run([*command, *options, "--device", "cpu"], cwd=folder, check=True)


def decide() -> None:
    """Mark a cluster and set a threshold, as a person does in the explorer."""
    from memtriggers.pipelines.decisions import decide  # where the first edition has it
    from memtriggers.pipelines.lake import Lake

    lake = Lake("lake")
    found = lake.sql("from replication_thresholds where metric = 'l2' order by all")
    one = found.to_arrow_table().to_pylist()[0]
    cluster = {"threshold": one["threshold"], "sample_id": one["cluster_id"]}
    decide(lake, "cluster_marks", cluster | {"mark": "remove"})
    kept = {name: one[name] for name in ("metric", "reference", "is_distance")}
    said = {"replication_threshold": 0.3, "bands": [0.3, 0.32], "n_generations": N_SEEN}
    decide(lake, "decided_thresholds", cluster | kept | said)


def remove_earlier_builds(folder: Path) -> None:
    """Keep the published file alone: each takes megabytes that nobody asks for."""
    for build in (folder / "lake" / "builds").iterdir():
        if build != (folder / "lake" / "current.duckdb").resolve():
            build.unlink()


def pack(folder: Path, archive: Path) -> None:
    """The same folder becomes the same archive, byte by byte."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid = MODIFIED, 0, 0
        member.uname = member.gname = ""
        member.mode = 0o644 if member.isfile() else 0o755
        return member

    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=plain)


if __name__ == "__main__":
    main()
