"""Which tests run in one process, where two run at a time: those of a file, or of a shared lake.

By their names, not by marks: with pytest 9.2, xdist 3.8 no longer sees the marks of `loadgroup`.
"""

import re
from typing import Any

import pytest

# By what they share, which is made once in one process. What takes longest comes first, so that no
# process works alone at the end.
GROUPS = {
    "demo": r"/test_demo\.py|about_the_demo|\[demo|explorer/test_browser\.py",
    "small lakes": r"^tests/models/|/test_van_gogh\.py|explorer/test_server\.py",
    "clip_art": r"/test_(sql|export|prompts|evaluate|registry)\.py",
    "objects": r"detection/test_objects\.py",
    "astronaut": r"/test_astronaut\.py",
    "hostile": r"/test_report(_browser)?\.py",
}
LAKES = {  # by the fixture that makes them
    **{name: name for name in ("demo", "clip_art", "hostile")},
    **dict.fromkeys(("van_gogh", "built_lake", "rebuilt"), "small lakes"),
}


def group_of(nodeid: str) -> str:
    """The name of a test's group; its file where it has none."""
    names = (name for name, pattern in GROUPS.items() if re.search(pattern, nodeid))
    return next(names, nodeid.partition("::")[0])


def place_of(nodeid: str) -> int:
    """Of the group of a test, among those that come first."""
    return [*GROUPS, group_of(nodeid)].index(group_of(nodeid))


def check_group(item: pytest.Item) -> None:
    """Refuse a test that has a shared lake made where others do not look at it."""
    for lake in LAKES.keys() & set(getattr(item, "fixturenames", ())):
        of_demo = group_of(item.nodeid) == "demo"  # which may look at another lake beside it
        if not of_demo and group_of(item.nodeid) != LAKES[lake]:
            raise pytest.UsageError(
                f"{item.nodeid}: uses {lake}; name it in {LAKES[lake]!r} of tests/groups.py"
            )


def make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler of pytest-xdist that gives each group to one process, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log)
