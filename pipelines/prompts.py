"""prompts: for the largest clusters of each keyword set, what a generator is asked.

A prompt stays once it is made, so that a nightly refresh never repeats its images; `--renew`
retires those that are there and makes new ones.
"""

import hashlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from . import build
from .captions.clip_tokens import MAX_CLIP_TOKENS, count_clip_tokens
from .clip.thresholds import resolve_thresholds
from .core.database import connect_published, query, write_stamped
from .core.errors import LakeError, StudyError
from .core.lake import Lake, replacing
from .core.registry import TABLES
from .core.runs import Counts
from .core.stamp import Stamp, read_parquet_stamp
from .core.study import Study
from .generation.endpoint import ask_endpoint
from .generation.prompt_file import read_prompt_file
from .generation.similarity import caption_similarities
from .generation.texts import KEYWORDS, Prompt, PromptCluster, fill_template, largest_clusters

OK, OVERLONG, NO_CLUSTER, RETIRED = "ok", "over_77_clip_tokens", "no_cluster", "retired"
_REASONS = {
    OVERLONG: "CLIP's text encoder reads 77 tokens and cuts the rest: say it in fewer words",
    NO_CLUSTER: "no cluster at the threshold holds its sample any more",
    RETIRED: "memtriggers prompts --renew set it aside",
}


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write the prompts: those that are there, and what is missing of each cluster's families.

    Their replication thresholds are fixed here too, before anything is generated.

    Returns:
        Clusters that prompts are made for, and prompts in use.

    Raises:
        StudyError: the threshold of `[prompts]` is not computed.
        SourceError: `[prompts] file` is at fault; names the line.
        LakeError: nothing is published, or it was built before the clusters.
        StageError: the endpoint does not answer as it should.

    """
    from .replication.copy_thresholds import fix_thresholds  # imports what a base install lacks

    threshold = _threshold(study, lake)
    _check_build(lake, stamp)
    with connect_published(lake) as connection:
        n_clusters, n_words = study.prompts.clusters, study.prompts.words
        clusters = largest_clusters(connection, threshold, n_clusters, n_words)
        prompts = _read_kept(connection, lake, threshold)
        written = read_prompt_file(study, connection, threshold)
    _add(prompts, written)
    _add(prompts, _make_missing(study, lake, clusters, {p.place for p in _in_use(prompts)}))
    made = _table(study, lake, threshold, prompts).sort_by("prompt_id")
    write_stamped(made, lake.prompts, stamp)
    fix_thresholds(study, lake, stamp)
    return Counts(len(clusters), len(_in_use(prompts)))


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp of the prompts, and a fingerprint of them: what stays does not follow from it."""
    stamp = read_parquet_stamp(lake.prompts, lake.replication_thresholds)
    if stamp is None:
        return None
    rows = pq.read_table(lake.prompts, columns=["prompt_id", "status"]).to_pylist()
    return stamp, f"{stamp.digest}-{hashlib.md5(repr(rows).encode()).hexdigest()[:8]}"


def retire(lake: Lake) -> None:
    """Set the prompts aside that are there; without a stamp, the stage has to run again.

    Their rows stay: images were generated for them.
    """
    if lake.prompts.exists():
        table = pq.read_table(lake.prompts)
        place = table.schema.get_field_index("status")
        status = pa.array([RETIRED] * len(table), pa.string())
        with replacing(lake.prompts) as unfinished:
            pq.write_table(
                table.set_column(place, "status", status).replace_schema_metadata(), unfinished
            )


def _threshold(study: Study, lake: Lake) -> float:
    thresholds = resolve_thresholds(study, lake)
    wanted = study.prompts.threshold
    if wanted is not None and wanted not in thresholds.computed:
        computed = ", ".join(map(str, thresholds.computed))
        raise StudyError(f"prompts: threshold: {wanted} is not one that is computed: {computed}")
    return thresholds.report if wanted is None else wanted


def _check_build(lake: Lake, stamp: Stamp) -> None:
    """The published tables have to be those of the clusters that the lake holds."""
    lake.require_build()
    published = build.recorded(lake)
    if published is None or any(
        published[0].inputs.get(name) != stamp.inputs[name] for name in ("filter", "cluster")
    ):
        raise LakeError(
            f"{lake.root}: the published tables are older than the clusters; run: memtriggers build"
        )


Prompts = dict[str, tuple[Prompt, str | None]]  # by prompt_id; why it is not in use, or None


def _read_kept(connection: duckdb.DuckDBPyConnection, lake: Lake, threshold: float) -> Prompts:
    if not lake.prompts.exists():
        return {}
    values = {"prompts": str(lake.prompts), "threshold": threshold}
    rows = connection.execute(query("prompts/kept"), values).fetchall()
    kept = [(Prompt(*row[:-1]), row[-1]) for row in rows]
    return {prompt.prompt_id: (prompt, status) for prompt, status in kept}


def _add(prompts: Prompts, made: list[Prompt]) -> None:
    """Add new texts; one that is there already belongs to the cluster that has it."""
    for prompt in made:
        if prompts.get(prompt.prompt_id, (prompt, RETIRED))[1] is not None:
            prompts[prompt.prompt_id] = (prompt, None)


def _in_use(prompts: Prompts) -> list[Prompt]:
    return [prompt for prompt, status in prompts.values() if status is None]


def _make_missing(
    study: Study, lake: Lake, clusters: list[PromptCluster], there: set[tuple[str, str, str]]
) -> list[Prompt]:
    """A prompt for each cluster and family without one, the largest cluster first."""
    return [
        _make(study, lake, cluster, family)
        for cluster in clusters
        for family in study.prompts.families
        if (cluster.keyword_set, cluster.cluster_id, family) not in there
        and cluster.words_for(family)
    ]


def _make(study: Study, lake: Lake, cluster: PromptCluster, family: str) -> Prompt:
    if study.prompts.endpoint is None or family == KEYWORDS:
        return fill_template(cluster, family)
    return ask_endpoint(study, lake, cluster, family)


def _table(study: Study, lake: Lake, threshold: float, prompts: Prompts) -> pa.Table:
    made = [prompt for prompt, _ in prompts.values()]
    texts, sets = [prompt.text for prompt in made], [prompt.keyword_set for prompt in made]
    tokens = list(map(count_clip_tokens, texts))
    status = [
        why or (OVERLONG if n_tokens > MAX_CLIP_TOKENS else OK)
        for (_, why), n_tokens in zip(prompts.values(), tokens, strict=True)
    ]
    similarity, nearest = caption_similarities(study, lake, sets, texts)
    columns = {
        "prompt_id": list(prompts),
        "keyword_set": sets,
        "threshold": pa.repeat(threshold, len(made)),
        "cluster_id": [prompt.cluster_id for prompt in made],
        "family": [prompt.family for prompt in made],
        "prompt": texts,
        "source": [prompt.source for prompt in made],
        "clip_tokens": tokens,
        "status": status,
        "status_reason": [_REASONS.get(one) for one in status],
        "caption_similarity": similarity,
        "nearest_sample_id": nearest,
    }
    return pa.table(columns, schema=PROMPTS)


PROMPTS = TABLES["prompts"].schema
