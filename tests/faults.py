"""Twenty faults that somebody could make, one line each, and the tests that have to catch them.

`python tests/faults.py` makes each in a copy of the tree, runs those tests there, and says which of
them fails. `--only NAME` tries one, `--all` runs every test of the fast lane for each, and
`--tree FOLDER` takes another checkout, an older one for example.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".types",
    ".*_cache",
    "__pycache__",
    "*.egg-info",
    "memtriggers-*",
)


@dataclass(frozen=True)
class Fault:
    """A text that stands once in a file, what stands there by mistake, and who notices."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str  # what pytest is asked for, below tests/

    def make(self, tree: Path) -> str:
        """Put the fault into a tree; returns the text of the file before."""
        path = tree / self.file
        before = path.read_text(encoding="utf-8")
        assert before.count(self.right) == 1, f"{self.name}: not once in {self.file}: {self.right}"
        path.write_text(before.replace(self.right, self.wrong), encoding="utf-8")
        return before


FAULTS = (
    # Stages.
    Fault(
        "a dirty row speaks for its sample",
        "sql/filter/distinct_samples.sql",
        "order by len(rules) > 0, source_file",
        "order by source_file",
        "pipelines/test_filter.py",
    ),
    Fault(
        "a sample counts once, however many rows it has",
        "sql/filter/distinct_samples.sql",
        "count(*) over (partition by sample_id) as n_rows",
        "count(distinct sample_id) over (partition by sample_id) as n_rows",
        "pipelines/test_filter.py",
    ),
    Fault(
        "what has its vectors is embedded again",
        "sql/embed/samples.sql",
        "and (lacks_image_vector or lacks_caption_vector or lacks_copy_vector)",
        "",
        "pipelines/test_embed.py -k a_second_run",
    ),
    Fault(
        "a seed that has its image is generated again",
        "sql/generate/images.sql",
        "on prompts.prompt_id = generated.prompt_id and seeds.seed = generated.seed",
        "on prompts.prompt_id = generated.prompt_id and seeds.seed > generated.seed",
        "pipelines/generation/test_generate.py -k killed_driver",
    ),
    Fault(
        "what fails its tests is published",
        "pipelines/warehouse/dbt_run.py",
        """        with self._child("build", *NOT_BUILT) as child:
            errors = _read_events(child)
        if child.returncode != 0:""",
        """        with self._child("build", *NOT_BUILT) as child:
            errors = _read_events(child)
        if child.returncode > 1:""",
        "pipelines/test_build.py -k failing_data_test",
    ),
    # SQL.
    Fault(
        "the smallest picture is kept as the best",
        "models/marts/clusters/removal_list.sql",
        "arg_min(sample_id, (-n_pixels, sample_id)) as best",
        "arg_min(sample_id, (n_pixels, sample_id)) as best",
        "models/test_marts.py",
    ),
    Fault(
        "the funnel forgets what was never fetched",
        "models/marts/corpus/funnel.sql",
        "when status in ('pending', 'fetch_failed') then 'fetched'",
        "when status = 'fetch_failed' then 'fetched'",
        "models/test_marts.py",
    ),
    Fault(
        "a cluster of the least size is none of the parent's",
        "models/marts/clusters/keyword_clusters.sql",
        "parents.n_samples >= {{ env_var('MEMTRIGGERS_MIN_CLUSTER_SIZE', '2') }}",
        "parents.n_samples > {{ env_var('MEMTRIGGERS_MIN_CLUSTER_SIZE', '2') }}",
        "models/test_marts.py",
    ),
    Fault(
        "a distance at its threshold is no copy",
        "models/macros/is_copy.sql",
        "{{ score }} <= {{ threshold }}",
        "{{ score }} < {{ threshold }}",
        "pipelines/replication/test_rates.py",
    ),
    # Statistics.
    Fault(
        "Wilson's interval is one of 90 %",
        "pipelines/clusters/intervals.py",
        "z: Floats | float = 1.959964",
        "z: Floats | float = 1.644854",
        "pipelines/clusters/test_intervals.py",
    ),
    Fault(
        "the published interval is that of the normal distribution",
        "models/macros/wilson.sql",
        "+ 1.959964 ^ 2 / (4.0 * {{ trials }} * {{ trials }})",
        "+ 0 * 1.959964 ^ 2 / (4.0 * {{ trials }} * {{ trials }})",
        "pipelines/replication/test_rates.py",
    ),
    Fault(
        "many objects are tested as if it were one",
        "pipelines/detection/candidates.py",
        'q = stats.false_discovery_control(p, method="bh")',
        "q = p",
        "pipelines/detection/test_rates.py",
    ),
    Fault(
        "the medoid is the member that is farthest from the others",
        "pipelines/clusters/medoids.py",
        "candidates = np.flatnonzero(mean >= best[at] - _TIE)",
        "candidates = np.flatnonzero(mean <= best[at] - _TIE)",
        "pipelines/clusters/test_medoids.py",
    ),
    # Pages.
    Fault(
        "captions are markup",
        "pipelines/page/html.py",
        "autoescape=True",
        "autoescape=False",
        "pipelines/explorer/test_server.py -k captions_are_text",
    ),
    Fault(
        "control characters reach the page",
        "pipelines/page/answers.py",
        '" ".join(str(value).translate(_CONTROLS).split())',
        '" ".join(str(value).split())',
        "pipelines/page/test_answers.py",
    ),
    Fault(
        "escape sequences reach the terminal",
        "pipelines/core/terminal.py",
        'c if c.isprintable() else c.encode("unicode_escape").decode()',
        'c if c.isprintable() or c == "\\x1b" else c.encode("unicode_escape").decode()',
        "pipelines/test_sql.py -k control_characters",
    ),
    # Safety.
    Fault(
        "a redirect may lead inside",
        "pipelines/images/web.py",
        """        for _ in range(1 + _MAX_REDIRECTS):
            check_host(url, allow_private=self._settings.allow_private_hosts)
""",
        """        check_host(url, allow_private=self._settings.allow_private_hosts)
        for _ in range(1 + _MAX_REDIRECTS):
""",
        "pipelines/images/test_web.py -k redirect",
    ),
    Fault(
        "a form of another site is taken for ours",
        "pipelines/explorer/guard.py",
        'if headers.get("origin") != f"http://{host}":',
        'if not headers.get("origin", "").startswith(f"http://{host}"):',
        "pipelines/explorer/test_server.py -k other_sites",
    ),
    Fault(
        "a query of the explorer reads any file",
        "pipelines/explorer/published.py",
        '"enable_external_access": "false"',
        '"enable_external_access": "true"',
        "pipelines/explorer/test_server.py -k box_reads",
    ),
    Fault(
        "pickled weights are loaded",
        "pipelines/generation/model.py",
        'if not any(part.glob("*.safetensors")):',
        "if not any(part.iterdir()):",
        "pipelines/generation/test_refusals.py -k pickled",
    ),
)


def catch(fault: Fault, tree: Path, everything: bool) -> list[str]:
    """Make a fault in a copy of the tree and return the tests that fail."""
    before = fault.make(tree)
    try:
        return failures(tree, [] if everything else fault.tests.split(" ", 1))
    finally:
        (tree / fault.file).write_text(before, encoding="utf-8")


def failures(tree: Path, asked: Sequence[str]) -> list[str]:
    """The tests of a tree that fail, of those asked for: a file and, behind it, options."""
    file, options = (asked[0], asked[1].split(" ", 1) if asked[1:] else []) if asked else ("", [])
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-rfE", "-p", "no:cacheprovider"]
    command += [f"tests/{file}", *options]
    if "slow:" in (tree / "pyproject.toml").read_text(encoding="utf-8"):
        command += ["-m", "not slow"]
    # In front of where the package is installed, for the tests and whatever they start.
    environment = os.environ | {"PYTHONPATH": str(tree.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest cannot run {' '.join(asked)}:\n{done.stdout}{done.stderr}")
    return re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="the fault of this name")
    parser.add_argument("--all", action="store_true", help="run the whole fast lane for each")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout")
    given = parser.parse_args()
    chosen = [fault for fault in FAULTS if given.only in (None, fault.name)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "memtriggers"
        shutil.copytree(given.tree, tree, ignore=_LEFT_OUT, symlinks=True)
        for fault in chosen:
            found = catch(fault, tree, given.all)
            missed += not found
            print(f"{fault.name}: {found[0] if found else 'NOT CAUGHT'}", flush=True)
    raise SystemExit(f"{missed} of {len(chosen)} were not caught" if missed else 0)


if __name__ == "__main__":
    main()
