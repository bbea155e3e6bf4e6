"""Ten readers ask the example queries in a loop while one build after the other is published.

python benchmarks/readers.py --lake memtriggers-demo --study studies/demo.toml
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

READ = """
import json, sys, time
from memtriggers import Lake
from memtriggers.pipelines.asking.examples import bind_example, examples
lake, until, seconds, builds = Lake(sys.argv[1]), time.time() + float(sys.argv[2]), [], set()
queries = [bind_example(name, {}) for name in examples()]
while time.time() < until:
    for text, values in queries:
        started = time.perf_counter()
        lake.sql(text, values).fetchall()
        seconds.append(time.perf_counter() - started)
    builds.add(lake.sql("select build from build_info").fetchone()[0])
print(json.dumps([seconds, sorted(builds)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", required=True, help="a lake that is up to date")
    parser.add_argument("--study", required=True)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    command = [sys.executable, "-c", READ, options.lake, str(options.seconds)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(options.readers)
    ]
    n_builds = build_for(options.seconds, Path(options.lake), Path(options.study))
    seconds, seen = [], set()
    for reader in readers:
        output, _ = reader.communicate()
        if reader.returncode != 0:
            sys.exit("a reader failed")
        answered, builds = json.loads(output)
        seconds += answered
        seen |= set(builds)
    print(
        f"{n_builds} builds published; {options.readers} readers, {len(seconds):,} answers of "
        f"{len(seen)} builds, no error; median {statistics.median(seconds):.3f} s, "
        f"slowest {max(seconds):.3f} s"
    )


def build_for(seconds: float, lake: Path, study: Path) -> int:
    """Build and publish in a loop; returns how often."""
    until, n_builds = time.monotonic() + seconds, 0
    command = [sys.executable, "-m", "memtriggers", "build", "--lake", str(lake)]
    command += ["--study", str(study)]
    while time.monotonic() < until:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        n_builds += 1
    return n_builds


if __name__ == "__main__":
    main()
