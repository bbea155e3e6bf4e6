"""What is planted is what the groups say, and the committed files are what the script makes."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.captions.clip_tokens import clip_tokenizer, count_clip_tokens

pytest.importorskip("torch", reason="needs memtriggers[embed]")

from memtriggers.making import plant_images
from memtriggers.making.bundled import ROWS, SAMPLE, read_images
from memtriggers.making.diffusion_model import MAX_TOKENS
from memtriggers.making.plant import (
    CELLS,
    HELD_OUT,
    IMAGE_ALONE,
    OBJECT_LEVEL,
    SHARE,
    WORD_LEVEL,
    WORDS,
    WORDS_ALONE,
    Plan,
    make_plan,
    write,
)

PLANTED = SAMPLE / "planted"


@pytest.fixture(scope="module")
def plan() -> Plan:
    sample = pq.read_table(ROWS, columns=["URL", "TEXT"])
    return make_plan(sample, read_images(), 0)


@pytest.fixture(scope="module")
def planted() -> pa.Table:
    return pq.read_table(PLANTED / "planted.parquet")


def tokens(caption: str) -> set[str]:
    return set(caption.lower().replace(",", " ").split())


def test_the_committed_files_are_what_the_script_makes(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plant_images, "encode", lambda image, **_: image.tobytes()[:16])  # at once
    write(plan, tmp_path, read_images(), 0)
    for name in ("groups.csv", "rows.csv", "prompts.csv"):
        assert (tmp_path / name).read_bytes() == (PLANTED / name).read_bytes(), name
    for name in ("planted.parquet", "unseen.parquet"):
        made, committed = pq.read_table(tmp_path / name), pq.read_table(PLANTED / name)
        assert made.drop_columns("jpg") == committed.drop_columns("jpg")
        # Encoders of images differ between versions; what they encode was looked at above.
        assert len(made["jpg"].combine_chunks()) == len(committed)


def test_at_least_120_groups_of_every_dose_and_half_are_held_out(plan: Plan) -> None:
    assert len(plan.groups) >= 120
    assert len({group.group_id for group in plan.groups}) == len(plan.groups)
    cells = Counter((g.kind, g.n_captions, g.n_copies) for g in plan.groups)
    assert cells == {(c.kind, c.n_captions, c.n_copies): c.n_groups for c in CELLS}
    assert min(cells.values()) >= 5
    assert {n for kind, _, n in cells if kind == WORD_LEVEL} == {1, 2, 4, 8, 16, 32, 64}
    shares = sorted(n / of for kind, of, n in cells if kind == SHARE)
    assert shares == pytest.approx([0.08, 0.17, 0.33, 0.5, 1.0], abs=0.004)
    for cell in cells:
        own = [g.split for g in plan.groups if (g.kind, g.n_captions, g.n_copies) == cell]
        assert abs(own.count("fit") - own.count("held_out")) <= 1


def test_each_group_has_the_rows_that_it_says(plan: Plan) -> None:
    for group in plan.groups:
        rows = [row for row in plan.rows if row.group_id == group.group_id]
        assert len(rows) == group.n_captions
        assert len({row.caption for row in rows}) == len(rows), "no caption twice"
        copies = [row for row in rows if row.role in ("exact", "variant")]
        others = [row.image for row in rows if row not in copies]
        assert len(set(others)) == len(others)
        if group.kind == OBJECT_LEVEL:
            assert sum(row.role == "object" for row in rows) == group.n_copies
            assert not any("flag" in row.caption for row in rows), "named nowhere"
        else:
            assert len(copies) == group.n_copies
            assert {row.image for row in copies} == ({group.image} if copies else set())
        if group.kind != IMAGE_ALONE:
            assert all(set(group.words) <= tokens(row.caption) for row in rows)


def test_nobody_else_says_the_words_together(plan: Plan) -> None:
    for group in plan.groups:
        if group.words:
            said = [row for row in plan.rows if set(group.words) <= tokens(row.caption)]
            assert {row.group_id for row in said} == {group.group_id}, group
    alone = {g.group_id for g in plan.groups if g.kind == IMAGE_ALONE}
    captions = Counter(row.caption for row in plan.rows)
    assert all(captions[row.caption] == 1 for row in plan.rows if row.group_id in alone)


def test_no_image_of_one_group_is_in_another_or_unseen(plan: Plan) -> None:
    places: dict[str, set[str]] = {}
    for row in plan.rows:
        places.setdefault(row.image, set()).add(row.group_id)
    assert max(map(len, places.values())) == 1
    assert sum(row.role == HELD_OUT for row in plan.rows) == 300


def test_rare_words_are_one_token_and_the_model_reads_every_prompt_whole(plan: Plan) -> None:
    vocabulary = clip_tokenizer().get_vocab()
    assert all(f"{word}</w>" in vocabulary for word in WORDS["rare"])
    asked = {ask.prompt for ask in plan.asks}
    assert len(asked) == len(plan.asks), "a text asks for one group"
    plants = [row.caption for row in plan.rows if row.group_id.startswith((WORD_LEVEL, SHARE))]
    assert max(map(count_clip_tokens, [*asked, *plants])) <= MAX_TOKENS


def test_every_group_is_asked_for_by_what_it_was_not_trained_on(plan: Plan) -> None:
    trained = {row.caption for row in plan.rows}
    for group in plan.groups:
        own = [ask for ask in plan.asks if ask.group_id == group.group_id]
        asks = {ask.prompt_kind: ask.prompt for ask in own}
        held_out = [ask.prompt for ask in own if ask.prompt_kind == "held_out"]
        assert len(held_out) == (4 if group.kind == IMAGE_ALONE else 1)
        assert trained.isdisjoint(held_out)
        assert asks["own"] in trained and asks["held_out"] not in trained
        assert ("words" in asks) == bool(group.words)
        if group.kind in (WORD_LEVEL, SHARE, WORDS_ALONE):
            assert set(group.words) <= tokens(asks["held_out"])


def test_exact_copies_are_the_same_bytes_and_variants_are_not(planted: pa.Table) -> None:
    with (PLANTED / "rows.csv").open(encoding="utf-8", newline="") as file:
        facts = {row["url"]: row for row in csv.DictReader(file)}
    assert planted["URL"].to_pylist() == [
        url for url, row in facts.items() if row["role"] != HELD_OUT
    ]
    hashes: dict[str, Counter[str]] = {}
    for url, image in zip(planted["URL"].to_pylist(), planted["jpg"].to_pylist(), strict=True):
        key = f"{facts[url]['group_id']} {facts[url]['role']}"
        hashes.setdefault(key, Counter())[hashlib.md5(image).hexdigest()] += 1
    for key, found in hashes.items():
        if key.endswith("exact"):
            assert len(found) == 1, key
        elif key.endswith("variant"):
            assert max(found.values()) == 1, key
