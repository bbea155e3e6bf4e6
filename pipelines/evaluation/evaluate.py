"""evaluate: how well the study's model tells copies from other pictures, beside its peers."""

from dataclasses import dataclass
from pathlib import Path

from ...lance.store import VectorStore
from ...lance.tables import image_vectors_name
from ..clip.copy_model import choose_copy_model, find_copy_model
from ..clip.model import ClipChoice, find_clip
from ..clip.recommended import Recommendation, write_beside_weights
from ..clusters.edges import Vectors
from ..core.errors import EvaluationError, store_errors
from ..core.lake import Lake
from ..core.study import Study
from .encoded import ORIGINAL, Encoded, encode_all
from .figures import SERIES, Measured, measure_copies, measure_labelled
from .images import Images, lake_pictures, sample_pictures
from .labels import Labelled, label_column, listed_pairs, named_samples, read_pairs, stored_vectors
from .methods import Model, find_peers, load_model
from .retrieval import Retrieval, retrieval
from .rules import alike_rule, label_rule
from .summary import Summary
from .written import write_evaluation


@dataclass(frozen=True)
class Request:
    """What is asked of `evaluate`, as its options say it."""

    sample: bool
    pairs: Path | None
    label_column: str | None
    vectors: tuple[tuple[str, Path], ...]
    sscd: Path | None
    seed: int
    limit: int
    copies: int | None
    write_recommendation: bool

    @property
    def n_copies(self) -> int:
        """Of each image: the sample has few images, so that a handful of pairs would decide."""
        return self.copies or (5 if self.sample else 1)

    @property
    def on(self) -> str:
        """The folder of the evaluation: `sample`, `lake` or `labelled`."""
        if self.sample:
            return "sample"
        return "lake" if self.pairs is None and self.label_column is None else "labelled"


@store_errors()
def evaluate(request: Request, study: Study, lake: Lake) -> Summary:
    """Measure the study's model and its peers, and write what comes of it into the lake.

    Raises:
        EvaluationError: the images, pairs or vectors cannot be evaluated.
        LakeError, ModelError, SourceError: what it needs is missing, and how to get it.

    """
    choice = find_clip(study)
    if not request.sample:  # or say what to run, before a lake is made
        VectorStore(lake.vectors).dataset(image_vectors_name(choice.clip_id))
    with lake.lock():
        summary = _measure(request, study, lake, choice)
        write_evaluation(summary, lake.evaluation(choice.clip_id, request.on))
    if request.write_recommendation:
        write_beside_weights(choice, _found(summary), summary.main_figures)
    return summary


def _measure(request: Request, study: Study, lake: Lake, choice: ClipChoice) -> Summary:
    pictures, labelled = _find_pictures(request, study, lake, choice)
    stored = {n: stored_vectors(study, lake, path, pictures) for n, path in request.vectors}
    model = load_model(choice, study.clip.batch_size)
    given = choose_copy_model(request.sscd) if request.sscd else find_copy_model(study)
    peers, notes = find_peers(model.device, given)
    methods = [model.method, *peers]
    if taken := stored.keys() & {method.name for method in methods}:
        raise EvaluationError(f"--vectors {taken.pop()}: that is one of the peers; rename yours")
    encoded = encode_all(pictures, methods, request.seed, request.n_copies)
    return Summary(
        clip_id=choice.clip_id,
        on=request.on,
        pictures=pictures.on,
        n_pictures=len(pictures),
        labelled_by=labelled.by if labelled else None,
        n_copies=request.n_copies,
        seed=request.seed,
        retrieval=_measure_retrieval(pictures, model, encoded),
        measured=_measure_pairs(encoded, pictures, labelled, stored),
        hashes=[peer.name for peer in peers if peer.is_hash],
        load_seconds=model.seconds,
        images_per_second=1 / encoded.seconds[choice.clip_id],
        notes=[*notes, *([labelled.note] if labelled and labelled.note else [])],
    )


def _find_pictures(
    request: Request, study: Study, lake: Lake, choice: ClipChoice
) -> tuple[Images, Labelled | None]:
    seed, limit = request.seed, request.limit
    if request.sample:
        return sample_pictures(seed, limit), None
    if request.pairs is not None:
        pairs = read_pairs(request.pairs)
        named = named_samples(pairs, request.pairs, lake)
        pictures = lake_pictures(lake, choice.clip_id, seed, limit, named)
        return pictures, listed_pairs(pairs, request.pairs, pictures)
    pictures = lake_pictures(lake, choice.clip_id, seed, limit)
    if request.label_column is None:
        return pictures, None
    return pictures, label_column(study, lake, request.label_column, pictures)


def _measure_pairs(
    encoded: Encoded, pictures: Images, labelled: Labelled | None, stored: dict[str, Vectors]
) -> Measured:
    if labelled is not None:
        vectors = encoded.vectors[ORIGINAL] | stored
        alike = alike_rule(encoded.thumbnails, labelled.rule)
        found = measure_labelled(vectors, labelled.rule, labelled.by)
        return found + measure_copies(encoded, alike)
    alike = alike_rule(encoded.thumbnails)
    if pictures.series is None:
        return measure_copies(encoded, alike)
    apart = alike_rule(encoded.thumbnails, label_rule(pictures.series))
    return measure_copies(encoded, apart) + measure_copies(encoded, alike, SERIES)


def _measure_retrieval(pictures: Images, model: Model, encoded: Encoded) -> list[Retrieval]:
    images = encoded.vectors[ORIGINAL][model.method.name]
    texts = pictures.vectors[1] if pictures.vectors else model.captions(pictures.captions)
    return retrieval(images, texts, pictures.captions)


def _found(summary: Summary) -> Recommendation:
    found = summary.recommended["copies"]
    if found is None:
        raise EvaluationError(
            f"{summary.clip_id}: no threshold has a pair precision of 0.99; none is recommended"
        )
    return found
