"""Statuses: every report is history, and the newest by the station's own time is the live state."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chargers.changes import Changes
from chargers.choices import ConnectorStatus
from chargers.models import ChargePoint, Connector, StatusNotification
from chargers.services import statuses
from chargers.values import StatusReport
from tests.chargers import told
from tests.chargers.told import a_status, at, status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


def test_a_report_is_kept_whole() -> None:
    status(
        "Faulted",
        0,
        error_code="OtherError",
        info="door open",
        vendor_id="com.acme",
        vendor_error_code="E42",
        at_raw="2026-01-01 10:00",
    )
    kept = StatusNotification.objects.get()
    assert (kept.status, kept.error_code, kept.info) == ("Faulted", "OtherError", "door open")
    assert (kept.vendor_id, kept.vendor_error_code) == ("com.acme", "E42")
    assert (kept.evse_id, kept.connectorid, kept.ocpp_version) == (1, 1, "ocpp1.6")
    assert (kept.timestamp, kept.timestamp_raw, kept.received_at) == (at(0), "2026-01-01 10:00", at(0) + told.TRAVEL)


def test_a_connector_is_learnt_from_its_first_report_and_told_once() -> None:
    changes = Changes()
    status("Available", 0, changes)
    connector = Connector.objects.get()
    assert (connector.evse_id, connector.connectorid, connector.connector_status) == (1, 1, "Available")
    assert connector.status_timestamp == at(0)
    assert changes.rows == {"connector": {connector.pk: "created"}}


@pytest.mark.parametrize(
    ("minute", "told_at", "moved"),
    [(11, 11, True), (10, 11, True), (9, 11, False), (-600, 11, False)],
    ids=["newer", "as old", "older", "from the day before"],
)
@pytest.mark.parametrize("evse_id", [0, 1], ids=["station", "connector"])
def test_only_a_status_that_is_not_older_moves_the_live_state(
    evse_id: int, minute: float, told_at: float, moved: bool
) -> None:
    status("Charging", 10, evse_id=evse_id)
    changes = Changes()
    status("Available", minute, changes, evse_id=evse_id, told_at=told_at)
    if evse_id:
        live = Connector.objects.values_list("connector_status", "status_timestamp").get()
    else:
        live = ChargePoint.objects.values_list("chargepoint_status", "chargepoint_status_timestamp").get()
    assert live == (("Available", at(minute)) if moved else ("Charging", at(10)))
    assert bool(changes) is moved
    assert StatusNotification.objects.count() == 2


def test_a_status_from_the_future_does_not_hold_up_those_that_follow() -> None:
    status("Charging", 1000, told_at=10)
    status("Available", 11)
    assert Connector.objects.get().connector_status == "Available"


def test_the_status_of_the_station_moves_no_connector() -> None:
    status("Charging", 0)
    status("Faulted", 1, evse_id=0)
    assert Connector.objects.get().connector_status == "Charging"
    assert ChargePoint.objects.get().chargepoint_status == "Faulted"


@pytest.mark.parametrize("word", ConnectorStatus.values)
def test_every_status_there_is_is_shown_as_it_is(word: str) -> None:
    status(word, 0)
    assert Connector.objects.get().connector_status == word


def test_a_word_nobody_knows_is_kept_and_shown_as_unknown() -> None:
    status("Charging", 0)
    status("Idle-ish", 1)
    assert StatusNotification.objects.first().status == "Idle-ish"  # type: ignore[union-attr]
    assert Connector.objects.get().connector_status == ConnectorStatus.UNKNOWN


def test_any_state_may_follow_any_other() -> None:
    for minute, word in enumerate(["Charging", "Available", "Faulted", "Charging", "Reserved"]):
        status(word, minute)
        assert Connector.objects.get().connector_status == word


def test_the_last_report_of_a_batch_is_the_live_state() -> None:
    batch = [a_status("Preparing", 0), a_status("Charging", 2), a_status("Finishing", 1, told_at=2)]
    changes = Changes()
    assert statuses.record(batch, changes) == [None] * 3
    connector = Connector.objects.get()
    assert (connector.connector_status, changes.rows["connector"]) == ("Charging", {connector.pk: "created"})
    assert StatusNotification.objects.count() == 3


def test_a_report_of_a_station_deleted_meanwhile_stays_as_history() -> None:
    assert statuses.record([a_status("Available", 0, evse_id=0, station="GONE")], Changes()) == [None]
    assert StatusNotification.objects.get().chargepoint_id == "GONE"


def queries_of(batch: list[StatusReport]) -> int:
    with CaptureQueriesContext(connection) as captured:
        statuses.record(batch, Changes())
    return len(captured)


def test_a_batch_takes_as_many_queries_as_a_single_report() -> None:
    names = [f"CP-{number}" for number in range(25)]
    ChargePoint.objects.bulk_create([ChargePoint(chargepoint_id=name, lookup_key=str(uuid4())) for name in names])
    new = [a_status("Available", 0, station=name) for name in names]
    assert queries_of(new[:1]) == queries_of(new[1:])
    both = [a_status("Charging", 1, station=name, evse_id=evse_id) for evse_id in (0, 1) for name in names]
    assert queries_of([both[0], both[25]]) == queries_of([*both[1:25], *both[26:]])
    assert set(Connector.objects.values_list("connector_status", flat=True)) == {"Charging"}
    assert ChargePoint.objects.filter(chargepoint_status="Charging").count() == 25


def test_a_report_that_is_told_again_is_stored_once() -> None:
    status("Available", 0, info="first")
    status("Available", 0, info="first")
    assert StatusNotification.objects.count() == 1


def test_a_plug_that_bounces_within_a_second_tells_news_each_time() -> None:
    for word in ("Available", "Preparing", "Available"):
        status(word, 0)
    status("Available", 0, info="another")
    assert StatusNotification.objects.count() == 4


def test_a_report_that_is_sent_again_is_stored_once_and_moves_nothing() -> None:
    first, second = a_status("Preparing", 0), a_status("Charging", 0.02)
    statuses.record([first, first], Changes())
    statuses.record([second], Changes())
    # As after a node that ended before it answered.
    statuses.record([replace(first, received_at=at(1)), replace(second, received_at=at(1))], Changes())
    assert list(StatusNotification.objects.order_by("pk").values_list("status", flat=True)) == ["Preparing", "Charging"]
    assert Connector.objects.get().connector_status == "Charging"
    # The same word at another time, or with something else to say, is another report.
    statuses.record([a_status("Charging", 1), replace(second, info="more")], Changes())
    assert StatusNotification.objects.count() == 4
