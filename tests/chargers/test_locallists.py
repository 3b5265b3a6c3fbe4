"""Local lists: what stations should hold, what they are believed to, and what brings them there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from pytest_django import DjangoAssertNumQueries

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, IdTag, Limitation, LocalList
from chargers.models.locallist import MAX_VERSION
from chargers.services import locallists
from chargers.services.locallists import Terms, Wanted
from chargers.values import ListChange, ListEntry, ListRefusal, ListUpdate, ListVersion, ListWish
from tests.api import rows
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db

OK: ListEntry = {"status": "Accepted"}
BLOCKED: ListEntry = {"status": "Blocked"}


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


def the_list(station: str = "CP1") -> LocalList:
    row, _ = LocalList.objects.get_or_create(chargepoint_id=station)
    return row


def update(
    version: int,
    entries: Mapping[str, ListEntry | None],
    *,
    full: bool = False,
    minute: float = 0,
    station: str = "CP1",
) -> LocalList:
    """Let a station take an update; return its list."""
    locallists.keep([ListUpdate(station, version, full, entries, at(minute))], Changes())
    return the_list(station)


def report(version: int, minute: float = 1) -> LocalList:
    locallists.keep_version([ListVersion("CP1", version, at(minute))], Changes())
    return the_list()


def wanted(most: int | None = None, minute: float = 0) -> Mapping[str, ListEntry]:
    return Wanted(at(minute)).entries(Terms(most=most))


# What should be held


def test_a_list_holds_every_tag_as_authorize_would_answer_it() -> None:
    family = rows.tag("FAMILY", expiry_date=at(60) + timedelta(milliseconds=700))
    bad = rows.tag("BAD", revoked=True)
    rows.tag("TAG1")
    rows.tag("04:A1", parent=family, expiry_date=at(30))
    rows.tag("OLD", expiry_date=at(-1))
    rows.tag("CHILD", parent=bad)
    assert wanted() == {
        "FAMILY": {"status": "Accepted", "expiry_date": "2026-01-01T11:00:00Z"},
        "TAG1": OK,
        "04:A1": {"status": "Accepted", "expiry_date": "2026-01-01T10:30:00Z", "parent": "FAMILY"},
        "BAD": BLOCKED,
        "OLD": {"status": "Expired", "expiry_date": "2026-01-01T09:59:00Z"},
        "CHILD": {"status": "Blocked", "parent": "BAD"},
    }
    assert wanted(minute=30)["04:A1"]["status"] == "Expired"


def test_what_is_too_long_for_the_version_is_left_out() -> None:
    rows.tag("X" * 20)
    rows.tag("Y" * 20 + "Z", expiry_date=at(60))
    rows.tag("CHILD", parent=rows.tag("P" * 21))
    assert wanted() == {"X" * 20: OK, "CHILD": OK}


@pytest.mark.parametrize(("most", "kept"), [(None, 5), (5, 5), (9, 5), (3, 3), (1, 1)])
def test_a_station_that_keeps_few_tags_gets_those_that_may_charge(most: int | None, kept: int) -> None:
    for number in range(2):
        rows.tag(f"A{number}", revoked=True)
    for number in range(3):
        rows.tag(f"B{number}")
    entries = wanted(most)
    assert len(entries) == kept
    assert [each["status"] for each in entries.values()][:3] == ["Accepted"] * min(kept, 3)


@pytest.mark.parametrize(
    ("key", "value", "most"),
    [
        ("LocalAuthListMaxLength", "2", 2),
        ("localauthlistmaxlength", " 2 ", 2),
        ("LocalAuthListMaxLength", "0", 3),
        ("LocalAuthListMaxLength", "many", 3),
        ("LocalAuthListMaxLength", None, 3),
        ("SendLocalListMaxLength", "2", 3),
    ],
)
def test_how_many_a_station_keeps_it_tells_in_its_configuration(
    cp1: ChargePoint, key: str, value: str | None, most: int
) -> None:
    for number in range(3):
        rows.tag(f"TAG{number}")
    rows.variable(cp1, key, value)
    told.station("CP2")
    here, elsewhere = locallists.wanted_by([ListWish("CP1", at(0)), ListWish("CP2", at(0))], Changes())
    assert (len(here), len(elsewhere)) == (most, 3)
    [row] = locallists.compare([the_list()], now=at(0))
    assert len(row.wanted) == most


def test_what_should_be_held_is_read_once_for_all(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(30):
        rows.tag(f"TAG{number}", parent=rows.tag(f"PARENT{number}"))
    lists = [the_list(told.station(f"S{number}").pk) for number in range(20)]
    for some in (lists[:1], lists):
        with django_assert_num_queries(2):
            locallists.compare(some, now=at(0))


# What is held


def test_a_full_update_is_all_that_is_held() -> None:
    update(1, {"OLD": OK}, full=True)
    row = update(2, {"A": OK, "B": BLOCKED}, full=True, minute=5)
    assert (row.version, row.entries, row.updated_at) == (2, {"A": OK, "B": BLOCKED}, at(5))
    assert (row.last_outcome, row.failures, row.is_known) == ("Accepted", 0, True)


def test_a_differential_update_adds_changes_and_takes_out() -> None:
    update(1, {"A": OK, "B": OK, "c": OK}, full=True)
    row = update(2, {"B": None, "C": BLOCKED, "D": OK, "NEVER": None})
    # Case does not matter to stations: c and C are one.
    assert row.entries == {"A": OK, "C": BLOCKED, "D": OK}
    assert row.version == 2


def test_changes_of_a_list_that_nobody_knows_leave_it_unknown() -> None:
    row = update(4, {"A": OK})
    assert (row.version, row.entries, row.is_known) == (4, None, False)
    assert update(5, {"B": OK}).entries is None
    assert update(6, {"B": OK}, full=True).entries == {"B": OK}


@pytest.mark.parametrize("version", [3, 2])
def test_changes_that_a_station_should_have_refused_show_that_it_held_something_else(version: int) -> None:
    update(3, {"A": OK}, full=True)
    row = update(version, {"B": OK})
    assert (row.version, row.entries, row.is_known) == (version, None, False)


def test_a_full_update_may_begin_again_at_a_lower_version() -> None:
    update(9, {"A": OK}, full=True)
    assert update(1, {"B": OK}, full=True).version == 1


def test_a_refused_update_changes_nothing_but_what_came_of_it() -> None:
    before = update(1, {"A": OK}, full=True)
    for count in (1, 2):
        locallists.refuse([ListRefusal("CP1", "Failed" * 20)], Changes())
        row = the_list()
        assert (row.version, row.entries, row.digest) == (1, {"A": OK}, before.digest)
        assert (row.last_outcome, row.failures) == (("Failed" * 20)[:60], count)
    assert update(2, {"B": OK}).failures == 0


@pytest.mark.parametrize(
    ("version", "known", "entries"), [(3, True, {"A": OK}), (4, False, {"A": OK}), (2, False, {"A": OK}), (0, True, {})]
)
def test_a_reported_version_confirms_or_contradicts(version: int, known: bool, entries: Mapping[str, Any]) -> None:
    update(3, {"A": OK}, full=True)
    row = report(version)
    assert (row.reported_version, row.reported_at) == (version, at(1))
    assert (row.is_known, row.entries, row.version) == (known, entries, 3)
    # What it takes afterwards counts, whatever it told before.
    assert update(row.next_version, {"B": OK}, full=True, minute=2).is_known


def test_a_list_that_was_emptied_and_tells_so_goes_on_counting() -> None:
    update(3, {}, full=True)
    row = report(0)
    assert (row.is_known, row.next_version) == (True, 4)


def test_a_station_that_keeps_no_list_is_known_to_hold_nothing_by_nobody() -> None:
    row = report(-1)
    assert (row.reported_version, row.version, row.entries, row.is_known) == (-1, None, None, False)


@pytest.mark.parametrize(
    ("version", "reported", "following"),
    [
        (None, None, 1),
        (None, -1, 1),
        (None, 0, 1),
        (4, None, 5),
        (4, 7, 8),
        (4, 2, 5),
        (MAX_VERSION, None, 1),
        (-1, None, 1),
    ],
)
def test_the_next_version_is_above_what_is_held_and_what_is_reported(
    version: int | None, reported: int | None, following: int
) -> None:
    assert LocalList(version=version, reported_version=reported).next_version == following


def test_what_a_deleted_station_answers_is_of_no_consequence(cp1: ChargePoint) -> None:
    cp1.delete()
    locallists.keep([ListUpdate("CP1", 1, True, {}, at(0))], Changes())
    locallists.keep_version([ListVersion("CP1", 1, at(0))], Changes())
    locallists.refuse([ListRefusal("CP1", "Failed")], Changes())
    assert not LocalList.objects.exists()


# How that compares


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"A": OK, "B": BLOCKED}, None),
        ({"a": OK, "b": BLOCKED}, None),
        ({"A": OK}, {"B": BLOCKED}),
        ({"A": OK, "B": OK}, {"B": BLOCKED}),
        ({"A": OK, "B": BLOCKED, "C": OK}, {"C": None}),
        ({}, {"A": OK, "B": BLOCKED}),
    ],
)
def test_the_difference_is_what_a_station_lacks(
    held: Mapping[str, ListEntry], expected: Mapping[str, ListEntry | None] | None
) -> None:
    rows.tag("A")
    rows.tag("B", revoked=True)
    row = update(3, held, full=True)
    change = locallists.change(row, wanted())
    assert change == (None if expected is None else ListChange(4, False, expected))


def test_a_list_that_nobody_knows_is_sent_in_full() -> None:
    rows.tag("A")
    assert locallists.change(the_list(), wanted()) == ListChange(1, True, {"A": OK})
    update(3, {"A": OK}, full=True)
    assert locallists.change(report(7), wanted()) == ListChange(8, True, {"A": OK})


@pytest.mark.parametrize(
    "act",
    [
        lambda: rows.tag("C"),
        lambda: IdTag.objects.get(pk="A").delete(),
        lambda: IdTag.objects.filter(pk="A").update(revoked=True),
        lambda: IdTag.objects.filter(pk="A").update(expiry_date=at(-1)),
        lambda: IdTag.objects.filter(pk="A").update(parent="B"),
        lambda: IdTag.objects.filter(pk="B").update(expiry_date=at(60)),
    ],
    ids=["added", "deleted", "revoked", "expired", "moved", "prolonged"],
)
def test_whatever_happens_to_a_tag_puts_lists_out_of_sync_until_they_take_it(act: Any) -> None:
    rows.tag("A")
    rows.tag("B")

    def in_sync() -> bool:
        [row] = locallists.compare([the_list()], now=at(0))
        return row.in_sync

    update(1, wanted(), full=True)
    assert in_sync()
    act()
    assert not in_sync()
    change = locallists.change(the_list(), wanted())
    assert change is not None
    assert len(change.entries) == 1
    update(change.version, change.entries)
    assert in_sync()


def test_a_tag_that_expires_by_itself_puts_lists_out_of_sync() -> None:
    rows.tag("A", expiry_date=at(30))
    row = update(1, wanted(), full=True)
    assert locallists.change(row, wanted(minute=29)) is None
    change = locallists.change(row, wanted(minute=30))
    assert change is not None
    assert change.entries["A"] == {"status": "Expired", "expiry_date": "2026-01-01T10:30:00Z"}


# Which are kept up to date


def automatic(identity: str, **members: Any) -> LocalList:
    station = rows.station(identity, **{"connected": True, **members})
    return LocalList.objects.create(chargepoint=station, automatic=True)


def candidates() -> list[str]:
    now = rows.timezone.now()
    return [row.chargepoint_id for row in locallists.candidates([OcppVersion.V16], now)]


def test_only_stations_that_can_be_sent_something_are_kept_up_to_date() -> None:
    automatic("GOOD")
    automatic("AWAY", connected=False)
    automatic("LATER", ocpp_version="ocpp2.0.1")
    automatic("PENDING", registration_status="Pending")
    automatic("DEAD", node=rows.node("dead", alive=False))
    LocalList.objects.create(chargepoint=rows.station("MANUAL", connected=True))
    assert candidates() == ["GOOD"]


@pytest.mark.parametrize(
    ("kind", "subject", "certain", "left"),
    [
        ("local_list", "", True, []),
        ("action", "SendLocalList", True, []),
        ("action", "SendLocalList", False, ["CP9"]),
        ("action", "Reset", True, ["CP9"]),
    ],
)
def test_a_station_that_cannot_is_left_alone(kind: str, subject: str, certain: bool, left: list[str]) -> None:
    rows.limitation(automatic("CP9").chargepoint, kind, subject, certain=certain)
    # Of another station.
    rows.limitation(ChargePoint.objects.get(pk="CP1"), "local_list", "", certain=True)
    assert candidates() == left
    assert Limitation.objects.count() == 2


def test_those_that_were_not_tried_for_longest_come_first() -> None:
    for identity, minute in {"B": 2, "C": 1, "A": None}.items():
        row = automatic(identity)
        row.last_attempt = at(minute) if minute else None
        row.save()
    assert candidates() == ["A", "C", "B"]


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 0), (1, 5), (2, 10), (3, 20), (7, 320), (8, 360), (30, 360), (10**6, 360)]
)
def test_after_failures_it_is_tried_ever_less_often(failures: int, minutes: float) -> None:
    row = LocalList(failures=failures, last_attempt=at(0))
    assert row.is_due(at(minutes))
    assert not failures or not row.is_due(at(minutes - 0.1))


def test_a_list_goes_with_its_station(cp1: ChargePoint) -> None:
    row: Model = the_list()
    cp1.delete()
    assert not LocalList.objects.filter(pk=row.pk).exists()
