"""The list of faults is one that can be made: what each changes stands there once."""

from pathlib import Path

import pytest

from memtriggers.tests.faults import FAULTS, Fault

TESTS = Path(__file__).parent


def test_there_are_twenty_of_different_names() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_made(fault: Fault) -> None:
    text = (TESTS.parent / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1 and fault.right != fault.wrong
    assert (TESTS / fault.tests.split()[0]).is_file()
