"""The study that init writes can be read, run and edited."""

from collections.abc import Callable
from pathlib import Path

import pytest

from memtriggers.pipelines.core.errors import SourceError, StudyError
from memtriggers.pipelines.core.study import Clip, Cluster, Fetch, KeywordSet
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.init import write_study


def test_what_it_writes_is_what_it_was_told(
    tmp_path: Path, write_captions: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_captions("a star")
    monkeypatch.chdir(tmp_path)
    for folder in ("studies", "images"):
        (tmp_path / folder).mkdir()
    output = Path("studies/mine.toml")
    keywords = ("van gogh", 'a "quoted" word')
    lines = write_study(("*.parquet",), output, False, keywords, image_root="images")
    study = load_study(output)
    assert study.keyword_set == tuple(KeywordSet(word, (word,)) for word in keywords)
    assert study.path(study.data.rows[0]) == str(tmp_path / "*.parquet")
    assert study.path(study.data.image_root or "") == str(tmp_path / "images")
    assert (study.fetch, study.clip, study.cluster) == (Fetch(), Clip(), Cluster())
    assert lines[0] == "1 row in 1 file (LAION-400M)"


def test_every_key_may_be_uncommented(tmp_path: Path, write_captions: Callable[..., Path]) -> None:
    path = write_captions("a star")
    output = tmp_path / "study.toml"
    write_study((str(path),), output, False, ("van gogh", "star"))
    text = output.read_text("utf-8")
    sections, rest = text.split("[words]")
    output.write_text(sections + "[words]" + rest.replace("\n# ", "\n"), encoding="utf-8")
    study = load_study(output)
    assert study.clip.pretrained == "openai"
    assert study.report.threshold == 0.9
    assert study.score.metrics == ("clip", "clip_tiles", "webster")
    assert [given.replication_threshold for given in study.score.threshold] == [0.83]


def test_no_keyword_takes_everything(tmp_path: Path, write_captions: Callable[..., Path]) -> None:
    output = tmp_path / "study.toml"
    write_study((str(write_captions("a star")),), output, False)
    assert load_study(output).keyword_set == (KeywordSet("everything", ("*",)),)


def test_a_study_is_not_written_over(tmp_path: Path, write_captions: Callable[..., Path]) -> None:
    output = tmp_path / "study.toml"
    parquet = (str(write_captions("a star")),)
    write_study(parquet, output, False)
    with pytest.raises(StudyError, match="--force"):
        write_study(parquet, output, False)
    write_study(parquet, output, True)


def test_nothing_is_written_for_data_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"no")
    with pytest.raises(SourceError, match=r"broken\.parquet"):
        write_study((str(tmp_path / "broken.parquet"),), tmp_path / "study.toml", False)
    assert not (tmp_path / "study.toml").exists()
