"""Reservations at a simulated station (OCPP 1.6 section 5.13)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.fake_csms import Csms
from tests.simulator.v16 import Station16, timestamp


def request(number: int = 7, connector: int = 1, tag: str = "TAG", seconds: float = 60, **more: Any) -> dict[str, Any]:
    expiry = timestamp(datetime.now(UTC) + timedelta(seconds=seconds))
    return {"reservationId": number, "connectorId": connector, "idTag": tag, "expiryDate": expiry, **more}


async def reserve(csms: Csms, *arguments: Any, **members: Any) -> str:
    return str((await csms.ask("ReserveNow", request(*arguments, **members)))["status"])


async def cancel(csms: Csms, number: int = 7) -> str:
    return str((await csms.ask("CancelReservation", {"reservationId": number}))["status"])


async def remote_start(csms: Csms, tag: str, connector: int | None = 1) -> str:
    chosen = {} if connector is None else {"connectorId": connector}
    return str((await csms.ask("RemoteStartTransaction", {"idTag": tag, **chosen}))["status"])


def families(csms: Csms, **parents: str) -> None:
    """Let Authorize tell the parent of some tags."""

    def answer(message_id: str, message: Any) -> str:
        parent = parents.get(message[3]["idTag"])
        info = {"status": "Accepted", **({"parentIdTag": parent} if parent else {})}
        return json.dumps([3, message_id, {"idTagInfo": info}])

    csms.answers["Authorize"] = answer


def refusal(station: Station16) -> asyncio.Event:
    """Return what tells that the station has refused a tag."""
    refused = asyncio.Event()
    station.session_refused = lambda *_: refused.set()  # type: ignore[method-assign]
    return refused


def starts(csms: Csms) -> list[dict[str, Any]]:
    return [message[3] for message in csms.received if message[0] == 2 and message[2] == "StartTransaction"]


# What is answered


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("Available", "Accepted"),
        ("Preparing", "Occupied"),
        ("Charging", "Occupied"),
        ("Finishing", "Occupied"),
        ("Faulted", "Faulted"),
        ("Unavailable", "Unavailable"),
    ],
)
async def test_a_request_is_answered_by_the_connectors_state(
    csms: Csms, station: Station16, status: str, answer: str
) -> None:
    await station.status(1, status)
    assert await reserve(csms) == answer
    assert list(station.reservations) == ([7] if answer == "Accepted" else [])


async def test_a_connector_that_is_reserved_is_occupied_even_for_the_same_tag(csms: Csms, station: Station16) -> None:
    assert await reserve(csms) == "Accepted"
    assert await reserve(csms, number=8) == "Occupied"
    assert await reserve(csms, number=8, connector=2) == "Accepted"


async def test_the_same_id_replaces_its_reservation(csms: Csms, station: Station16) -> None:
    await reserve(csms)
    assert await reserve(csms, tag="OTHER") == "Accepted"
    assert station.reservations[7].id_tag == "OTHER"
    assert await reserve(csms, connector=2) == "Accepted"
    assert [connector.status for connector in station.connectors.values()] == ["Available", "Reserved"]


async def test_a_replacement_that_is_impossible_leaves_the_reservation(csms: Csms, station: Station16) -> None:
    await reserve(csms)
    await station.status(2, "Charging")
    assert await reserve(csms, connector=2) == "Occupied"
    assert station.reservations[7].connector == 1


@pytest.mark.parametrize(
    ("setting", "value", "connector"),
    [
        ("SupportedFeatureProfiles", "Core", 1),
        ("ReserveConnectorZeroSupported", "false", 0),
        ("NumberOfConnectors", "2", 9),
    ],
)
async def test_a_station_that_is_not_made_for_it_rejects(
    csms: Csms, station: Station16, setting: str, value: str, connector: int
) -> None:
    station.configuration[setting].value = value
    assert await reserve(csms, connector=connector) == "Rejected"


async def test_one_connector_stays_free_for_a_reservation_of_any(csms: Csms, station: Station16) -> None:
    assert await reserve(csms, number=1, connector=0) == "Accepted"
    assert await reserve(csms, number=2, connector=0) == "Accepted"
    assert await reserve(csms, number=3, connector=0) == "Occupied"
    assert await reserve(csms, number=3, connector=1) == "Occupied"
    assert await cancel(csms, 2) == "Accepted"
    assert await reserve(csms, number=3, connector=1) == "Accepted"


async def test_a_station_whose_connectors_are_all_out_of_order_says_which_way(csms: Csms, station: Station16) -> None:
    for number in (1, 2):
        await station.status(number, "Faulted", "GroundFailure")
    assert await reserve(csms, connector=0) == "Faulted"
    await csms.ask("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
    for number in (1, 2):
        await station.status(number, "Unavailable")
    assert await reserve(csms, connector=0) == "Unavailable"


async def test_a_reservation_is_cancelled_once(csms: Csms, station: Station16) -> None:
    await reserve(csms)
    assert await cancel(csms, 8) == "Rejected"
    assert await cancel(csms) == "Accepted"
    assert await cancel(csms) == "Rejected"


@pytest.mark.parametrize("connector", [0, 1])
async def test_taking_a_connector_out_of_service_ends_its_reservation(
    csms: Csms, station: Station16, connector: int
) -> None:
    await reserve(csms)
    await csms.ask("ChangeAvailability", {"connectorId": connector, "type": "Inoperative"})
    assert station.reservations == {}
    assert station.connectors[1].status == "Unavailable"


# What a station does


async def test_a_reserved_connector_is_reported_until_it_is_cancelled(csms: Csms, living: Station16) -> None:
    await reserve(csms)
    assert (await csms.until_call("StatusNotification", connectorId=1))["status"] == "Reserved"
    await cancel(csms)
    assert (await csms.until_call("StatusNotification", connectorId=1))["status"] == "Available"


async def test_a_reservation_expires_and_the_connector_is_available_again(csms: Csms, living: Station16) -> None:
    await reserve(csms, seconds=0.5)
    assert (await csms.until_call("StatusNotification", connectorId=1))["status"] == "Reserved"
    assert (await csms.until_call("StatusNotification", connectorId=1))["status"] == "Available"
    assert living.reservations == {}


async def test_the_reserved_tag_charges_and_names_its_reservation(csms: Csms, living: Station16) -> None:
    await reserve(csms)
    assert await remote_start(csms, "tag") == "Accepted"
    assert (await csms.until_call("StartTransaction"))["reservationId"] == 7
    await csms.until_call("StatusNotification", status="Charging")
    await csms.ask("RemoteStopTransaction", {"transactionId": 7})
    await csms.until_call("StatusNotification", status="Finishing")
    # The reservation is used up: the connector is for everybody again.
    assert (await csms.until_call("StatusNotification", connectorId=1))["status"] == "Available"


async def test_a_reserved_connector_refuses_other_tags(csms: Csms, living: Station16) -> None:
    await reserve(csms)
    assert await remote_start(csms, "OTHER") == "Rejected"
    refused = refusal(living)
    living.begin_session(living.connectors[1], "OTHER")
    await asyncio.wait_for(refused.wait(), 5)
    assert starts(csms) == []
    assert living.connectors[1].status == "Reserved"
    # Another connector is chosen where there is a choice.
    assert await remote_start(csms, "OTHER", connector=None) == "Accepted"
    start = await csms.until_call("StartTransaction")
    assert (start["connectorId"], "reservationId" in start) == (2, False)


async def test_the_tags_of_the_reserved_group_are_welcome(csms: Csms, living: Station16) -> None:
    families(csms, CHILD="FAMILY", STRANGER="OTHERS")
    await reserve(csms, parentIdTag="FAMILY")
    refused = refusal(living)
    await remote_start(csms, "STRANGER")
    assert (await csms.until_call("Authorize"))["idTag"] == "STRANGER"
    await asyncio.wait_for(refused.wait(), 5)
    assert starts(csms) == []
    await remote_start(csms, "CHILD")
    assert (await csms.until_call("Authorize"))["idTag"] == "CHILD"
    start = await csms.until_call("StartTransaction")
    assert (start["idTag"], start["reservationId"]) == ("CHILD", 7)


async def test_the_local_list_may_tell_the_group_without_asking(csms: Csms, living: Station16) -> None:
    entry = {"idTag": "CHILD", "idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}}
    await csms.ask("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]})
    await reserve(csms, parentIdTag="FAMILY")
    await remote_start(csms, "CHILD")
    assert (await csms.until_call("StartTransaction"))["reservationId"] == 7
    assert not any("Authorize" in frame.data for frame in living.frames)


async def test_a_reservation_of_any_connector_is_used_on_any(csms: Csms, living: Station16) -> None:
    await reserve(csms, connector=0)
    assert await remote_start(csms, "OTHER", connector=2) == "Accepted"
    assert "reservationId" not in await csms.until_call("StartTransaction")
    # The last free connector is kept.
    assert await remote_start(csms, "ANOTHER", connector=1) == "Rejected"
    assert await remote_start(csms, "TAG", connector=1) == "Accepted"
    assert (await csms.until_call("StartTransaction"))["reservationId"] == 7
    assert living.reservations == {}


async def test_a_start_by_hand_may_name_a_reservation(csms: Csms, station: Station16) -> None:
    await reserve(csms)
    await station.start(1, "TAG", reservation_id=7)
    assert (await csms.until_call("StartTransaction"))["reservationId"] == 7
    assert station.reservations == {}
