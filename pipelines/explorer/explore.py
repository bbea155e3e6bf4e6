"""explore: the published tables and images as pages on this machine, and what a person decides."""

from pathlib import Path

from ..core.errors import MissingExtra
from ..core.lake import Lake
from ..core.study_file import load_study


def explore(lake: Lake, study_file: Path | None, host: str, port: int) -> None:
    """Serve the pages until Ctrl-C.

    Args:
        lake: with a published build.
        study_file: says by which model is searched; None: the pages do without.
        host: to listen on; others than this machine's own need the token that is printed.
        port: 0 takes one that is free.

    Raises:
        LakeError: nothing is published yet, or the port cannot be had.
        StudyError: the study cannot be read.
        MissingExtra: the extra is not installed.

    """
    lake.require_build()
    study = None if study_file is None else load_study(study_file)
    try:
        import python_multipart  # noqa: F401  Starlette asks for it with the first form

        from .serving import serve
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"explore needs the package {error.name}; install: pip install 'memtriggers[explore]'"
        ) from None
    serve(lake, study, host, port)
