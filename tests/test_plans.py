"""Nothing that goes on all the time reads a table that grows without end from end to end."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from tests.bench import history, plans

pytestmark = pytest.mark.django_db

# Large enough for indexes to be worth it, and made within seconds.
READINGS = 20_000
# Where reading in order is no mistake: a page of a frequent thing is soon full, and of so few transactions it is
# cheaper to read all than to look up those of thousands of rows, one by one.
IN_ORDER = frozenset(
    {
        "transaction/, of the busiest station",
        "statusnotification/<busiest station>/",
        "task/, of an action",
        "prune transaction events",
        "prune meter values",
    }
)
# Lists of all there is tell exactly how many rows that are.
COUNTED = {
    "transaction/": {"chargers_transaction"},
    "event/": {"chargers_event"},
    "securityevent/": {"chargers_securityevent"},
    "task/": {"tasks_command"},
}


@pytest.fixture
def place(db: None, monkeypatch: pytest.MonkeyPatch) -> plans.Place:
    """Years of history, few as the rows may be, in a database that looks up what it can."""
    history.fill(READINGS, now=datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    monkeypatch.setattr(plans, "TOLERATED", 50)
    return plans.Place.of_history()


def of_each(found: dict[str, dict[str, plans.Found]], member: str) -> dict[str, Any]:
    return {
        name: value
        for uses in found.values()
        for name, each in uses.items()
        if (value := getattr(each, member)) and name not in IN_ORDER
    }


def test_stations_beat_lists_and_the_admin_find_what_they_need_by_an_index(place: plans.Place) -> None:
    found = plans.find(place)
    assert of_each(found, "failure") == {}
    if connection.vendor == "postgresql":
        assert of_each(found, "whole") == {}
        counted = of_each(found, "counted")
        assert {name: tables for name, tables in counted.items() if tables != COUNTED.get(name)} == {}
    else:
        # Without a sequence of its own that could be turned off, SQLite reads small tables whole.
        assert "chargers_metervalue" not in set().union(*of_each(found, "whole").values())


def test_a_statement_that_reads_a_whole_table_is_found_out(place: plans.Place) -> None:
    statement = 'SELECT * FROM "chargers_metervalue" WHERE energy_wh = %s'
    assert plans.whole_tables(statement, [1]) == {"chargers_metervalue"}
    by_key = 'SELECT * FROM "chargers_metervalue" WHERE id = %s'
    assert plans.whole_tables(by_key, [1]) == set()
    if connection.vendor == "postgresql":
        # The newest that nobody has: the index is read in its order to the end.
        walk = "SELECT * FROM chargers_metervalue WHERE energy_wh = %s ORDER BY id DESC LIMIT 1"
        assert plans.whole_tables(walk, [-1]) == {"chargers_metervalue"}
