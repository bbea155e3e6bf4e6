"""`python -m memtriggers` is the command line."""

from .pipelines.cli import main

main()
