"""Reservations over real sockets: what an operator asks for, what the station makes of it, and who may charge."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Connector, IdTag, Reservation, Transaction
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16, timestamp

REFUSED = "Blocked"


def make_tags() -> None:
    family = IdTag.objects.create(id_token="FAMILY")
    for name, parent in {"TAG1": family, "TAG2": family, "STRANGER": None}.items():
        IdTag.objects.create(id_token=name, parent=parent)


@pytest.fixture
async def ready(transactional_db: None, url: str) -> AsyncIterator[Station16]:
    """CP1 with two connectors that are available; it takes every reservation."""
    await query_in_thread(make_tags)
    async with Station16(url, "CP1", connectors=2) as station:
        await station.boot()
        for number in (0, 1, 2):
            await station.status(number, "Available")
        station.answers["ReserveNow"] = station.answers["CancelReservation"] = {"status": "Accepted"}
        yield station


@pytest.fixture
def impatient(settings: Settings) -> None:
    """A platform that waits for answers no longer than this."""
    settings.OCPP_TIMEOUT = 0.4


def soon(**members: float) -> str:
    return timestamp(datetime.now(UTC) + timedelta(**members or {"hours": 1}))


async def reserve(connector: int = 1, id_tag: str = "TAG1", **members: Any) -> Command:
    return await operator.perform(
        "ReserveNow", {"connectorId": connector, "expiryDate": soon(), "idTag": id_tag, **members}
    )


def reservations() -> list[tuple[int, str, str]]:
    return list(Reservation.objects.order_by("pk").values_list("reservation_id", "status", "reason"))


async def started(station: Station16, id_tag: str, connector: int = 1, **more: Any) -> str:
    """Start a transaction; return what its tag is told."""
    return str((await station.start(connector, id_tag, meter_start=0, **more))["idTagInfo"]["status"])


async def test_a_reservation_is_numbered_and_names_the_group_of_its_tag(ready: Station16, query: Query) -> None:
    command = await reserve()
    assert command.response == {"status": "Accepted"}
    assert ready.calls[-1].payload == {
        "connectorId": 1,
        "expiryDate": command.payload["expiryDate"],
        "idTag": "TAG1",
        "parentIdTag": "FAMILY",
        "reservationId": 1,
    }
    assert list(ready.calls[-1].payload) == ["connectorId", "expiryDate", "idTag", "parentIdTag", "reservationId"]
    row = await query(lambda: Reservation.objects.select_related("connector").get())
    assert (row.status, row.evse_id, row.connector.evse_id) == ("Accepted", 1, 1)
    assert (row.id_tag_id, row.parent_id_tag, row.command_id) == ("TAG1", "FAMILY", command.pk)
    assert timestamp(row.expiry_date) == command.payload["expiryDate"]
    await reserve(2, "STRANGER")
    assert "parentIdTag" not in ready.calls[-1].payload
    assert ready.calls[-1].payload["reservationId"] == 2


async def test_what_the_operator_says_is_sent_as_it_is(ready: Station16, query: Query) -> None:
    await reserve(40, "NOBODY", parentIdTag="ELSE", reservationId=77)
    sent = ready.calls[-1].payload
    assert (sent["connectorId"], sent["idTag"], sent["parentIdTag"], sent["reservationId"]) == (
        40,
        "NOBODY",
        "ELSE",
        77,
    )
    row = await query(lambda: Reservation.objects.get())
    assert (row.reservation_id, row.id_tag_id, row.parent_id_tag) == (77, "NOBODY", "ELSE")
    # The station has such a connector.
    assert await query(lambda: Connector.objects.filter(evse_id=40).exists())


@pytest.mark.parametrize("word", ["Faulted", "Occupied", "Unavailable", "Rejected"])
async def test_a_refused_reservation_keeps_nobody_away(ready: Station16, query: Query, word: str) -> None:
    ready.answers["ReserveNow"] = {"status": word}
    command = await reserve()
    assert (command.status, command.response) == ("answered", {"status": word})
    assert await query(reservations) == [(1, "Rejected", word)]
    assert await started(ready, "STRANGER") == "Accepted"


@pytest.mark.parametrize(
    ("id_tag", "starts", "authorized"),
    [("TAG1", "Accepted", "Accepted"), ("TAG2", "Accepted", "Accepted"), ("STRANGER", REFUSED, "Accepted")],
)
async def test_a_reserved_connector_is_for_the_tag_and_its_group(
    ready: Station16, query: Query, id_tag: str, starts: str, authorized: str
) -> None:
    await reserve()
    assert (await ready.authorize(id_tag))["status"] == authorized
    assert await started(ready, id_tag) == starts
    row = await query(lambda: Transaction.objects.get())
    used = starts == "Accepted"
    assert row.authorization_status == ("Accepted" if used else "Reserved")
    assert row.transaction_status == ("Started" if used else "Unauthorized")
    assert await query(reservations) == [(1, "Used" if used else "Accepted", "")]


async def test_a_stranger_is_not_authorised_where_every_connector_is_reserved(ready: Station16, query: Query) -> None:
    await reserve(1)
    assert await ready.authorize("STRANGER") == {"status": "Accepted"}
    await reserve(0, "TAG2")
    info = await ready.authorize("STRANGER")
    ends = await query(lambda: min(Reservation.objects.values_list("expiry_date", flat=True)))
    # Until then a station may keep the answer.
    assert info == {"expiryDate": ends.strftime("%Y-%m-%dT%H:%M:%SZ"), "status": REFUSED}
    assert (await ready.authorize("TAG1"))["status"] == "Accepted"
    assert await started(ready, "STRANGER", 2) == REFUSED
    await operator.perform("CancelReservation", {"reservationId": 1})
    assert await ready.authorize("STRANGER") == {"status": "Accepted"}


async def test_a_start_that_names_its_reservation_uses_it_up(ready: Station16, query: Query) -> None:
    await reserve(0)
    await reserve(2)
    assert await started(ready, "TAG1", 2, reservationId=1) == "Accepted"
    assert await query(reservations) == [(1, "Used", ""), (2, "Accepted", "")]
    row = await query(lambda: Reservation.objects.select_related("transaction").get(status="Used"))
    assert (row.transaction.reservation_id, row.transaction.id_tag_id) == (1, "TAG1")


async def test_a_start_that_names_none_uses_the_one_on_its_connector(ready: Station16, query: Query) -> None:
    await reserve(0)
    await reserve(2)
    for _ in range(2):
        # The same start, told twice.
        at = datetime.now(UTC).replace(microsecond=0)
        await ready.start(2, "TAG2", meter_start=0, at=at, reservationId=0)
    assert (await query(reservations))[1] == (2, "Used", "")


async def test_a_reservation_is_replaced_by_another_under_its_number(ready: Station16, query: Query) -> None:
    await reserve(1, reservationId=7)
    ready.answers["ReserveNow"] = {"status": "Occupied"}
    await reserve(2, "STRANGER", reservationId=7)
    assert await query(reservations) == [(7, "Accepted", ""), (7, "Rejected", "Occupied")]
    ready.answers["ReserveNow"] = {"status": "Accepted"}
    await reserve(2, "STRANGER", reservationId=7)
    assert await query(reservations) == [(7, "Replaced", ""), (7, "Rejected", "Occupied"), (7, "Accepted", "")]
    assert await started(ready, "STRANGER", 1) == "Accepted"


@pytest.mark.parametrize(
    ("number", "answer", "kept"),
    [
        (1, "Accepted", ("Cancelled", "")),
        (1, "Rejected", ("Removed", "unknown to the station")),
        (4711, "Accepted", ("Accepted", "")),
        (4711, "Rejected", ("Accepted", "")),
        (0, "Rejected", ("Accepted", "")),
        (-1, "Rejected", ("Accepted", "")),
        (2**40, "Rejected", ("Accepted", "")),
    ],
)
async def test_a_cancellation_ends_what_it_names_and_what_nobody_knows_is_sent_all_the_same(
    ready: Station16, query: Query, number: int, answer: str, kept: tuple[str, str]
) -> None:
    await reserve()
    ready.answers["CancelReservation"] = {"status": answer}
    command = await operator.perform("CancelReservation", {"reservationId": number})
    assert (command.status, command.response) == ("answered", {"status": answer})
    assert ready.calls[-1].payload == {"reservationId": number}
    assert await query(reservations) == [(1, *kept)]


@pytest.mark.parametrize(("connector", "word", "left"), [(1, "Faulted", 1), (2, "Unavailable", 1), (0, "Faulted", 0)])
async def test_what_is_out_of_order_is_reserved_no_more(
    ready: Station16, query: Query, connector: int, word: str, left: int
) -> None:
    await reserve(1)
    await reserve(2)
    await ready.status(connector, word, "OtherError")
    found = await query(reservations)
    assert sum(status == "Accepted" for _, status, _ in found) == left
    assert {why for _, status, why in found if status == "Removed"} == {word}


async def test_a_callerror_or_a_lost_connection_leaves_no_reservation(ready: Station16, query: Query) -> None:
    ready.answers["ReserveNow"] = CallError("InternalError", "out of order")
    assert (await reserve()).status == "error"
    ready.answers["ReserveNow"] = None
    asked = {"connectorId": 2, "expiryDate": soon(), "idTag": "TAG1"}
    command_id = await operator.ask("ReserveNow", asked)
    await ready.expect_call("ReserveNow")
    await ready.expect_call("ReserveNow")
    await ready.drop()
    assert (await operator.end_of(command_id)).status == "offline"
    assert await query(reservations) == [(1, "Failed", "InternalError"), (2, "Failed", "offline")]


@pytest.mark.usefixtures("impatient")
async def test_a_late_answer_still_makes_a_reservation(ready: Station16, query: Query) -> None:
    ready.answers["ReserveNow"] = None
    command = await reserve()
    assert command.status == "timeout"
    assert await query(reservations) == [(1, "Failed", "timeout")]
    assert await started(ready, "STRANGER") == "Accepted"
    await ready.stop(1, meter_stop=0)
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Accepted"}}]')
    await until(lambda: reservations() == [(1, "Accepted", "")])
    # Answered twice, it stays what it is.
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Occupied"}}]')
    await ready.heartbeat()
    assert await query(reservations) == [(1, "Accepted", "")]
    assert await started(ready, "STRANGER") == REFUSED


@pytest.mark.usefixtures("impatient")
async def test_a_late_refusal_is_kept_as_one(ready: Station16, query: Query) -> None:
    ready.answers["ReserveNow"] = None
    command = await reserve()
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Occupied"}}]')
    await until(lambda: reservations() == [(1, "Rejected", "Occupied")])


async def test_two_requests_at_once_make_two_reservations(ready: Station16, query: Query) -> None:
    asked: list[Payload] = [
        {"connectorId": number, "expiryDate": soon(), "idTag": "TAG1"} for number in (1, 2, 0, 1, 2, 0)
    ]
    ids = await asyncio.gather(*[operator.ask("ReserveNow", each) for each in asked])
    for each in ids:
        assert (await operator.end_of(each)).status == "answered"
    assert sorted(call.payload["reservationId"] for call in ready.calls) == [1, 2, 3, 4, 5, 6]
    assert len(await query(reservations)) == 6
