"""Block H: reservations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import ACCEPTED, driver, the_transaction
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201


async def reserve(central: Central, station: Station201, id_token: Payload, **members: Any) -> dict[str, Any]:
    """Ask for a reservation; return what the station was sent and what REST has of it."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    spelt = {"id_token": id_token["idToken"], "type": id_token["type"]}
    await central.ask("ReserveNow", expiry_date_time=until, id_token=spelt, **members)
    request = sent(station, "ReserveNow")[-1]
    assert request["idToken"] == id_token
    return request


async def the_reservation(central: Central) -> str:
    [row] = await central.rows("reservation")
    return str(row["status"])


async def test_tc_h_01_csms_specific_evse(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    request = await reserve(central, station, id_token, evse_id=1)
    assert (request["evseId"], "connectorType" in request) == (1, False)
    await station.status(1, "Reserved")
    assert await the_reservation(central) == "Accepted"
    assert (await station.authorize(id_token))["status"] == "Accepted"
    answer = await station.started(1, id_token, trigger="Authorized", reservationId=request["id"])
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await states.energy_transfer_started(station, id_token)
    assert await the_reservation(central) == "Used"
    assert (await the_transaction(central))["id_tag"] == id_token["idToken"]


async def test_tc_h_07_csms_specific_evse_expires(central: Central, station: Station201) -> None:
    request = await reserve(central, station, await driver(central), evse_id=1)
    await station.status(1, "Reserved")
    assert await station.reservation_status(request["id"], "Expired") == {}
    await station.status(1, "Available")
    assert await the_reservation(central) == "Expired"


async def test_tc_h_08_csms_unspecified_evse(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    request = await reserve(central, station, id_token)
    assert not {"evseId", "connectorType"} & request.keys()
    await station.started(2, id_token, trigger="Authorized", reservationId=request["id"])
    assert await the_reservation(central) == "Used"


async def test_tc_h_14_csms_unspecified_evse_as_many_as_there_are(central: Central, station: Station201) -> None:
    for name in ("ONE", "TWO"):
        await reserve(central, station, await driver(central, name))
    assert [row["status"] for row in await central.rows("reservation")] == ["Accepted", "Accepted"]
    for evse in station.evses:
        await station.status(evse, "Reserved")
    stranger = await station.authorize(await driver(central, "STRANGER"))
    assert stranger["status"] == "NotAtThisLocation"


async def test_tc_h_15_csms_connector_of_a_type(central: Central, station: Station201) -> None:
    request = await reserve(central, station, await driver(central), connector_type="cType2")
    assert (request["connectorType"], "evseId" in request) == ("cType2", False)
    [row] = await central.rows("reservation")
    assert (row["status"], row["connector_type"], row["evse_id"]) == ("Accepted", "cType2", 0)


async def test_tc_h_17_csms_cancel(central: Central, station: Station201) -> None:
    request = await reserve(central, station, await driver(central), evse_id=1)
    await station.status(1, "Reserved")
    assert await central.ask("CancelReservation", reservation_id=request["id"]) == ACCEPTED
    assert sent(station, "CancelReservation") == [{"reservationId": request["id"]}]
    await station.status(1, "Available")
    assert await the_reservation(central) == "Cancelled"


async def test_tc_h_19_csms_used_by_the_group(central: Central, station: Station201) -> None:
    group, one, two = await states.family(central)
    request = await reserve(central, station, one, evse_id=1)
    assert request["groupIdToken"]["idToken"] == group
    await states.ev_connected(station)
    answer = await station.updated("Authorized", id_token=two, reservationId=request["id"])
    assert answer["idTokenInfo"]["status"] == "Accepted"
    assert await the_reservation(central) == "Used"


async def test_tc_h_20_csms_removed_when_faulted(central: Central, station: Station201) -> None:
    request = await reserve(central, station, await driver(central), evse_id=1)
    await station.status(1, "Reserved")
    assert await station.reservation_status(request["id"], "Removed") == {}
    await station.status(1, "Faulted")
    assert await the_reservation(central) == "Removed"


@pytest.mark.parametrize("status", ["Rejected", "Faulted", "Occupied", "Unavailable"])
async def test_tc_h_22_csms_refused(central: Central, station: Station201, status: str) -> None:
    station.answers["ReserveNow"] = {"status": status}
    await reserve(central, station, await driver(central), evse_id=1)
    [row] = await central.rows("reservation")
    assert (row["status"], row["reason"]) == ("Rejected", status)
