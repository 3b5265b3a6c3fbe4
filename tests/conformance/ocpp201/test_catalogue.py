"""OCPP 2.0.1 is there as a whole: its messages, the certification cases and the page that tells of them."""

import re
from pathlib import Path

import pytest

from tests.conformance.ocpp201.cases import CASES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ocpp201.md").read_text(encoding="utf-8")
TESTS = [
    name
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("block", CASES)
def test_every_case_of_a_block_is_played(block: str) -> None:
    played = {match[1] for name in TESTS if (match := re.match(rf"test_tc_{block.lower()}_(\d\d)_csms_", name))}
    assert sorted(CASES[block].keys() - played) == []


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"\| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    assert named
    assert [name for name in named if name not in TESTS] == []
