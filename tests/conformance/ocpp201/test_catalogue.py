"""OCPP 2.0.1 is there as a whole: its messages, the certification cases and the page that tells of them."""

import re
from collections import Counter
from pathlib import Path

import pytest

from chargers.choices import OcppVersion
from csms.versions.v201 import VERSION
from tasks.actions import ACTIONS
from tasks.schemas import actions
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


def test_every_message_has_a_row_that_says_what_becomes_of_it_and_a_test() -> None:
    rows = re.findall(r"^\| (\w+) \|(.*)\| `test_\w+` \|$", PAGE, re.MULTILINE)
    told = Counter(name for name, said in rows if said.replace("|", "").strip())
    commands = {row.name for row in ACTIONS if row.version == OcppVersion.V201}
    messages = set(VERSION.handlers)
    assert commands | messages == actions(OcppVersion.V201)
    assert told == Counter([*commands, *messages])


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"\| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    assert named
    assert [name for name in named if name not in TESTS] == []
