"""OCPP 1.6 is there as a whole: its messages, the certification cases and the page that tells of them."""

import re
from itertools import groupby
from pathlib import Path

from chargers.choices import OcppVersion
from csms.versions import v16
from tasks import schemas
from tasks.actions import ACTIONS
from tests.conformance.ocpp16.cases import CASES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ocpp16.md").read_text(encoding="utf-8")
V16 = OcppVersion.V16
COMMANDS = {action.name for action in ACTIONS if action.version == V16}
TESTS = [
    name
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def rows(section: str) -> dict[str, list[str]]:
    """Return the rows of a section's table, by their first cell."""
    [text] = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in cells[1:]}


def test_every_message_goes_one_way_or_both() -> None:
    assert set(v16.VERSION.handlers) | COMMANDS == set(schemas.actions(V16))
    # The only one that either side may send.
    assert set(v16.VERSION.handlers) & COMMANDS == {"DataTransfer"}


def test_every_case_of_the_central_system_is_played() -> None:
    played = [match[1] for name in TESTS if (match := re.match(r"test_tc_(\d{3}(?:_\d)?)_[a-z]", name))]
    assert sorted(case for case, _ in groupby(played)) == sorted(CASES)


def test_the_page_has_a_row_for_every_message() -> None:
    assert list(rows("From the station")) == sorted(v16.VERSION.handlers)
    assert list(rows("To the station")) == sorted(COMMANDS)


def test_every_test_that_the_page_names_is_there() -> None:
    cells = [row[-1].strip("`") for section in ("From the station", "To the station") for row in rows(section).values()]
    assert [name for name in cells if name not in TESTS] == []
