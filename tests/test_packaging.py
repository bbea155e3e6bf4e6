"""The wheel works from any directory, and the base install works without torch."""

import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from memtriggers.tests.processor import measured, of_children

ROOT = Path(__file__).parents[1]
NEEDED = (
    "sql/captions/macros.sql", "models/dbt_project.yml", "models/profiles.yml", "studies/demo.toml",
    "sample/openclipart.parquet", "sample/clip/open_clip_model.safetensors", "lance/store.py",
    "pipelines/captions/data/stop_words.json", "pipelines/page/templates/report.html.jinja",
    "pipelines/page/templates/evaluation.html.jinja", "sample/clip/recommended_threshold.json",
    "studies/openclipart.toml", "studies/demo_prompts.csv", "sample/planted/planted.parquet",
    "sample/diffusion/unet/diffusion_pytorch_model.safetensors",
    "pipelines/explorer/templates/cluster.html.jinja", "pipelines/explorer/static/slider.js",
    "sql/explore/clusters.sql", "sql/build/previous_samples.sql",
    "sample/validation/results/risk_fit.json", "sample/validation/results/risk_fit.csv",
)  # fmt: skip
_OUTSIDE = shutil.ignore_patterns(".git", ".venv", ".types", "*cache*", "*.egg-info")


def outside(folder: str, names: list[str]) -> set[str]:
    """What is no part of the tree; further down, `build` is a stage."""
    made = {"build", "dist"} if Path(folder) == ROOT else set()
    return _OUTSIDE(folder, names) | made


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the tree stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "tree", ignore=outside, symlinks=True)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        folder,
        folder / "tree",
        cwd=folder,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has only the base install."""
    folder = tmp_path_factory.mktemp("base")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "pip", "install", "-q", wheel, cwd=folder)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[1] for name in names if name.startswith("memtriggers/")}
    assert folders == {
        "__init__.py", "__main__.py", "py.typed",
        "lance", "models", "pipelines", "sample", "sql", "studies",
    }  # fmt: skip
    assert {f"memtriggers/{needed}" for needed in NEEDED} <= set(names)
    assert "memtriggers/lance/__init__.py" not in names
    assert not [n for n in names if n.startswith("memtriggers/sample/") and n.endswith(".py")]
    assert wheel.stat().st_size <= 45_000_000


@pytest.mark.slow
def test_the_demo_finds_its_rows_and_its_model_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    studies = tmp_path / "memtriggers" / "studies"
    study = tomllib.loads((studies / "demo.toml").read_text("utf-8"))
    rows, prompts = study["data"]["rows"], study["prompts"]["file"]
    model = Path(study["generator"]["model"])
    for path in (rows, prompts, model / "model_index.json", model / "recipe.json"):
        assert (studies / path).is_file(), path
    parts = {path.parent.name for path in (studies / model).rglob("*.safetensors")}
    assert parts == {"text_encoder", "unet", "vae"}


def test_every_folder_is_declared() -> None:
    """setuptools greets a newcomer with forty lines for each folder that is not and could be."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    top = ("lance", "models", "pipelines", "sample", "sql", "studies")
    folders = {path for name in top for path in (ROOT / name).rglob("*/")} | {ROOT / n for n in top}
    names = [path.relative_to(ROOT).parts for path in folders if path.is_dir()]
    expected = {
        ".".join(("memtriggers", *n))
        for n in names
        if "__pycache__" not in n and all(map(str.isidentifier, n))
    }
    assert set(project["tool"]["setuptools"]["packages"]) == expected | {"memtriggers"}


def test_lance_is_still_pylance_from_the_root() -> None:
    printed = run(sys.executable, "-c", "import lance; print(lance.dataset.__module__)", cwd=ROOT)
    assert printed == "lance\n"


@pytest.mark.slow
def test_the_base_install_answers_help_at_once(base: Path, tmp_path: Path) -> None:
    seconds = []
    for _ in range(5):
        with measured(of_children) as used:
            assert "The flow" in run(base / "memtriggers", "--help", cwd=tmp_path)
        seconds += used
    assert min(seconds) < 0.3, "of a processor"


@pytest.mark.slow
def test_the_base_install_filters_counts_builds_and_queries(
    base: Path, tmp_path: Path, write_captions: Callable[..., Path]
) -> None:
    write_captions("a red star", "a blue star", "a flag", None)
    memtriggers = base / "memtriggers"
    run(memtriggers, "init", "laion.parquet", "--keyword", "star", cwd=tmp_path)
    for stage in ("filter", "words", "build"):
        run(memtriggers, stage, cwd=tmp_path)
    query = "select keyword_set, step, n_samples from funnel order by step_order"
    printed = run(memtriggers, "sql", query, "--format", "csv", cwd=tmp_path)
    assert printed.splitlines()[:2] == ["keyword_set,step,n_samples", "star,matched,2"]
    for package in ("torch", "lance", "dask"):
        command = [base / "python", "-c", f"import {package}"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


@pytest.mark.slow
def test_the_lowest_versions_run_the_base_and_the_explorer(
    wheel: Path, tmp_path: Path, write_captions: Callable[..., Path]
) -> None:
    """What pyproject.toml promises; those with torch are `make test-lowest`."""
    run(sys.executable, "-m", "venv", tmp_path / "lowest", cwd=tmp_path)
    lowest = tmp_path / "lowest" / "bin"
    versions = ROOT / "requirements" / "lowest-base.txt"
    run(lowest / "pip", "install", "-q", "-c", versions, f"{wheel}[explore]", cwd=tmp_path)
    write_captions("a red star", "a blue star", "a flag", None)
    run(lowest / "memtriggers", "init", "laion.parquet", "--keyword", "star", cwd=tmp_path)
    for stage in ("filter", "words", "build"):
        run(lowest / "memtriggers", stage, cwd=tmp_path)
    command = [lowest / "memtriggers", "explore", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}sql") as answer:
                assert answer.status == 200 and b"<textarea" in answer.read()
        finally:
            server.terminate()


@pytest.mark.slow
def test_the_base_install_says_which_extra_is_missing(
    base: Path, tmp_path: Path, write_captions: Callable[..., Path]
) -> None:
    write_captions("a red star")
    run(base / "memtriggers", "init", "laion.parquet", cwd=tmp_path)
    command = [base / "memtriggers", "refresh"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1
    assert "pip install 'memtriggers[embed]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert "fetch" in run(base / "memtriggers", "status", cwd=tmp_path)
    command = [base / "memtriggers", "evaluate", "--sample"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "evaluate needs the package" in done.stderr
    assert "pip install 'memtriggers[embed]'" in done.stderr
    command = [base / "memtriggers", "demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: demo needs the package diffusers; install: pip install 'memtriggers[generate]'\n"
    )
    assert not (tmp_path / "memtriggers-demo").exists()
