"""What stations are found unable to do."""

from datetime import UTC, datetime, timedelta

import pytest

from chargers.changes import Changes
from chargers.choices import LimitationKind
from chargers.models import Limitation
from chargers.services import limitations
from chargers.values import LimitationReport
from tests.api import rows

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEED = ("trigger", "Heartbeat")


def report(
    reason: str = "answered Rejected", *, minute: int = 0, certain: bool = False, station: str = "CP001"
) -> Changes:
    changes = Changes()
    at = NOON + timedelta(minutes=minute)
    value = LimitationReport(station, LimitationKind.TRIGGER, "Heartbeat", reason, at, certain)
    assert limitations.record([value], changes) == [None]
    return changes


def test_a_refusal_is_certain_when_it_comes_the_third_time() -> None:
    rows.station()
    for minute in range(2):
        assert report(minute=minute).rows == {"chargepoint": {"CP001": "updated"}}
        assert limitations.certain("CP001", [NEED]) is None
    report(minute=2)
    known = limitations.certain("CP001", [("action", "Reset"), NEED])
    assert known is not None
    assert (known.count, known.first_seen, known.last_seen) == (3, NOON, NOON + timedelta(minutes=2))
    (facts,) = limitations.facts(["CP001"], Changes())
    assert facts.limitations == {NEED}


def test_what_a_station_says_of_itself_is_certain_at_once_and_stays_so() -> None:
    rows.station()
    report("answered NotImplemented", certain=True)
    report("answered Rejected")
    assert Limitation.objects.get().is_certain
    assert limitations.certain("CP001", [("trigger", "BootNotification")]) is None


def test_success_clears_it_and_is_no_news_where_nothing_was_known() -> None:
    rows.station()
    report()
    assert report("").rows == {"chargepoint": {"CP001": "updated"}}
    assert not Limitation.objects.exists()
    assert report("").rows == {}


def test_a_station_that_was_deleted_meanwhile_has_none() -> None:
    assert report(station="GONE").rows == {}
    assert not Limitation.objects.exists()


def test_forgetting_leaves_other_stations_alone() -> None:
    rows.limitation(rows.station())
    rows.limitation(rows.station("CP2"))
    changes = Changes()
    limitations.forget("CP001", changes)
    limitations.forget("CP001", changes)
    assert Limitation.objects.get().chargepoint_id == "CP2"
    assert changes.rows == {"chargepoint": {"CP001": "updated"}}


def test_facts_are_what_a_station_told_of_itself() -> None:
    station = rows.station()
    rows.variable(station, "SendLocalListMaxLength", "5")
    rows.variable(station, "AuthorizationKey", None)
    rows.variable(station, "Other", "1", component="EVSE")
    rows.connector(station, 2)
    rows.connector(station, 1)
    rows.variable(rows.station("CP2"), "GetConfigurationMaxKeys", "1")
    facts, none = limitations.facts(["CP001", "NOBODY"], Changes())
    assert dict(facts.variables) == {"sendlocallistmaxlength": "5"}
    assert list(facts.evses) == [1, 2]
    assert (dict(none.variables), none.limitations, list(none.evses)) == ({}, frozenset(), [])
