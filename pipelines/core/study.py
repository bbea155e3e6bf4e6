"""The study: a frozen dataclass tree, each key with what it means, its default and its limits."""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUNDLED_CLIP = "bundled"
EVERYTHING = "*"
PROMPT_FAMILIES = ("keywords", "short", "long", "irrelevant", "without_name")
CAPTION = "caption"  # a family of prompts from a file only: the caption of a training image
METRICS = ("clip", "sscd", "clip_tiles", "sscd_tiles", "l2", "l2_tiles", "webster", "l2_relative")


def key(doc: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A study key: what it means, its default, its limits `min` and `max`, or an `example`.

    One that `is_table` is written as tables of its own, [[section.key]].
    """
    return field(default=default, metadata={"doc": doc, **limits})


def cosine(doc: str, example: Any = 0.9, **limits: Any) -> Any:
    """A key that holds a cosine, or several, and may be left out."""
    return key(doc, None, min=-1.0, max=1.0, example=example, **limits)


def share(doc: str) -> Any:
    """A key that holds the share above which `refresh`, `status` and the report warn."""
    return key(f"share {doc}", 0.5, min=0.0, max=1.0, decides=False)


@dataclass(frozen=True)
class Data:
    """Where the rows and the images are."""

    rows: tuple[str, ...] = key(
        "files, folders or globs, relative to this file: parquet, csv, tsv, jsonl, Arrow, tars, "
        "folders of pictures",
        noted_as="parquet",
    )
    caption_column: str | None = key("when it cannot be told from the names", None, example="TEXT")
    url_column: str | None = key("when it cannot be told from the names", None, example="URL")
    key_column: str | None = key(
        'what tells rows apart in place of a url; "bytes": the bytes of their images',
        None,
        example="id",
        is_late=True,
    )
    columns: tuple[str, ...] = key("further columns that samples keep", (), is_late=True)
    image_column: str | None = key(
        "a column that holds the encoded images themselves; in tars an extension",
        None,
        example="jpg",
    )
    image_root: str | None = key(
        "a folder: the url column holds paths below it", None, example="images"
    )
    vectors: str | None = key(
        "image embeddings (.npy) that exist already, and make images superfluous",
        None,
        example="img_emb_*.npy",
    )
    caption_vectors: str | None = key(
        "those of the captions beside them", None, example="text_emb_*.npy"
    )
    metadata: str | None = key(
        "the parquet beside them, row by row", None, example="metadata_*.parquet"
    )
    image_tars: bool = key(
        "the images are in tars: those of the rows, or beside the parquet", False
    )
    image_folders: bool = key(
        "the images are in img2dataset's folders beside the parquet", False, is_late=True
    )
    on_bad_file: str = key(
        'a file that cannot be opened: "stop", or "skip" it and say so in source_files',
        "stop",
        choices=("stop", "skip"),
        is_late=True,
    )
    max_rejected: float = share("of the matching samples rejected; more is a warning")

    @property
    def has_images_by_row(self) -> bool:
        """Whether each row has an image of its own, whatever its url column says."""
        return self.image_column is not None or self.image_tars or self.image_folders

    @property
    def addresses(self) -> bool | None:
        """What the url column must hold: an address, a path (False), or nothing (None)."""
        return None if self.has_images_by_row else self.image_root is None


@dataclass(frozen=True)
class KeywordSet:
    """Words that a caption must say, may not say, or one of which it must say."""

    name: str = key("the name of the set in every table")
    include: tuple[str, ...] = key('words or phrases that must all be there; ["*"]: all', ())
    any: tuple[str, ...] = key("at least one of these", ())
    exclude: tuple[str, ...] = key("none of these", ())
    parent: str | None = key(
        "the set whose clusters this one is compared with", None, example="van gogh"
    )
    threshold: float | None = cosine(
        "the cosine at which its clusters are shown; if left out, report.threshold",
        decides=False,
    )

    @property
    def is_everything(self) -> bool:
        """Whether every caption belongs to it."""
        return self.include == (EVERYTHING,)


@dataclass(frozen=True)
class Words:
    """How words are ranked; all of them are counted."""

    languages: tuple[str, ...] = key("languages whose stop words are left out of rankings", ("en",))
    # Most pairs are said once or twice, and would be most of the published file.
    bigram_min_captions: int = key("captions that say a pair of words that is kept", 5, min=1)


@dataclass(frozen=True)
class Fetch:
    """How images are brought in and kept."""

    short_side: int = key("pixels; larger images are stored at this size", 256, min=16)
    quality: int = key("JPEG quality of images that were made smaller", 90, min=1, max=100)
    max_bytes: int = key("a larger file is refused", 50_000_000, min=1)
    max_pixels: int = key("a larger image is refused before it is decoded", 100_000_000, min=1)
    decode_memory: int = key(
        "bytes for decoding, over all pictures at the same time; what takes more is refused",
        1_000_000_000,
        min=16_000_000,
        is_late=True,
    )
    decode_timeout: float = key(
        "seconds for decoding one picture; what takes longer is refused",
        20.0,
        min=0.1,
        is_late=True,
    )
    timeout: float = key("seconds for one request: a redirect leads to another", 20.0, min=0.1)
    row_timeout: float = key(
        "seconds for all requests that one image takes, of its redirects too",
        60.0,
        min=0.1,
        is_late=True,
    )
    insecure_redirects: bool = key("follow redirects from https to http", False, is_late=True)
    retries: int = key("further attempts after 429, 5xx and broken connections", 2, min=0)
    connections: int = key("downloads at the same time", 64, min=1)
    connections_per_host: int = key("of them from the same host", 16, min=1)
    opt_out: bool = key("leave out images that X-Robots-Tag asks not to use (noai, …)", True)
    tdm_reservation: bool = key("leave out those with tdm-reservation: 1", True, is_late=True)
    content_usage: bool = key("leave out those with Content-Usage: train-ai=n", True, is_late=True)
    robots_txt: bool = key(
        "ask each host for its robots.txt, and leave out what it disallows", False, is_late=True
    )
    contact: str | None = key(
        "whom a host may write to: behind the program's name in User-Agent",
        None,
        example="https://lab.example/crawler",
        decides=False,
    )
    allow_private_hosts: bool = key("also fetch from private and loopback addresses", False)
    max_lost: float = share("of the samples without an image or a vector; more is a warning")


@dataclass(frozen=True)
class Clip:
    """The model that turns images and captions into vectors."""

    model: str = key('"bundled", an open_clip name such as "ViT-L-14", or a folder', BUNDLED_CLIP)
    pretrained: str | None = key("an open_clip tag, or a weights file", None, example="openai")
    batch_size: int = key("images in one forward pass", 64, min=1)


@dataclass(frozen=True)
class CopyModel:
    """A second model of the images, made to tell copies, such as SSCD."""

    path: str | None = key(
        "a TorchScript file; loading it runs the program in it",
        None,
        example="sscd_disc_mixup.torchscript.pt",
    )
    sha256: str | None = key("of that file, where you trust it", None, example="the hash, in hex")
    preprocessing: str = key(
        '"sscd320": square, no crop; "sscd288": short side, no crop; "dcr224", "imagenet224": '
        "short side 256, centre crop",
        "sscd320",
        choices=("sscd320", "sscd288", "dcr224", "imagenet224"),
    )


@dataclass(frozen=True)
class Cluster:
    """Which images count as nearly identical."""

    thresholds: tuple[float, ...] | None = cosine(
        "cosines to cluster at; if left out, the one recommended for the model, and 0.05 around it",
        example=[0.85, 0.9, 0.95],
    )
    min_cluster_size: int = key("smaller components are unclustered", 2, min=2)
    method: str = key(
        '"exact": all pairs; "cells": pairs within cells of the space, for millions; '
        '"auto": exact up to 200,000 vectors',
        "auto",
        choices=("auto", "exact", "cells"),
    )
    linkage: str = key(
        '"component": all that near pairs join, chains too; "complete-to-medoid": members whose '
        "cosine to the medoid is below the threshold are split off",
        "component",
        choices=("component", "complete-to-medoid"),
    )
    word_set_clusters: int = key("clusters of each keyword set to mine for word sets", 30, min=1)


@dataclass(frozen=True)
class FollowUp:
    """Word sets that become keyword sets, so that all the captions that say them are embedded."""

    top: int = key("word sets of each keyword set, those of the largest trigger_score", 0, min=0)
    max_samples: int = key("a word set that more captions say is left out", 100_000, min=1)


@dataclass(frozen=True)
class Prompts:
    """The prompts that are made of the clusters."""

    threshold: float | None = cosine(
        "one of cluster.thresholds; if left out, the one that the report shows"
    )
    clusters: int = key("largest clusters of each keyword set that get prompts", 7, min=1)
    words: int = key("words of a cluster in its prompts, at most", 5, min=1)
    families: tuple[str, ...] = key(
        "kinds of prompts, one of each a cluster", PROMPT_FAMILIES, choices=PROMPT_FAMILIES
    )
    file: str | None = key(
        "your own prompts (CSV: keyword_set, cluster, family, prompt); no cluster: the largest",
        None,
        example="prompts.csv",
    )
    endpoint: str | None = key(
        "an OpenAI-compatible server that writes them instead of the templates",
        None,
        example="http://127.0.0.1:8000/v1",
    )
    model: str | None = key("the model that it is asked for", None, example="llama-3.1-8b")


@dataclass(frozen=True)
class Generator:
    """The text-to-image model, and how it is run."""

    model: str = key("a diffusers model: a folder, or its name on the hub")
    revision: str | None = key("its branch, tag or commit on the hub", None, example="main")
    dtype: str = key("what it calculates in", "float32", choices=("float32", "float16", "bfloat16"))
    scheduler: str | None = key(
        "a scheduler of diffusers instead of its own", None, example="DDIMScheduler"
    )
    steps: int = key("denoising steps an image", 50, min=1)
    guidance_scale: float = key("of classifier-free guidance", 7.5, min=0.0)
    width: int = key("pixels", 512, min=8)
    height: int = key("pixels", 512, min=8)
    n_seeds: int = key("images a prompt: seeds 0, 1, 2, …", 500, min=1)
    batch_size: int = key("images at a time; halved when memory runs out", 8, min=1)
    lora: str | None = key("LoRA weights: a .safetensors file", None, example="lora.safetensors")
    max_lost: float = share("of the images blocked or without a score; more is a warning")


@dataclass(frozen=True)
class ReplicationThreshold:
    """From where on a generation counts as a copy of one cluster, set by hand."""

    replication_threshold: float = key("a copy has at least this cosine, at most this distance")
    cluster: str | None = key("any sample_id of the cluster", None, example="a sample_id")
    words: tuple[str, ...] = key(
        "or words: the largest cluster of each keyword set whose keywords prompt says all of them",
        (),
    )
    metric: str = key("the metric that it is of", "clip", choices=METRICS)
    bands: tuple[float, ...] | None = key(
        "scores that part its bands, the nearest copies first", None, example=[0.85, 0.8, 0.7]
    )


@dataclass(frozen=True)
class Score:
    """How generations are compared with training images."""

    metrics: tuple[str, ...] | None = key(
        "clip, sscd (with a [copy_model]), clip_tiles, sscd_tiles (of tiles: partial copies), l2, "
        "l2_tiles, webster, l2_relative (of pixels); by default all but those of tiles and "
        "l2_relative",
        None,
        example=["clip", "clip_tiles", "webster"],
        choices=METRICS,
    )
    bands: tuple[float, ...] = key(
        "cosines that part the bands of clip, the nearest copies first", (0.85, 0.8, 0.7)
    )
    probe_seeds: int = key("noises that the magnitude of Wen et al. is averaged over", 4, min=1)
    probe_steps: int = key("first denoising steps that it is averaged over", 1, min=1)
    threshold: tuple[ReplicationThreshold, ...] = key(
        "replication thresholds set by hand", (), is_table=True
    )


@dataclass(frozen=True)
class Risk:
    """What a training run will do with the data, from which a risk is calculated."""

    views: float | None = key(
        "times that it sees each row: an image's exposures are its copies times these",
        None,
        min=1e-9,
        example=100,
    )
    fit: str | None = key(
        '"bundled", or the JSON file of a fit to models whose training data is known',
        None,
        example="bundled",
    )


@dataclass(frozen=True)
class Objects:
    """How objects are looked for in images."""

    images: int = key(
        "images of each keyword set that are looked at: those of the smallest sample_ids, which is "
        "by chance",
        5000,
        min=1,
    )
    background: int = key(
        "samples of the whole dataset that they are compared with, chosen in the same way",
        5000,
        min=50,
    )
    false_rate: float = key(
        "share of images without an object in which it may be seen: what sets the thresholds",
        0.02,
        min=0.0001,
        max=0.2,
    )
    discover: bool = key("also rank the objects of a vocabulary that nobody asked for", False)
    vocabulary: str | None = key(
        "a text file: an object a line; if left out, 479 common ones", None, example="objects.txt"
    )
    detector: str | None = key(
        "beside CLIP, an open-vocabulary detector of transformers (OWLv2, OWL-ViT, Grounding "
        "DINO): a folder, or its name on the hub",
        None,
        example="google/owlv2-base-patch16-ensemble",
    )
    revision: str | None = key("its branch, tag or commit on the hub", None, example="main")


@dataclass(frozen=True)
class NamedObject:
    """An object that comes along, and the words that would say so."""

    name: str = key("the name of the object in every table", example="US flag")
    phrases: tuple[str, ...] = key(
        "phrases of a caption that name it, plurals as well; its name is one", ()
    )
    looks_like: tuple[str, ...] = key("what detectors are asked for; if left out, its name", ())
    labels: str | None = key(
        "a CSV file (sample_id or image_id, shows) that thresholds and errors are measured on",
        None,
        example="flags.csv",
    )


@dataclass(frozen=True)
class Report:
    """What the report shows."""

    threshold: float | None = cosine(
        "one of cluster.thresholds; if left out, the middle or the recommended one"
    )
    clusters: int = key("clusters shown for each keyword set", 7, min=1)


@dataclass(frozen=True)
class Resources:
    """What the work is done with, which changes nothing in what comes out: no part of the file."""

    device: str = "auto"  # or "cpu", "cuda", "mps"
    workers: int | None = None  # processes on this machine; None: one, or one a GPU
    scheduler: str | None = None  # tcp://host:port of a Dask cluster instead of this machine


HERE = Resources()


@dataclass(frozen=True)
class Study:
    """One study; `folder` is where its relative paths start."""

    folder: Path
    data: Data
    keyword_set: tuple[KeywordSet, ...]
    words: Words = Words()
    fetch: Fetch = Fetch()
    clip: Clip = Clip()
    copy_model: CopyModel = CopyModel()
    cluster: Cluster = Cluster()
    follow_up: FollowUp = FollowUp()
    prompts: Prompts = Prompts()
    generator: Generator | None = None
    score: Score = Score()
    risk: Risk = Risk()
    objects: Objects | None = None
    object: tuple[NamedObject, ...] = ()
    report: Report = Report()
    resources: Resources = HERE

    def path(self, text: str) -> str:
        """A path or glob of the study, absolute; an address such as s3://… as it is."""
        return text if "://" in text else os.path.normpath((self.folder / text).absolute())

    def hashes(self, keys: tuple[str, ...]) -> dict[str, str]:
        """The hash of each section that a stage reads: it is stale when one of them differs."""
        return {name: _hash(getattr(self, name)) for name in keys}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(deciding(value), sort_keys=True).encode()).hexdigest()[:16]


def deciding(value: Any) -> Any:
    """The keys that decide what a stage writes.

    Thresholds of keyword sets have a fingerprint of their own, and limits only warn. A key that
    came late counts where it says something, and one that is called otherwise by its first name:
    an upgrade makes no lake stale.
    """
    if isinstance(value, tuple):
        return [deciding(one) for one in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        f.metadata.get("noted_as", f.name): deciding(getattr(value, f.name))
        for f in dataclasses.fields(value)
        if f.metadata.get("decides", True)
        and not (f.metadata.get("is_late") and getattr(value, f.name) == f.default)
    }
