"""A worker that joins the cluster of all tests for a while, as one on another host does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

Worker = subprocess.Popen[bytes]


@contextmanager
def second_worker(cluster: str, folder: Path, threads: int = 1) -> Iterator[Worker]:
    """Start it and wait until it has joined; its process is ended after the block.

    Args:
        cluster: the address of a scheduler with one worker.
        folder: an empty one, for its files.
        threads: tasks that it runs at once.

    """
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster, "--no-nanny"]
    command += ["--host", "127.0.0.1", "--no-dashboard", "--nthreads", str(threads)]
    command += ["--local-directory", str(folder), "--memory-limit", "0"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        with Client(cluster) as client:
            client.wait_for_workers(2)
        yield process
    finally:
        process.terminate()
        process.wait()
