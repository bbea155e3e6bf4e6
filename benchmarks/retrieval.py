"""clip-retrieval's own inference beside ours: its reader and its mapper, with the same weights.

It asks for numpy < 2, pandas < 3, pyarrow < 16 and open_clip < 3, and runs with those of today. The
package of its tokenizer needs `pkg_resources`, which setuptools has below 81; torch asks for 77. So
in an environment of its own:

    pip install -e '.[embed]' psutil 'setuptools>=77,<81' braceexpand faiss-cpu fire flask \
        flask-cors flask-restful h5py pandas prometheus-client sentence-transformers wandb
    pip install --no-deps all-clip clip-anytorch clip-retrieval
"""

import io
import json
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from memtriggers.pipelines.clip.model import Clip, ClipChoice

_DECODERS = 4  # processes that read and decode: its default


def open_clip_retrieval(
    choice: ClipChoice, clip: Clip, images: list[bytes], folder: Path, batch_size: int, threads: int
) -> Callable[[], NDArray[np.float16]] | None:
    """What embeds the images, (n, d) of unit norm; None, and a line why, where it is not installed.

    Args:
        choice: what open_clip is to make.
        clip: the same, loaded: its weights and its preprocessing are those that are run.
        images: encoded WebP, which it reads as files.
        folder: an empty one for these.
        batch_size: of its reader.
        threads: torch's.

    """
    if find_spec("clip_retrieval") is None:
        click.echo("clip-retrieval is left out: not installed; benchmarks/retrieval.py says how")
        return None
    with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
        from clip_retrieval.clip_inference.reader import FilesReader
        from clip_retrieval.clip_inference.runner import Sampler

        mapper = _load_mapper(_name(choice, folder), clip)
    for number, image in enumerate(images):
        (folder / f"{number:08}.webp").write_bytes(image)

    def embed() -> NDArray[np.float16]:
        torch.set_num_threads(threads)
        reader = FilesReader(
            Sampler(0, 1),
            clip.preprocess,
            clip.tokenizer,
            str(folder),
            batch_size,
            _DECODERS,
            enable_text=False,
        )
        with warnings.catch_warnings(action="ignore"):  # that there is no GPU to pin memory for
            return np.concatenate([mapper(batch)["image_embs"] for batch in reader])

    return embed


def _load_mapper(name: str, clip: Clip) -> Any:
    """Its mapper for images, with our weights in evaluation mode.

    It leaves a model in training mode, and runs it twice to warm it up: batch norms, as the bundled
    model has them, then hold the statistics of its red picture, and use those of each batch.
    """
    from all_clip import load_clip
    from clip_retrieval.clip_inference.mapper import ClipMapper

    # TorchScript, its default on GPUs, makes it no faster on CPU, and all_clip itself turns it off.
    said = {"clip_model": name, "use_jit": False, "warmup_batch_size": 1, "clip_cache_path": None}
    mapper = ClipMapper(
        enable_image=True,
        enable_text=False,
        enable_metadata=False,
        use_mclip=False,
        mclip_model="",
        **said,
    )
    model, _, _ = load_clip(**said)  # the one that the mapper has: it is kept by these
    model.inner_model.load_state_dict(clip.model.state_dict())
    model.eval()
    return mapper


def _name(choice: ClipChoice, folder: Path) -> str:
    """What all_clip calls the model: it takes a name of open_clip's and a file, but no folder."""
    if not choice.model.startswith("local-dir:"):
        return f"open_clip:{choice.model}/{choice.weights}"
    import open_clip

    config = Path(choice.model.removeprefix("local-dir:")) / "open_clip_config.json"
    named = folder / f"{choice.clip_id}.json"
    named.write_text(json.dumps(json.loads(config.read_text("utf-8"))["model_cfg"]), "utf-8")
    open_clip.add_model_config(named)
    return f"open_clip:{choice.clip_id}/{choice.weights}"
