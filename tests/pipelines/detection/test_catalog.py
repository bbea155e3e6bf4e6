"""The objects that are looked for, the phrases that name them, and what a caption names."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.captions.source import define_macros
from memtriggers.pipelines.core.errors import ModelError, StudyError
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.detection.catalog import (
    Sought,
    known_vocabulary,
    object_files,
    objects_of,
    read_vocabulary,
)
from memtriggers.pipelines.objects import name_objects

FLAG = Sought("US flag", ("US flag",), ("US flag", "American flag", "stars and stripes", "flag"))
CHERRY = Sought("cherry", ("cherry",), ("cherry",))


def named(caption: str, *sought: Sought) -> set[str]:
    """The objects that a caption names."""
    with duckdb.connect() as connection:
        define_macros(connection)
        connection.execute("create temp table object_images as select $c as text", {"c": caption})
        name_objects(connection, sought)
        rows = connection.execute("select object_number from object_names").fetchall()
    return {sought[number].name for (number,) in rows}


@pytest.mark.parametrize(
    "caption",
    [
        "an astronaut before a U.S. flag",
        "An astronaut with the u.s. flags",
        "flags on the moon",
        "FLAG",
        "the flag’s colours",
        "the Stars &amp; Stripes, and a <b>flag</b>",
        "half-mast flag-pole",  # tokens end at a hyphen, as in keyword sets
    ],
)
def test_these_captions_name_the_flag(caption: str) -> None:
    assert named(caption, FLAG) == {"US flag"}


@pytest.mark.parametrize(
    "caption",
    [
        "the flagship of the fleet",
        "a flagged letter",
        "an astronaut of the US",
        "stars",
        "",
    ],
)
def test_these_do_not(caption: str) -> None:
    assert named(caption, FLAG) == set()


def test_plurals_count_and_each_object_has_its_own_phrases() -> None:
    assert named("a bowl of cherries under a flag", FLAG, CHERRY) == {"US flag", "cherry"}
    assert named("a cherry tree", FLAG, CHERRY) == {"cherry"}
    assert named("two glasses", Sought("glass", ("glass",), ("glass",))) == {"glass"}


def test_a_kind_may_be_what_it_is_a_kind_of() -> None:
    flag, lorry = Sought("flag", ("flag",), ("flag",)), Sought("lorry", ("lorry",), ("lorry",))
    us = Sought("US flag", ("US flag",), ("US flag",))
    assert us.may_be(flag) and flag.may_be(us) and not us.may_be(lorry)
    assert not Sought("car", ("car",), ("car",)).may_be(Sought("scar", ("scar",), ("scar",)))


def test_the_vocabulary_that_comes_along_is_read_whole(
    write_captions: Callable[..., Path], make_study: Callable[..., Study]
) -> None:
    write_captions("a")
    vocabulary = read_vocabulary(make_study())
    names = [one.name for one in vocabulary]
    assert len(set(map(str.lower, names))) == len(names) == 479
    by_name = {one.name: one for one in vocabulary}
    assert by_name["US flag"].looks_like == (
        *("US flag", "USA flag", "United States flag", "America flag"),
    )
    assert "Stars and Stripes" in by_name["US flag"].phrases
    assert by_name["dog"].looks_like == ("dog",) and "puppy" in by_name["dog"].phrases


def test_a_vocabulary_of_ones_own_and_what_is_wrong_with_it(
    tmp_path: Path, write_captions: Callable[..., Path], make_study: Callable[..., Study]
) -> None:
    write_captions("a")
    study = make_study(sections='[objects]\nvocabulary = "mine.txt"')
    with pytest.raises(StudyError, match=r"mine\.txt: cannot be read"):
        read_vocabulary(study)
    things = "\n".join(f"thing{n}" for n in range(10))
    (tmp_path / "mine.txt").write_text(f"# mine\n{things}\nred car; lorry # loud\n", "utf-8")
    assert read_vocabulary(study)[-1] == Sought("red car", ("red car",), ("red car", "lorry"))
    (tmp_path / "mine.txt").write_text(f"{things}\nThing1\n", "utf-8")
    with pytest.raises(StudyError, match=r"mine\.txt: line 11: 'Thing1': is there twice"):
        read_vocabulary(study)
    (tmp_path / "mine.txt").write_text(f"{things}\n; lorry\n", "utf-8")
    with pytest.raises(StudyError, match=r"line 11: .*no name before the semicolon"):
        read_vocabulary(study)
    (tmp_path / "mine.txt").write_text("one\ntwo\n", "utf-8")
    with pytest.raises(StudyError, match=r"2 objects; .*write at least 10"):
        read_vocabulary(study)


def test_objects_that_the_model_has_read_no_name_of_are_left_out(
    tmp_path: Path, tiny_clip: Path, write_captions: Callable[..., Path], make_study: Any
) -> None:
    write_captions("a")
    model = tmp_path / "model"
    shutil.copytree(tiny_clip, model)
    study = make_study(sections=f'[clip]\nmodel = "{model}"')
    assert known_vocabulary(study) == read_vocabulary(study), "nobody says what it has read"
    before = object_files(study)

    animals = "dog cat horse donkey cow pig sheep goat rabbit mouse"
    (model / "words.txt").write_text("\n".join([*animals.split(), "united", "states", "flag"]))
    found = {one.name for one in known_vocabulary(study)}
    assert found >= {"dog", "cat", "horse", "flag"}
    assert "US flag" in found, "by one of the texts that are asked for"
    assert not found & {"bed", "British flag", "sea horse"}, "of which not every word is known"
    assert set(object_files(study)) - set(before) == {str(model / "words.txt")}

    (model / "words.txt").write_text("dog\ncat\n")
    with pytest.raises(StudyError, match=r"vocabulary\.txt: .* has read of 2 of these objects"):
        known_vocabulary(study)
    (model / "words.txt").write_bytes(b"\xff")
    with pytest.raises(ModelError, match=r"words\.txt: cannot be read .*; remove it"):
        known_vocabulary(study)


def test_the_bundled_model_says_what_it_has_read(
    write_captions: Callable[..., Path], make_study: Callable[..., Study]
) -> None:
    write_captions("a")
    found = [one.name for one in known_vocabulary(make_study())]
    assert {"US flag", "dog", "star"} <= set(found) and "bed" not in found
    assert len(found) == 178


def test_the_objects_of_a_study_and_what_is_wrong_with_them(
    write_captions: Callable[..., Path], make_study: Callable[..., Study]
) -> None:
    write_captions("a")
    one = '[[object]]\nname = "US flag"\nphrases = ["flag", "US flag"]\n'
    assert objects_of(make_study(sections=one)) == [
        Sought("US flag", ("US flag",), ("US flag", "flag"))
    ]
    with pytest.raises(StudyError, match=r"object\[1\]: name: 'US flag' is used twice"):
        make_study(sections=one + one)
    with pytest.raises(StudyError, match=r"object\[1\]: '…' has no letter"):
        make_study(sections='[[object]]\nname = "US flag"\nphrases = ["…"]')
    with pytest.raises(StudyError, match=r"objects: false_rate: 0\.5 is out of range"):
        make_study(sections="[objects]\nfalse_rate = 0.5")
