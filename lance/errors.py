"""What the vector store refuses, each as one line; who calls it says so to the user in its own way.

StoreError
└── MissingPackage  pylance or LanceDB, which a base install leaves out
"""


class StoreError(Exception):
    """A table that is missing, damaged or of an earlier version; names its folder and the fix."""


class MissingPackage(StoreError):
    """A package that the tables need; says which extra to install."""
