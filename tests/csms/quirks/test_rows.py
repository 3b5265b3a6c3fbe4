"""docs/quirks.md, the tests of this package and the code tell of the same habits."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "quirks.md").read_text(encoding="utf-8")
# The groups that concern a session, and how many habits each has.
GROUPS = {"TR": 14, "FR": 15, "BO": 16, "ID": 5, "TX": 19, "MV": 18, "CF": 11, "FW": 5, "SC": 7, "V2": 12}
HABITS = [f"{group}-{number:02}" for group, count in GROUPS.items() for number in range(1, count + 1)]

ROWS = {
    cells[0]: cells
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z][A-Z2]-\d\d \|", line)
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
TESTS = [
    name
    for path in Path(__file__).parent.glob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
]
SOURCES = [*(ROOT / "csms").rglob("*.py"), *(ROOT / "chargers" / "services").glob("*.py")]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
FLAGS = (ROOT / "chargers" / "choices.py").read_text(encoding="utf-8")


def covers(test: str, habit: str) -> bool:
    return re.search(rf"_{habit.lower().replace('-', '_')}_", test) is not None


def test_the_page_has_a_row_for_every_habit() -> None:
    assert list(ROWS) == HABITS
    for cells in ROWS.values():
        assert len(cells) == 6
        assert all(cells[1:4])


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_has_a_test_or_a_reason_for_none(habit: str) -> None:
    told = ROWS[habit][5]
    if told.startswith("none: "):
        assert not any(covers(test, habit) for test in TESTS)
        return
    name = told.strip("`")
    assert covers(f"{name}_", habit)
    assert any(test.startswith(f"{name}_") for test in TESTS)


def test_every_test_is_of_a_habit_that_there_is() -> None:
    named = [test for test in TESTS if re.match(r"test_[a-z][a-z2]_\d\d_", test)]
    assert [test for test in named if not any(covers(test, habit) for habit in HABITS)] == []


def test_every_deviation_that_the_page_names_is_one_of_the_code_and_the_reverse() -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", PAGE))
    noted = set(
        re.findall(
            r'(?:[nN]ote\(\s*|append\(\s*|deviation = |NOT_KEPT = |WITHOUT_EFFECT = |else )"([a-z]+(?:-[a-z0-9]+)+)"',
            CODE,
        )
    )
    noted |= set(re.findall(r'"((?:time|clock|json)-[a-z-]+)"', CODE))
    assert noted - named == set()
    assert {name for name in named if f'"{name}"' not in CODE} == set()


def test_every_flag_that_the_page_names_is_one_of_transactions() -> None:
    named = {word for cells in ROWS.values() for word in re.findall(r"(?<![`\w])[a-z]+(?:_[a-z]+)+(?![`\w])", cells[4])}
    assert {flag for flag in named if f'"{flag}"' not in FLAGS} == set()
