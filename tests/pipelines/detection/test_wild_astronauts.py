"""43 photographs of astronauts, labelled by eye: captions that never name the flag they show."""

import csv
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

WILD = Path(__file__).parents[4] / "shared" / "data" / "wild-astronauts"
FLAG = """
[[object]]
name = "US flag"
phrases = ["us flag", "american flag", "stars and stripes", "flag"]
labels = "flags.csv"
"""


@pytest.mark.usefixtures("two_tiles")
@pytest.mark.skipif(not WILD.is_dir(), reason="needs ../shared/data/wild-astronauts")
def test_every_caption_counts_as_not_naming_the_flag_and_errors_are_printed(
    tmp_path: Path,
    lake: Lake,
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    cluster: str,
) -> None:
    rows: list[dict[str, Any]] = pq.read_table(WILD / "metadata.parquet").to_pylist()
    with tarfile.open(WILD / "images.tar") as tar:
        tar.extractall(tmp_path / "images", filter="data")
    files = {path.stem: path.name for path in (tmp_path / "images").iterdir()}
    paths = [files[row["key"]] for row in rows]
    table = pa.table({"URL": paths, "TEXT": [row["TEXT"] for row in rows]})
    pq.write_table(table, tmp_path / "astronauts.parquet")
    study = make_study(
        data='image_root = "images"', sections=FLAG, astronaut={"include": ["astronaut"]}
    )
    run_stages(study, "filter", "fetch")
    samples = pq.read_table(lake.samples, columns=["sample_id", "url"]).to_pylist()
    ids = {row["url"]: row["sample_id"] for row in samples}
    with (tmp_path / "flags.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("sample_id", "shows"))
        for row, path in zip(rows, paths, strict=True):
            if row["us_flag"] != "unclear":
                writer.writerow((ids[path], row["us_flag"] in ("flag", "patch")))
    options = ["--study", str(tmp_path / "study.toml"), "--lake", str(lake.root)]
    options += ["--scheduler", cluster]
    output = CliRunner().invoke(cli, ["objects", *options], catch_exceptions=False).output
    print(output)
    assert "precision  recall  specificity" in output
    detections = pq.read_table(lake.object_detections).to_pylist()
    assert len(detections) == 43 and not any(row["is_named"] for row in detections)
    (rate,) = pq.read_table(lake.object_rates).to_pylist()
    assert rate["n"] == 43
    errors = pq.read_table(lake.object_detectors).to_pylist()[0]
    assert (errors["n_labelled_with"], errors["n_labelled_without"]) == (32, 6)
    assert errors["precision"] is not None and errors["sensitivity"] is not None
