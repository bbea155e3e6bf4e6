"""A mistake in the study file is named by key, value and fix."""

from pathlib import Path

import pytest

from memtriggers.pipelines.core.errors import StudyError
from memtriggers.pipelines.core.study_file import load_study

DATA = '[data]\nparquet = "a.parquet"\n'
SET = '[[keyword_set]]\nname = "star"\ninclude = ["star"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data", "not a readable TOML file"),
        (
            f'{DATA}\n{SET}\n[fetch]\ncontact = "a (b)"',
            "fetch: contact: 'a (b)' cannot stand in a header",
        ),
        (
            f'{DATA}\n{SET}\n[fetch]\ncontact = "a\\r\\nX: y"',
            "cannot stand in a header",
        ),
        (SET, "data: missing"),
        (DATA, "keyword_set: missing"),
        (f"keyword_set = []\n{DATA}", "add one as [[keyword_set]]"),
        (f"{DATA}{SET}[cluster]\nthreshold = [0.9]", "did you mean thresholds?"),
        (f"{DATA}{SET}[cluster]\nthresholds = [1.9]", "1.9 is out of range; it must be between"),
        (f"{DATA}{SET}[cluster]\nthresholds = [nan]", "nan is out of range"),
        (f"{DATA}{SET}[cluster]\nthresholds = []", "say each of them once"),
        (f"{DATA}{SET}[cluster]\nthresholds = [0.9, 0.9]", "say each of them once"),
        (f"{DATA}{SET}[cluster]\nmin_cluster_size = 1", "it must be at least 2"),
        (f"{DATA}{SET}[fetch]\nquality = true", "True is not a whole number"),
        (f"{DATA}{SET}[clip]\nmodel = 5", "5 is not a text in quotes"),
        (
            f"{DATA}{SET}[cluster]\nthresholds = 0.9\n[report]\nthreshold = 0.5",
            "0.5 is not one of cluster.thresholds",
        ),
        (
            f"{DATA}{SET}threshold = 0.8\n[cluster]\nthresholds = 0.9",
            "keyword_set[1]: threshold: 0.8 is not one of cluster.thresholds",
        ),
        (f"{DATA}{SET}[report]\nthreshold = 1.5", "1.5 is out of range; it must be between"),
        (f"cluster = 3\n{DATA}{SET}", "3 is not a table; write [cluster]"),
        (f"{DATA}{SET}{SET}", "'star' is used twice"),
        (f'{DATA}[[keyword_set]]\nname = "a"', "say include = [...]"),
        (f'{DATA}[[keyword_set]]\nname = "a"\ninclude = ["!!"]', "'!!' has no letter or digit"),
        (f'{DATA}[[keyword_set]]\nname = "a"\nany = ["*"]', '"*" belongs into include'),
        (f'{DATA}{SET}parent = "moon"', "'moon' is no keyword set; there are: star"),
        (f'folder = "x"\n{DATA}{SET}', "folder: unknown key"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="memtriggers init"):
        load_study(tmp_path / "none.toml")


def test_defaults_and_paths(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(DATA + SET, encoding="utf-8")
    study = load_study(path)
    assert study.path("../x/*.parquet") == str(tmp_path.parent / "x" / "*.parquet")
    assert study.path("s3://bucket/x.parquet") == "s3://bucket/x.parquet"
    assert study.cluster.thresholds is None


def test_a_hash_changes_with_its_section_only(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(DATA + SET, encoding="utf-8")
    before = load_study(path).hashes(("data", "keyword_set", "cluster"))
    path.write_text(DATA + SET.replace('["star"]', '["moon"]'), encoding="utf-8")
    after = load_study(path).hashes(("data", "keyword_set", "cluster"))
    assert {key for key in before if before[key] != after[key]} == {"keyword_set"}
