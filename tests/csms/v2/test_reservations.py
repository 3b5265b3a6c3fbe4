"""Reservations over real sockets (block H)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargers.models import Reservation
from tasks.models import Command
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.times import timestamp
from tests.simulator.v2 import Station201, token

GROUP = {"idToken": "FAMILY", "type": "Central"}


@pytest.fixture(autouse=True)
def with_tags(tags: None) -> None:
    """The id tags."""


async def reserve(id_token: str = "TAG1", **members: Any) -> Command:
    until = timestamp(datetime.now(UTC) + timedelta(hours=1))
    return await operator.perform("ReserveNow", {"expiryDateTime": until, "idToken": token(id_token), **members})


def statuses() -> list[tuple[int, str]]:
    return list(Reservation.objects.order_by("pk").values_list("reservation_id", "status"))


async def test_a_reservation_is_numbered_and_names_the_group_of_its_tag(station: Station201, query: Query) -> None:
    command = await reserve(evseId=1)
    assert command.response == {"status": "Accepted"}
    sent = station.calls[-1].payload
    assert (sent["id"], sent["evseId"], sent["groupIdToken"]) == (1, 1, GROUP)
    row = await query(lambda: Reservation.objects.get())
    assert (row.status, row.evse_id, row.id_tag_id, row.parent_id_tag) == ("Accepted", 1, "TAG1", "FAMILY")


@pytest.mark.parametrize(
    ("members", "evse", "kind"), [({"evseId": 2}, 2, ""), ({"connectorType": "cCCS2"}, 0, "cCCS2"), ({}, 0, "")]
)
async def test_an_evse_a_kind_of_connector_or_any_is_reserved(
    station: Station201, query: Query, members: dict[str, Any], evse: int, kind: str
) -> None:
    await reserve(**members)
    assert (await query(lambda: Reservation.objects.values_list("evse_id", "connector_type").get())) == (evse, kind)
    assert not {"evseId", "connectorType"} & (station.calls[-1].payload.keys() - members.keys())


async def test_an_evse_and_a_kind_of_connector_are_too_much(station: Station201) -> None:
    with pytest.raises(InvalidBody, match="connector_type"):
        await reserve(evseId=1, connectorType="cCCS2")


async def test_a_reservation_in_the_past_is_refused(station: Station201) -> None:
    with pytest.raises(InvalidBody, match="expiry_date_time"):
        await reserve(evseId=1, expiryDateTime="2020-01-01T00:00:00Z")


@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Rejected", "Unavailable"])
async def test_a_refused_reservation_is_rejected(station: Station201, query: Query, status: str) -> None:
    station.answers["ReserveNow"] = {"status": status}
    await reserve(evseId=1)
    assert await query(lambda: Reservation.objects.values_list("status", "reason").get()) == ("Rejected", status)


async def test_a_reserved_evse_is_for_the_group_of_its_tag_alone(station: Station201, query: Query) -> None:
    await reserve(evseId=1)
    refused = await station.started(1, token("STRANGER"))
    assert refused["idTokenInfo"]["status"] == "NotAtThisLocation"
    await station.ended(id_token=token("STRANGER"))
    taken = await station.started(1, token("TAG2"), reservationId=1)
    assert taken["idTokenInfo"]["status"] == "Accepted"
    assert await query(statuses) == [(1, "Used")]


async def test_a_token_is_told_the_evses_that_are_left_to_it_until_the_reservation_ends(
    station: Station201, query: Query
) -> None:
    assert await station.authorize(token("STRANGER")) == {"status": "Accepted"}
    await reserve(evseId=1)
    ends = (await query(Reservation.objects.get)).expiry_date
    told = await station.authorize(token("STRANGER"))
    assert told == {"status": "Accepted", "evseId": [2], "cacheExpiryDateTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    own = await station.authorize(token("TAG2"))
    assert (own["status"], "evseId" in own, "cacheExpiryDateTime" in own) == ("Accepted", False, False)
    # Where it plugs in, all is said.
    assert (await station.started(2, token("STRANGER")))["idTokenInfo"] == {"status": "Accepted"}


async def test_a_reservation_of_any_evse_leaves_none_in_particular(station: Station201) -> None:
    await reserve()
    assert await station.authorize(token("STRANGER")) == {"status": "Accepted"}


async def test_a_cancelled_reservation_is_over(station: Station201, query: Query) -> None:
    await reserve(evseId=1)
    command = await operator.perform("CancelReservation", {"reservationId": 1})
    assert command.response == {"status": "Accepted"}
    assert await query(statuses) == [(1, "Cancelled")]


async def test_a_cancellation_that_is_refused_tells_that_the_station_has_none(
    station: Station201, query: Query
) -> None:
    await reserve(evseId=1)
    station.answers["CancelReservation"] = {"status": "Rejected"}
    await operator.perform("CancelReservation", {"reservationId": 1})
    assert await query(statuses) == [(1, "Removed")]


@pytest.mark.parametrize("status", ["Expired", "Removed"])
async def test_a_station_tells_that_a_reservation_is_over(station: Station201, query: Query, status: str) -> None:
    await reserve(evseId=1)
    assert await station.reservation_status(1, status) == {}
    assert await query(statuses) == [(1, status)]


async def test_an_end_that_nobody_expects_is_answered(station: Station201, query: Query) -> None:
    assert await station.reservation_status(99) == {}
    assert await query(statuses) == []


async def test_one_broken_connector_of_two_leaves_the_reservation(url: str, query: Query) -> None:
    async with Station201(url, "CP1", evses={1: 2}) as station:
        await station.start_up()
        await reserve(evseId=1)
        await station.status(1, "Faulted", connector=1)
        assert await query(statuses) == [(1, "Accepted")]
        await station.status(1, "Faulted", connector=2)
        assert await query(statuses) == [(1, "Removed")]
