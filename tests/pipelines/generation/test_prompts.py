"""The prompts stage on the bundled sample: texts, a user's file, an endpoint, and what stays."""

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import caption_vectors_name
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.clip.model import find_clip, load_clip
from memtriggers.pipelines.core.errors import SourceError, StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.core.study_file import load_study

Rows = list[dict[str, Any]]


@pytest.fixture
def lake(clip_art: Any, tmp_path: Path) -> Lake:
    """A copy of the lake, without prompts."""
    return Lake(shutil.copytree(clip_art.lake, tmp_path / "lake", symlinks=True))


@pytest.fixture
def make_prompting(clip_art: Any, tmp_path: Path) -> Callable[..., Study]:
    """The study of the bundled sample with keys of `[prompts]`."""
    text = (clip_art.lake.parent / "openclipart.toml").read_text("utf-8")
    text = text.replace("openclipart.parquet", str(clip_art.lake.parent / "openclipart.parquet"))

    def make(prompts: str = "clusters = 2") -> Study:
        path = tmp_path / "study.toml"
        path.write_text(f'{text}\n[prompts]\n{prompts}\n[score]\nmetrics = ["clip"]', "utf-8")
        return load_study(path)

    return make


def read_prompts(lake: Lake) -> Rows:
    rows: Rows = pq.read_table(lake.prompts).to_pylist()
    return rows


def by_id(row: dict[str, Any]) -> str:
    return str(row["prompt_id"])


def same_prompts(left: Rows, right: Rows) -> bool:
    """Whether two tables say the same; the text tower's last digits differ from run to run."""
    names = [name for name in left[0] if name != "caption_similarity"]
    texts = [[[row[name] for name in names] for row in rows] for rows in (left, right)]
    similarities = [[row["caption_similarity"] for row in rows] for rows in (left, right)]
    return texts[0] == texts[1] and similarities[0] == pytest.approx(similarities[1], abs=1e-5)


def rest(prompt: str, words: str) -> list[str]:
    return [word for word in prompt.split() if word.strip(",") not in words.split()]


def test_each_of_the_largest_clusters_has_a_prompt_of_each_family(
    make_prompting: Callable[..., Study], lake: Lake, run_stages: Callable[..., None]
) -> None:
    study = make_prompting()
    run_stages(study, "prompts")
    rows = read_prompts(lake)
    ranks = lake.sql("from keyword_clusters where threshold = 0.9 and cluster_rank <= 2").fetchall()
    clusters = {(row[0], row[2]) for row in ranks}
    assert {(row["keyword_set"], row["cluster_id"]) for row in rows} <= clusters
    assert {row["status"] for row in rows} == {"ok"} and len({r["prompt"] for r in rows}) == len(
        rows
    )
    by_place = {(r["keyword_set"], r["cluster_id"], r["family"]): r["prompt"] for r in rows}
    # A text that two clusters yield belongs to the larger one.
    said = {place[:2]: text for place, text in by_place.items() if place[2] == "keywords"}
    assert len(said) >= 5
    templates = set()
    for (keyword_set, cluster_id), words in said.items():
        made = {
            place[2]: t for place, t in by_place.items() if place[:2] == (keyword_set, cluster_id)
        }
        for family in ("short", "long", "irrelevant"):
            assert words in made[family] and len(made[family]) > len(words)
        if "without_name" in made:  # there is more to say than the name
            assert keyword_set not in made["without_name"].split()
            assert rest(made["without_name"], words) == rest(made["long"], words)
        templates.add(made["short"].replace(words, "…"))
    assert len(templates) > 1, "a hash chooses the template"

    run_stages(study, "prompts")
    assert same_prompts(read_prompts(lake), rows)


def test_caption_similarity_is_the_brute_force_best(
    make_prompting: Callable[..., Study], lake: Lake, run_stages: Callable[..., None]
) -> None:
    study = make_prompting("clusters = 1")
    run_stages(study, "prompts")
    clip = load_clip(find_clip(study))
    name = caption_vectors_name(find_clip(study).clip_id)
    stored = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
    captions = {row["sample_id"]: unit(np.asarray(row["vector"], float)) for row in stored}
    members: dict[str, set[str]] = {}
    for match in pq.read_table(lake.keyword_matches).to_pylist():
        members.setdefault(match["keyword_set"], set()).add(match["sample_id"])
    for row in read_prompts(lake):
        tokens = clip.tokenizer([row["prompt"]])
        vector = unit(clip.model.encode_text(tokens)[0].detach().numpy().astype(float))
        cosines = {
            i: float(captions[i] @ vector) for i in members[row["keyword_set"]] & captions.keys()
        }
        assert row["caption_similarity"] == pytest.approx(max(cosines.values()), abs=1e-5)
        assert cosines[row["nearest_sample_id"]] == pytest.approx(max(cosines.values()), abs=2e-6)


def unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def largest_cluster(lake: Lake) -> tuple[str, str, list[str]]:
    keyword_set, cluster_id = lake.sql(
        "select keyword_set, cluster_id from keyword_clusters where threshold = 0.9 "
        "order by n_samples desc, keyword_set limit 1"
    ).fetchone()
    found = lake.sql(
        "select sample_id from cluster_members where threshold = 0.9 and cluster_id = $cluster_id",
        {"cluster_id": cluster_id},
    ).fetchall()
    return keyword_set, cluster_id, sorted(sample_id for (sample_id,) in found)


def test_prompts_of_a_file(
    make_prompting: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    keyword_set, cluster_id, members = largest_cluster(lake)
    overlong = "one more star " * 30
    texts = ["my own “short” prompt, étoilée", "a second one", overlong.strip()]
    lines = [f'{keyword_set},{members[-1]},short,"{text}"' for text in texts]
    lines[1] = lines[1].replace("a second", "\n a  second\n")
    (tmp_path / "mine.csv").write_text("\n".join(["keyword_set,cluster,family,prompt", *lines]))
    run_stages(make_prompting('clusters = 1\nfile = "mine.csv"'), "prompts")
    rows = {row["prompt"]: row for row in read_prompts(lake)}
    own = [rows[text] for text in texts]
    assert {(r["cluster_id"], r["family"], r["source"]) for r in own} == {
        (cluster_id, "short", "file")
    }
    assert [row["status"] for row in own] == ["ok", "ok", "over_77_clip_tokens"]
    assert "77 tokens" in own[2]["status_reason"] and own[2]["clip_tokens"] == 92
    of_cluster = [row for row in rows.values() if row["cluster_id"] == cluster_id]
    assert {r["family"] for r in of_cluster if r["source"] == "template"}.isdisjoint({"short"})


def test_a_file_may_ask_for_a_sample_that_is_in_no_cluster(
    make_prompting: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    alone = lake.sql(
        "select keyword_set, sample_id from cluster_members join keyword_matches using (sample_id) "
        "where threshold = 0.9 and cluster_id is null order by all limit 2"
    ).fetchall()
    lines = [f"{keyword_set},{sample},short,alone {sample}" for keyword_set, sample in alone]
    (tmp_path / "mine.csv").write_text("\n".join(["keyword_set,cluster,family,prompt", *lines]))
    study = make_prompting('clusters = 1\nfile = "mine.csv"')
    for _ in range(2):  # the second night finds the prompts that are there
        run_stages(study, "prompts")
        own = [row for row in read_prompts(lake) if row["source"] == "file"]
        assert sorted((r["keyword_set"], r["cluster_id"], r["status"]) for r in own) == [
            (keyword_set, sample, "ok") for keyword_set, sample in sorted(alone)
        ]
        fixed = pq.read_table(lake.replication_thresholds).to_pylist()
        assert {sample for _, sample in alone} <= {row["cluster_id"] for row in fixed}


def test_where_a_file_names_no_cluster_the_largest_is_meant(
    make_prompting: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    tmp_path: Path,
) -> None:
    largest = lake.sql(
        "select keyword_set, cluster_id from keyword_clusters "
        "where threshold = 0.9 and cluster_rank = 1 order by all limit 2"
    ).fetchall()
    lines = [f"{keyword_set},,caption,no cluster {keyword_set}" for keyword_set, _ in largest]
    (tmp_path / "mine.csv").write_text("\n".join(["keyword_set,cluster,family,prompt", *lines]))
    run_stages(make_prompting('clusters = 1\nfile = "mine.csv"'), "prompts")
    own = [row for row in read_prompts(lake) if row["source"] == "file"]
    assert sorted((row["keyword_set"], row["cluster_id"]) for row in own) == largest
    assert {row["family"] for row in own} == {"caption"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("keyword_set,cluster,prompt\n", "no column family; it has to have keyword_set, cluster"),
        ("{head}{set},{member},short,\n", "line 2: the prompt is empty; write one, or remove"),
        ("{head}{set},{member},short,  \n", "line 2: the prompt is empty"),
        ("{head}{set},{member},rude,a star\n", "line 2: family 'rude': it is one of keywords"),
        ("{head}{set},f00,short,a star\n", "line 2: no cluster of keyword set .* holds 'f00'"),
        ("{head}nowhere,,short,a star\n", "line 2: no keyword set 'nowhere' has a cluster"),
        ("{head}{set},{member}\n", "line 2: the prompt is empty"),
        ("{head}{set},{member},long,a star\n{set},{member},short,a star\n", "line 3: .* again"),
        ("{head}\udcff", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(
    make_prompting: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    tmp_path: Path,
    lines: str,
    reason: str,
) -> None:
    keyword_set, _, members = largest_cluster(lake)
    values = {"head": "keyword_set,cluster,family,prompt\n", "set": keyword_set}
    text = lines.format(**values, member=members[0])
    (tmp_path / "mine.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=reason) as error:
        run_stages(make_prompting('file = "mine.csv"'), "prompts")
    assert "\n" not in str(error.value) and f"{tmp_path}/mine.csv" in str(error.value)


@pytest.fixture
def parrot() -> Iterator[tuple[str, list[str]]]:
    """A language model that says what it is asked for, and the keys that it was sent."""
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Authorization"])
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            words = asked["messages"][0]["content"].partition("these words: ")[2].split(".")[0]
            long = "a star " * 60 if "about thirty" in asked["messages"][0]["content"] else ""
            text = f"{long}picture\nof {words}, {len(keys)}"
            self.send_response(200 if len(keys) != 3 else 500)
            self.end_headers()
            self.wfile.write(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", keys
        server.shutdown()
        thread.join()


def test_prompts_of_an_endpoint_are_asked_for_once_and_the_key_is_kept_nowhere(
    make_prompting: Callable[..., Study],
    lake: Lake,
    run_stages: Callable[..., None],
    parrot: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, keys = parrot
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    study = make_prompting(f'clusters = 1\nendpoint = "{address}"\nmodel = "parrot"')
    with pytest.raises(StageError, match="answered with status 500"):
        run_stages(study, "prompts")
    assert len(list(lake.prompt_answers.iterdir())) == 2 and not lake.prompts.exists()

    run_stages(study, "prompts")
    rows = read_prompts(lake)
    asked = [row for row in rows if row["source"] == "endpoint"]
    assert {row["family"] for row in rows if row["source"] == "words"} == {"keywords"}
    assert len(keys) == len(asked) + 1, "what failed was asked again, and nothing else"
    assert all(row["prompt"].isprintable() and "picture of " in row["prompt"] for row in asked)
    assert {r["family"] for r in asked if r["status"] == "over_77_clip_tokens"} == {
        "long",
        "without_name",
    }
    n_asked = len(keys)
    run_stages(study, "prompts")
    lake.prompts.unlink()
    run_stages(study, "prompts")
    assert len(keys) == n_asked and same_prompts(read_prompts(lake), rows)
    assert set(keys) == {"Bearer sk-of-the-tests"}
    texts = [path.read_bytes() for path in lake.root.rglob("*") if path.is_file()]
    assert not any(b"sk-of-the-tests" in text for text in texts)


def test_renew_sets_aside_what_is_there_and_makes_new_ones(
    make_prompting: Callable[..., Study], lake: Lake, run_stages: Callable[..., None]
) -> None:
    run_stages(make_prompting('clusters = 1\nfamilies = ["keywords", "irrelevant"]'), "prompts")
    before = {row["prompt"]: row for row in read_prompts(lake)}
    study = make_prompting('clusters = 1\nfamilies = ["keywords", "short"]')
    run_stages(study, "prompts")
    kept = [row for row in read_prompts(lake) if row["prompt"] in before]
    assert same_prompts(sorted(kept, key=by_id), sorted(before.values(), key=by_id))

    options = ["--study", str(study.folder / "study.toml"), "--lake", str(lake.root)]
    assert CliRunner().invoke(cli, ["prompts", "--renew", *options]).exit_code == 0
    after = {row["prompt"]: row for row in read_prompts(lake)}
    assert before.keys() < after.keys(), "rows stay: images were generated for them"
    status = {(row["family"], row["status"]) for row in after.values()}
    assert status == {("keywords", "ok"), ("short", "ok"), ("irrelevant", "retired")}
    assert all("--renew" in (r["status_reason"] or "--renew") for r in after.values())


def test_prompts_stay_when_their_clusters_grow_and_wait_when_they_are_none(
    make_prompting: Callable[..., Study], lake: Lake, run_stages: Callable[..., None]
) -> None:
    """At a lower threshold each is part of a larger cluster; at a higher one, some are none."""
    run_stages(make_prompting("clusters = 2\nthreshold = 0.9"), "prompts")
    before = {row["prompt_id"]: row for row in read_prompts(lake)}
    for threshold in (0.85, 0.99):
        run_stages(make_prompting(f"clusters = 2\nthreshold = {threshold}"), "prompts")
        after = {row["prompt_id"]: row for row in read_prompts(lake)}
        holders = cluster_of_each_sample(lake, threshold)
        assert before.keys() <= after.keys()
        for prompt_id, row in before.items():
            holder, kept = holders.get(row["cluster_id"]), after[prompt_id]
            assert kept["prompt"] == row["prompt"] and kept["threshold"] == threshold
            if holder is not None:
                assert (kept["status"], kept["cluster_id"]) == ("ok", holder)
            elif kept["status"] == "ok":  # another cluster yields the same text
                assert kept["cluster_id"] in holders.values()
            else:
                assert kept["status"] == "no_cluster"
        before = after
    assert {row["status"] for row in before.values()} == {"ok", "no_cluster"}
    run_stages(make_prompting("clusters = 2\nthreshold = 0.9"), "prompts")
    assert {row["status"] for row in read_prompts(lake)} == {"ok"}


def cluster_of_each_sample(lake: Lake, threshold: float) -> dict[str, str]:
    found = lake.sql(
        "select sample_id, cluster_id from cluster_members "
        "where threshold = $threshold and cluster_id is not null",
        {"threshold": threshold},
    ).fetchall()
    return dict(found)
