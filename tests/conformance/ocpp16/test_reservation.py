"""Reservation profile."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import charging, sent
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

ACCEPTED = {"status": "Accepted"}


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def reserve(central: Central, station: Station16, id_tag: str, connector: int = 1, **fields: Any) -> Payload:
    """Reserve a connector; return the request that went out."""
    expiry = fields.pop("expiry_date", in_minutes(5))
    await central.ask("ReserveNow", connector_id=connector, id_tag=id_tag, expiry_date=expiry, **fields)
    request = sent(station, "ReserveNow")[-1]
    assert request == {
        "connectorId": connector,
        "expiryDate": expiry,
        "idTag": id_tag,
        "reservationId": request["reservationId"],
        **({"parentIdTag": request["parentIdTag"]} if "parentIdTag" in request else {}),
    }
    return request


async def the_reservation(central: Central) -> Any:
    [row] = await central.rows("reservation")
    return row


async def reserved(central: Central, station: Station16, id_tag: str, connector: int = 1) -> Payload:
    """Reserve a connector, which the station accepts and reports."""
    station.answers["ReserveNow"] = ACCEPTED
    request = await reserve(central, station, id_tag, connector)
    shown = await the_reservation(central)
    assert (shown["reservation_id"], shown["id_tag"], shown["status"]) == (
        request["reservationId"],
        id_tag,
        "Accepted",
    )
    await station.status(1, "Reserved")
    assert (await central.connectors())[1] == "Reserved"
    return request


async def test_tc_046_reservation_of_a_connector_transaction(central: Central, station: Station16) -> None:
    id_tag, other = await central.tag("VALID"), await central.tag("OTHER")
    request = await reserved(central, station, id_tag)
    # Another driver is refused where the connector is reserved (section 5.13), and recorded.
    refused = await station.start(1, other)
    assert refused["idTagInfo"]["status"] == "Blocked"
    await station.stop(1, "DeAuthorized")
    transaction_id = await charging(station, id_tag, reservationId=request["reservationId"])
    assert (await the_reservation(central))["status"] == "Used"
    assert (await central.transaction(transaction_id))["authorization_status"] == "Accepted"


async def test_tc_047_reservation_of_a_connector_expire(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    station.answers["ReserveNow"] = ACCEPTED
    await reserve(central, station, id_tag, expiry_date=in_minutes(0.05))
    await station.status(1, "Reserved")
    await station.status(1, "Available")
    await central.until("reservation", status="Expired")
    assert (await central.connectors())[1] == "Available"


async def test_tc_048_1_reservation_of_a_connector_faulted(central: Central, station: Station16) -> None:
    await station.status(1, "Faulted", "OtherError")
    await refused(central, station, "Faulted")


async def test_tc_048_2_reservation_of_a_connector_occupied(central: Central, station: Station16) -> None:
    await station.status(1, "Preparing")
    await refused(central, station, "Occupied")


async def test_tc_048_3_reservation_of_a_connector_unavailable(central: Central, station: Station16) -> None:
    change = {"connectorId": 1, "type": "Inoperative"}
    assert await central.ask("ChangeAvailability", connector_id=1, type="Inoperative") == ACCEPTED
    assert sent(station, "ChangeAvailability") == [change]
    await station.status(1, "Unavailable")
    [first, _] = await central.rows("connector")
    assert (first["connector_status"], first["availability_status"]) == ("Unavailable", "Inoperative")
    await refused(central, station, "Unavailable")


async def test_tc_048_4_reservation_of_a_connector_rejected(central: Central, station: Station16) -> None:
    await refused(central, station, "Rejected")


async def refused(central: Central, station: Station16, status: str) -> None:
    station.answers["ReserveNow"] = {"status": status}
    id_tag, other = await central.tag("VALID"), await central.tag("OTHER")
    expiry = in_minutes(5)
    assert await central.ask("ReserveNow", connector_id=1, id_tag=id_tag, expiry_date=expiry) == {"status": status}
    shown = await the_reservation(central)
    assert (shown["status"], shown["reason"]) == ("Rejected", status)
    # It keeps nobody away.
    assert (await station.start(1, other))["idTagInfo"] == ACCEPTED


async def test_tc_049_reservation_of_a_charge_point_transaction(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    request = await reserved(central, station, id_tag, connector=0)
    assert request["connectorId"] == 0
    await charging(station, id_tag, connector=2, reservationId=request["reservationId"])
    assert (await the_reservation(central))["status"] == "Used"


async def test_tc_051_cancel_reservation(central: Central, station: Station16) -> None:
    request = await reserved(central, station, await central.tag("VALID"))
    station.answers["CancelReservation"] = ACCEPTED
    number = request["reservationId"]
    assert await central.ask("CancelReservation", reservation_id=number) == ACCEPTED
    assert sent(station, "CancelReservation") == [{"reservationId": number}]
    await station.status(1, "Available")
    assert (await the_reservation(central))["status"] == "Cancelled"
    assert (await station.start(1, await central.tag("OTHER")))["idTagInfo"] == ACCEPTED


async def test_tc_052_cancel_reservation_rejected(central: Central, station: Station16) -> None:
    request = await reserved(central, station, await central.tag("VALID"))
    station.answers["CancelReservation"] = {"status": "Rejected"}
    answer = await central.ask("CancelReservation", reservation_id=request["reservationId"])
    assert answer == {"status": "Rejected"}
    # It tells that the station holds no such reservation (section 7.12).
    assert (await the_reservation(central))["status"] == "Removed"


async def test_tc_053_use_a_reserved_connector_with_parent_id_tag(central: Central, station: Station16) -> None:
    parent = await central.tag("PARENT")
    one, other = await central.tag("ONE", parent=parent), await central.tag("TWO", parent=parent)
    station.answers["ReserveNow"] = ACCEPTED
    request = await reserve(central, station, one)
    assert request["parentIdTag"] == parent
    await station.status(1, "Reserved")
    assert await station.authorize(other) == {"parentIdTag": parent, **ACCEPTED}
    transaction_id = await charging(station, other, reservationId=request["reservationId"])
    assert (await the_reservation(central))["status"] == "Used"
    assert (await central.transaction(transaction_id))["id_tag"] == other
