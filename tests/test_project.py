"""What the project says of itself: CI, how to cite it, what is bundled, what is deprecated."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from memtriggers import __version__

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NOTICE = (ROOT / "NOTICE").read_text("utf-8")
IN_THE_WHEEL = ("lance", "models", "pipelines", "sample", "sql", "studies")
OF_CODE = {"", ".py", ".pyc", ".sql", ".yml", ".md", ".sqlfluff"}


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """The one job of the workflow."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert "permissions" not in job
    found: dict[str, Any] = job
    return found


def test_ci_runs_what_people_run_on_every_python_that_is_promised(job: dict[str, Any]) -> None:
    name = "Programming Language :: Python :: "
    promised = [c.removeprefix(name) for c in PROJECT["classifiers"] if c.startswith(name)]
    assert job["strategy"]["matrix"] == {"python": promised}
    assert PROJECT["requires-python"] == f">={promised[0]}"
    runs = [step["run"] for step in job["steps"] if "run" in step]
    locked = "LOCK=requirements/lock.txt"
    assert runs[-1] == f"make check PYTHON=python${{{{ matrix.python }}}} {locked}"
    assert f"make check {locked}\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert job["timeout-minutes"] > 0


def requirements(*extras: str) -> dict[str, Requirement]:
    """What an install with these extras asks for, by name."""
    listed = list(PROJECT["dependencies"])
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    found = {canonicalize_name(r.name): r for r in map(Requirement, listed)}
    more = found.pop("memtriggers", None)
    return found | (requirements(*more.extras) if more else {})


def versions(file: str) -> dict[str, Version]:
    lines = (ROOT / "requirements" / file).read_text("utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(r.name): Version(str(r.specifier).removeprefix("==")) for r in pinned}


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("lock.txt", ("all", "dev")),
        ("lowest.txt", ("all", "dev")),
        ("lowest-base.txt", ("explore",)),
    ],
)
def test_exact_versions_are_of_what_an_install_asks_for(file: str, extras: tuple[str, ...]) -> None:
    asked, exact = requirements(*extras), versions(file)
    assert len(asked) >= 13 and asked.keys() <= exact.keys(), "make lock"
    assert {name for name, r in asked.items() if exact[name] not in r.specifier} == set()
    without_bound = {name for name, r in asked.items() if ">=" not in str(r.specifier)}
    assert without_bound == set()
    text = (ROOT / "requirements" / file).read_text("utf-8")
    assert "://" not in text and " @ " not in text, "versions, no addresses"


def test_ci_uses_actions_of_one_major_version(job: dict[str, Any]) -> None:
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what 1.2.0 requires
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation["version"] == __version__
    assert citation["authors"] == PROJECT["authors"]
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    (paper,) = re.findall('"(.+)"', citation["abstract"])
    assert f'"{paper}"' in readme


def named_folders() -> list[str]:
    """The folders above each paragraph of NOTICE."""
    lines = [line for line in NOTICE.splitlines() if line.endswith("/") and line[0] != " "]
    return [folder.rstrip("/") for line in lines for folder in line.split(", ")]


def test_the_notice_names_every_folder_of_bundled_data() -> None:
    named = {ROOT / folder for folder in named_folders()}
    assert [folder for folder in named if not folder.is_dir()] == []
    files = [file for top in IN_THE_WHEEL for file in (ROOT / top).rglob("*")]
    data = {file.parent for file in files if file.is_file() and file.suffix not in OF_CODE}
    assert {folder for folder in data if named.isdisjoint((folder, *folder.parents))} == set()


def test_the_notice_points_to_every_page_on_data() -> None:
    pages = [
        page.relative_to(ROOT).as_posix()
        for top in IN_THE_WHEEL
        for page in (ROOT / top).rglob("*.md")
        if page.name in ("SOURCE.md", "README.md")
    ]
    said = " ".join(NOTICE.split())
    assert pages and [page for page in pages if f"See {page}." not in said] == []
    assert {str(Path(page).parent) for page in pages} <= set(named_folders())


def test_licence_and_notice_go_into_the_wheel() -> None:
    assert PROJECT["license-files"] == ["LICENSE", "NOTICE"]
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])


def deprecations_in_code() -> set[tuple[str, ...]]:
    """Of each DeprecationWarning, and of each line on stderr for who types a command.

    What is deprecated, what to use, when it goes.
    """
    found = set()
    for top in ("lance", "pipelines"):
        for file in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                text = "".join(
                    str(part.value) for part in node.args[:1] if isinstance(part, ast.Constant)
                )
                said = re.fullmatch(r"(.+) goes with ([\d.]+); \w+ (.+)", text)
                assert said or "DeprecationWarning" not in ast.dump(node), f"{file}: {text}"
                if said:
                    found.add((said[1], said[3], said[2]))
    return found


def test_what_is_deprecated_is_listed_and_goes_when_it_says() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (table,) = re.findall(r"\| deprecated .+\n\|[-|]+\n((?:\|.+\n)*)", text)
    rows = {
        tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        for line in table.splitlines()
    }
    assert rows == deprecations_in_code()
    now = tuple(map(int, __version__.split(".")[:2]))
    overdue = [row for row in rows if tuple(map(int, row[2].split("."))) <= now]
    assert overdue == []


def test_the_changelog_has_a_dated_section_for_every_version_but_the_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head) for head in heads[1:])
    assert heads[1].startswith(f"[{__version__}]")
