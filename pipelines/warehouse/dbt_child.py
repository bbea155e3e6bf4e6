"""The child process of `build`: runs dbt's command line, and ends when its parent does."""

import os
import threading


def end_with_parent() -> None:
    """Wait for the end of stdin, a pipe that the parent holds open for as long as it lives."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from dbt.cli.main import cli

    cli()
