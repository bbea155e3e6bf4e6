"""Studies with a generator, prompts written by hand, and the generations of a lake read back."""

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES, generated_vectors_name
from memtriggers.pipelines.captions.clip_tokens import MAX_CLIP_TOKENS, count_clip_tokens
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.generation.generate_job import GeneratorChoice
from memtriggers.pipelines.generation.model import load_generator
from memtriggers.pipelines.prompts import OK, OVERLONG, PROMPTS

SMALL = {"width": 32, "height": 32, "steps": 2, "n_seeds": 3}
Key = tuple[str, str, int]  # generator_id, prompt_id, seed
Pixels = npt.NDArray[np.int64]  # (height, width, 3), 0 to 255


def write_study(folder: Path, clip: Path | str, resources: Resources, **settings: Any) -> Study:
    """A study whose `[generator]` has these settings, and small images where they say nothing."""
    lines = [
        '[data]\nparquet = "*.parquet"',
        '[[keyword_set]]\nname = "star"\ninclude = ["star"]',
        f'[clip]\nmodel = "{clip}"\n[generator]',
        *(f"{key} = {json.dumps(value)}" for key, value in (SMALL | settings).items()),
    ]
    (folder / "study.toml").write_text("\n".join(lines), encoding="utf-8")
    return load_study(folder / "study.toml", resources)


def write_prompts(
    lake: Lake, *texts: str, cluster_ids: Sequence[str] = (), threshold: float = 0.9
) -> list[str]:
    """Write prompts as the stage leaves them, each of a cluster; returns their ids."""
    ids = [hashlib.md5(text.encode()).hexdigest() for text in texts]
    rows = [
        {
            "prompt_id": prompt_id,
            "keyword_set": "star",
            "threshold": threshold,
            "cluster_id": cluster_id,
            "family": "short",
            "prompt": text,
            "source": "template",
            "clip_tokens": count_clip_tokens(text),
            "status": OVERLONG if count_clip_tokens(text) > MAX_CLIP_TOKENS else OK,
        }
        for prompt_id, text, cluster_id in zip(ids, texts, cluster_ids or ids, strict=True)
    ]
    lake.prompts.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, PROMPTS), lake.prompts)
    return ids


def read_generated(lake: Lake) -> dict[Key, Pixels]:
    """The pixels of every generation; each is there once, under the id that its key makes."""
    rows = VectorStore(lake.vectors).dataset(GENERATED_IMAGES.name).to_table().to_pylist()
    found = {(r["generator_id"], r["prompt_id"], r["seed"]): decode(r["image"]) for r in rows}
    assert len(found) == len(rows)
    for row in rows:
        key = f"{row['generator_id']}\x1f{row['prompt_id']}\x1f{row['seed']}"
        assert row["image_id"] == hashlib.md5(key.encode()).hexdigest()
    return found


def decode(image: bytes) -> Pixels:
    with Image.open(io.BytesIO(image)) as picture:
        return np.asarray(picture, np.int64)


def read_vectors(study: Study, lake: Lake) -> dict[str, list[float]]:
    """The vectors of the generations by image_id; each is there once."""
    name = generated_vectors_name(find_clip(study).clip_id)
    rows = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
    found = {row["image_id"]: row["vector"] for row in rows}
    assert len(found) == len(rows)
    return found


def load_blocking(choice: GeneratorChoice, device: str) -> Callable[..., Any]:
    """The pipeline of a choice, with a safety checker that blocks whatever it makes."""
    pipeline = load_generator(choice, device)

    def generate(*arguments: Any, **settings: Any) -> Any:
        output = pipeline(*arguments, **settings)
        output.nsfw_content_detected = [True] * len(output.images)
        return output

    return generate
