"""Forks the Dask workers of tests from a process that has imported what each of them would."""

from multiprocessing import forkserver, get_context


def fork_workers() -> None:
    """Let the workers that this process starts from now on be forked."""
    import dask

    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    get_context("forkserver").set_forkserver_preload(["distributed", "open_clip"])
    forkserver.ensure_running()  # before distributed names what is to be imported
