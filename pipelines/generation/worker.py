"""What a generating worker does: prompts and seeds become images."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import Any

import pyarrow as pa
import torch
from dask.system import CPU_COUNT
from PIL import Image

from ...lance.tables import BLOCKED, GENERATED_IMAGES, OK
from ..core.errors import ModelError
from ..core.gpus import gpu_of_worker
from .generate_job import GenerateJob, GeneratorChoice, Load, SeedShard, image_id
from .texts import one_line

_PNG_LEVEL = 1  # five times as fast as the usual 6, and a tenth larger
_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once

Picture = Image.Image


class ImageGenerator:
    """A pipeline on one device, and the batch that its memory allows."""

    def __init__(self, choice: GeneratorChoice, load: Load, device: str) -> None:
        self._settings = choice.settings
        self._pipeline = load(choice, device)
        self.batch_size = choice.settings.batch_size

    def images(self, prompts: list[str], seeds: list[int]) -> list[Picture | None]:
        """The image of each prompt and seed; None where the model's safety checker refused it.

        Each seed has a generator of its own, on the CPU: the image depends on nothing else.

        Raises:
            ModelError: memory does not suffice for one image.

        """
        made: list[Picture | None] = []
        while (n := len(made)) < len(seeds):
            end = n + self.batch_size
            batch = self._try_batch(prompts[n:end], seeds[n:end])
            if batch is None:
                self._halve_batch()
            else:
                made += batch
        return made

    def _try_batch(self, prompts: list[str], seeds: list[int]) -> list[Picture | None] | None:
        """The images; None where memory does not suffice for so many."""
        try:
            return self._batch(prompts, seeds)
        except ModelError:
            raise
        except Exception as error:  # whatever the pipeline has against its settings
            if _is_out_of_memory(error):
                return None
            raise ModelError(
                f"generator: {self._settings.model}: generates nothing: {one_line(str(error))}; "
                "look at the width, height, steps, guidance_scale and lora of [generator]"
            ) from None

    def _batch(self, prompts: list[str], seeds: list[int]) -> list[Picture | None]:
        settings = self._settings
        output = self._pipeline(
            prompts,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            width=settings.width,
            height=settings.height,
            output_type="pil",
        )
        if len(output.images) != len(seeds):
            raise ModelError(f"{len(seeds)} prompts went in, {len(output.images)} images came out")
        is_blocked = getattr(output, "nsfw_content_detected", None) or [False] * len(seeds)
        return [None if b else image for image, b in zip(output.images, is_blocked, strict=True)]

    def _halve_batch(self) -> None:
        if self.batch_size == 1:
            settings = self._settings
            raise ModelError(
                f"generator: out of memory with a single image of {settings.width} × "
                f'{settings.height}: lower its width and height, or say dtype = "float16"'
            )
        self.batch_size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    # The allocators of the CPU and of mps raise a RuntimeError that only its text tells apart.
    said = ("can't allocate memory", "MPS backend out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in said)


def generate_shard(shard: SeedShard, job: GenerateJob) -> pa.Table:
    """The rows of `generated_images` of n prompts and seeds, in their order.

    Raises:
        ModelError: the model cannot be loaded, or does not fit into memory.

    """
    with _one_shard_at_a_time:
        torch.set_num_threads(max(1, CPU_COUNT // job.workers_per_host))
        generator = _load_generator(job.choice, job.load, gpu_of_worker(job.device) or "cpu")
        images = generator.images(shard.prompts, shard.seeds)
    with ThreadPoolExecutor(CPU_COUNT) as threads:
        encoded = list(threads.map(_encode_png, images))
    return pa.table(_columns(shard, job.choice.generator_id, images, encoded)).cast(
        GENERATED_IMAGES.schema
    )


def _columns(
    shard: SeedShard,
    generator_id: str,
    images: list[Picture | None],
    encoded: list[bytes | None],
) -> dict[str, Any]:
    keys = zip(shard.prompt_ids, shard.seeds, strict=True)
    return {
        "image_id": [image_id(generator_id, prompt_id, seed) for prompt_id, seed in keys],
        "generator_id": [generator_id] * len(images),
        "prompt_id": shard.prompt_ids,
        "seed": shard.seeds,
        "status": [BLOCKED if image is None else OK for image in images],
        "image": pa.array(encoded, pa.large_binary()),
        "width": pa.array([image and image.width for image in images], pa.int32()),
        "height": pa.array([image and image.height for image in images], pa.int32()),
        "generated_at": [datetime.now(UTC)] * len(images),
    }


@lru_cache(maxsize=1)
def _load_generator(choice: GeneratorChoice, load: Load, device: str) -> ImageGenerator:
    """The pipeline, loaded once in a process."""
    return ImageGenerator(choice, load, device)


def _encode_png(image: Picture | None) -> bytes | None:
    if image is None:
        return None
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()
