"""Transaction events: each number counts once, in any order, and a batch costs a fixed number of statements."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionFlag
from chargers.models import ChargePoint, Connector, IdTag, MeterValue, Transaction, TransactionEvent, Variable
from chargers.services import transactionevents
from chargers.values import EventAnswer
from tests.chargers import told
from tests.chargers.told import an_event, at, event

pytestmark = pytest.mark.django_db

Flag, Status = TransactionFlag, AuthorizationStatus


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


@pytest.fixture(autouse=True)
def tags(db: None) -> None:
    IdTag.objects.create(id_token="FAMILY")
    IdTag.objects.create(id_token="TAG1", parent_id="FAMILY")
    IdTag.objects.create(id_token="TAG2", parent_id="FAMILY")


def the_transaction() -> Transaction:
    return Transaction.objects.select_related("connector").get()


# The order of arrival


def test_every_order_of_arrival_leaves_the_same_transaction() -> None:
    story: list[tuple[Any, ...]] = [
        ("Started", 0, 0, 1000),
        ("Updated", 1, 10, 1500),
        ("Updated", 2, 20, 1700),
        ("Ended", 3, 30, 2000),
    ]
    left = set()
    for number, order in enumerate(itertools.permutations(story)):
        for each in order:
            event(*each, uuid=f"T{number}", evse_id=number + 1)
        row = Transaction.objects.get(uuid=f"T{number}")
        left.add(
            (
                row.start_transaction_timestamp,
                row.stop_transaction_timestamp,
                row.wh_meter_start,
                row.wh_meter_stop,
                row.last_seq_no,
                tuple(row.flags),
            )
        )
    assert left == {(at(0), at(30), Decimal(1000), Decimal(2000), 3, ())}


def test_a_repeat_is_answered_and_stored_once() -> None:
    first = event("Started", 0, 0, 1000, id_token="TAG1")
    assert event("Started", 0, 0, 1000, id_token="TAG1") == first
    assert (TransactionEvent.objects.count(), MeterValue.objects.count()) == (1, 1)


def test_a_repeat_within_one_batch_is_stored_once() -> None:
    transactionevents.record([an_event("Started", 0, 0, 1000)] * 2, Changes())
    assert (TransactionEvent.objects.count(), MeterValue.objects.count()) == (1, 1)


def test_listeners_hear_of_a_transaction_when_more_than_its_meter_moves() -> None:
    def heard(*told: Any, **members: Any) -> list[str]:
        changes = Changes()
        transactionevents.record([an_event(*told, **members)], changes)
        assert len(changes.readings) == 1
        return list(changes.rows.get("transaction", {}).values())

    assert heard("Started", 0, 0, 1000, charging_state="Charging") == ["created"]
    assert heard("Updated", 1, 10, 1500, charging_state="Charging") == []
    assert heard("Updated", 2, 20, 1500, charging_state="SuspendedEV") == ["updated"]
    assert heard("Updated", 3, 30, 1400, charging_state="SuspendedEV") == ["updated"], "the meter jumped back"
    assert heard("Ended", 4, 40, 1500) == ["updated"]


def test_a_gap_is_flagged_until_what_is_missing_comes() -> None:
    event("Started", 0, 0, 1000)
    event("Ended", 2, 30, 2000)
    assert the_transaction().flags == [Flag.EVENTS_MISSING]
    event("Updated", 1, 10, 1500, offline=True)
    assert the_transaction().flags == [Flag.OFFLINE]


def test_a_station_may_count_from_any_number() -> None:
    event("Started", 17, 0, 1000)
    event("Ended", 18, 30, 2000)
    assert the_transaction().flags == []


def test_nothing_revives_what_has_ended() -> None:
    event("Started", 0, 0, 1000)
    event("Ended", 2, 30, 2000)
    event("Updated", 3, 40, 2500, charging_state="Charging")
    row = the_transaction()
    assert (row.is_open, row.energy_wh, row.transaction_status) == (False, Decimal(1000), "Finished")


def test_what_is_told_later_of_before_does_not_say_how_things_are() -> None:
    event("Started", 0, 0, 1000, charging_state="EVConnected")
    event("Updated", 2, 20, charging_state="SuspendedEV")
    event("Updated", 1, 10, charging_state="Charging", offline=True)
    assert the_transaction().charging_state == "SuspendedEV"


def test_a_second_end_changes_nothing_and_is_flagged() -> None:
    event("Started", 0, 0, 1000)
    event("Ended", 1, 30, 2000)
    event("Ended", 2, 40, 3000)
    row = the_transaction()
    assert (row.stop_transaction_timestamp, row.energy_wh) == (at(30), Decimal(1000))
    assert row.flags == [Flag.STOP_DIFFERS]


def test_an_end_replaces_the_one_that_the_platform_chose() -> None:
    told.status("Occupied", 0)
    event("Started", 0, 0, 1000)
    told.status("Available", 20)
    assert told.abandoned(26) == 1
    event("Ended", 1, 30, 2000)
    row = the_transaction()
    assert (row.stop_transaction_timestamp, row.energy_wh) == (at(30), Decimal(1000))
    assert row.flags == [Flag.LATE_STOP, Flag.NO_STOP]


def test_what_never_began_is_foreign_and_as_old_as_the_first_that_was_heard_of_it() -> None:
    event("Updated", 5, 10, 1500)
    event("Updated", 4, 5, 1200)
    row = the_transaction()
    assert (row.start_transaction_timestamp, row.flags) == (at(5), [Flag.FOREIGN])
    event("Started", 3, 0, 1000)
    row = the_transaction()
    assert (row.start_transaction_timestamp, row.wh_meter_start, row.flags) == (at(0), Decimal(1000), [])


# Where


def test_the_evse_may_be_told_later_and_the_connector_after_that() -> None:
    event("Started", 0, 0, evse_id=0, connector_id=0)
    assert the_transaction().evse_id == 0
    event("Updated", 1, 1, evse_id=2, connector_id=0)
    assert (the_transaction().evse_id, the_transaction().connector) == (2, None)
    event("Updated", 2, 2, evse_id=2, connector_id=2)
    row = the_transaction()
    assert row.connector is not None
    assert (row.connectorid, row.connector.evse_id, row.connector.connectorid) == (2, 2, 2)


@pytest.mark.parametrize(("connectors", "placed"), [((1,), 1), ((2,), 2), ((1, 2), 0), ((), 0)])
def test_an_evse_alone_means_its_connector_where_it_has_but_one(connectors: Sequence[int], placed: int) -> None:
    for number in connectors:
        Connector.objects.create(chargepoint_id="CP1", evse_id=1, connectorid=number)
    event("Started", 0, 0, connector_id=0)
    row = the_transaction()
    assert (row.connectorid, row.connector is not None) == (placed, placed > 0)


def test_evses_charge_side_by_side_and_a_start_ends_what_runs_on_its_own() -> None:
    event("Started", 0, 0, 1000, uuid="A")
    event("Started", 0, 1, 1000, uuid="B", evse_id=2)
    event("Started", 0, 10, 1000, uuid="C")
    rows = {row.uuid: (row.is_open, row.flags) for row in Transaction.objects.all()}
    assert rows == {"A": (False, [Flag.SUPERSEDED]), "B": (True, []), "C": (True, [])}


# Who


def test_the_token_may_be_told_later_than_the_start() -> None:
    assert event("Started", 0, 0, 1000) is None
    answer = event("Updated", 1, 1, id_token="TAG1", trigger="Authorized")
    assert answer is not None
    assert (answer.status, answer.parent) == (Status.ACCEPTED, "FAMILY")
    assert (the_transaction().id_tag_id, the_transaction().authorization_status) == ("TAG1", "Accepted")


def test_a_second_card_of_the_group_ends_the_session_and_is_kept_beside_the_first() -> None:
    event("Started", 0, 0, 1000, id_token="TAG1")
    answer = event("Updated", 1, 10, id_token="TAG2", trigger="StopAuthorized", stops=True)
    assert answer is not None
    assert (answer.status, answer.parent) == (Status.ACCEPTED, "FAMILY")
    event("Ended", 2, 11, 1500)
    row = the_transaction()
    assert (row.id_tag_id, row.stop_id_tag, row.transaction_status) == ("TAG1", "TAG2", "Finished")


def test_a_second_card_may_charge_where_the_first_may_not() -> None:
    event("Started", 0, 0, 1000, id_token="STRANGER")
    assert the_transaction().transaction_status == "Unauthorized"
    event("Updated", 1, 1, id_token="TAG1", trigger="Authorized")
    row = the_transaction()
    assert (row.id_tag_id, row.transaction_status, row.authorization_status) == ("TAG1", "Started", "Accepted")


def test_a_token_charges_no_more_often_than_it_may_also_within_a_batch() -> None:
    told.station("CP2")
    values = [an_event("Started", 0, 0, 1000, id_token="TAG1", station=name) for name in ("CP1", "CP2")]
    answers = transactionevents.record(values, Changes())
    assert [each.authorization and each.authorization.status for each in answers] == [
        Status.ACCEPTED,
        Status.CONCURRENT_TX,
    ]


def test_a_token_named_in_each_event_counts_once() -> None:
    answers = [
        event("Started", 0, 0, 1000, id_token="TAG1"),
        event("Updated", 1, 10, 1500, id_token="TAG1"),
        event("Ended", 2, 30, 2000, id_token="TAG1"),
    ]
    assert [answer and answer.status for answer in answers] == [Status.ACCEPTED] * 3


def test_a_master_pass_ends_sessions_and_begins_none() -> None:
    Variable.objects.create(
        chargepoint_id="CP1", component="AuthCtrlr", variable="MasterPassGroupId", value="FAMILY", read_at=at(0)
    )
    begun = event("Started", 0, 0, 1000, id_token="TAG1")
    ended = event("Ended", 1, 10, 1500, id_token="TAG1")
    assert begun is not None
    assert ended is not None
    assert (begun.status, ended.status, ended.parent) == (Status.BLOCKED, Status.ACCEPTED, "FAMILY")


@pytest.mark.parametrize(
    ("own", "told_as", "status"),
    [
        ("", "KeyCode", Status.ACCEPTED),
        ("KeyCode", "KeyCode", Status.ACCEPTED),
        ("ISO14443", "KeyCode", Status.INVALID),
        ("ISO14443", "", Status.ACCEPTED),
    ],
)
def test_a_token_is_good_as_its_own_type_only(own: str, told_as: str, status: AuthorizationStatus) -> None:
    IdTag.objects.filter(pk="TAG1").update(token_type=own)
    answer = event("Started", 0, 0, id_token="TAG1", token_type=told_as)
    assert answer is not None
    assert answer.status == status


@pytest.mark.parametrize(("id_token", "kept"), [("", None), ("MADE-UP", None), ("TAG1", "TAG1")])
def test_a_central_token_is_the_operators_own_unless_it_is_a_tag(id_token: str, kept: str | None) -> None:
    answer = event("Started", 0, 0, id_token=id_token, token_type="Central")
    assert answer is not None
    assert (answer.status, the_transaction().id_tag_id) == (Status.ACCEPTED, kept)


# What else is kept


def test_what_an_event_tells_is_kept() -> None:
    event("Started", 0, 0, id_token="TAG1", remote_start_id=7, reservation_id=3)
    event("Updated", 1, 5, time_spent_charging=300, number_of_phases_used=3, cable_max_current=32)
    row = the_transaction()
    assert (row.remote_start_id, row.reservation_id, row.time_spent_charging) == (7, 3, 300)
    kept = TransactionEvent.objects.values_list("id_token", "evse_id", "number_of_phases_used", "cable_max_current")
    assert list(kept) == [("TAG1", 1, None, None), ("", 1, 3, 32)]


def test_the_end_is_answered_with_the_cost_that_is_known() -> None:
    event("Started", 0, 0)
    assert transactionevents.record([an_event("Updated", 1, 1)], Changes()) == [EventAnswer(None)]
    Transaction.objects.update(total_cost=Decimal("3.5"))
    answers = transactionevents.record([an_event("Updated", 2, 2), an_event("Ended", 3, 3)], Changes())
    assert answers == [EventAnswer(None), EventAnswer(None, Decimal("3.5"))]


def test_a_session_without_a_reading_is_flagged() -> None:
    event("Started", 0, 0)
    event("Ended", 1, 30)
    assert the_transaction().flags == [Flag.METER_UNKNOWN]


# What it costs


def cost(values: Sequence[Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        transactionevents.record(values, Changes())
    return len(captured)


@pytest.mark.parametrize("kind", ["Started", "Updated", "Ended"])
@pytest.mark.parametrize("id_token", [None, "TAG"])
def test_a_batch_takes_as_many_statements_for_twenty_stations_as_for_two(kind: str, id_token: str | None) -> None:
    for number in range(50):
        told.station(f"S{number}")
        IdTag.objects.create(id_token=f"TAG{number + 10}")

    def batch(kind: str, seq_no: int, stations: range) -> list[Any]:
        return [
            an_event(kind, seq_no, seq_no, 1000 + seq_no, station=f"S{n}", id_token=id_token and f"{id_token}{n + 10}")
            for n in stations
        ]

    if kind != "Started":
        transactionevents.record(batch("Started", 0, range(50)), Changes())
    few, many = (cost(batch(kind, 1, stations)) for stations in (range(2), range(10, 30)))
    assert few == many
    if kind == "Updated" and id_token is None:
        # The transactions; the events, the readings; the transactions again.
        assert many == 4


def test_who_may_not_charge_stays_so_when_that_is_told_after_the_end() -> None:
    event("Ended", 1, 30, 2000)
    event("Started", 0, 0, 1000, id_token="NOBODY")
    assert the_transaction().transaction_status == "Unauthorized"


def test_readings_that_came_before_the_place_learn_it() -> None:
    event("Updated", 1, 10, 1500, evse_id=0, connector_id=0)
    event("Started", 0, 0, 1000, evse_id=2, connector_id=1)
    assert set(MeterValue.objects.values_list("evse_id", "connectorid")) == {(2, 1)}
