"""Habits of stations of OCPP 2.x that concern what they say of themselves (docs/quirks.md, group V2)."""

import pytest

from chargers.choices import RegistrationStatus
from chargers.models import ChargePoint, Connector, SecurityEvent
from tests.csms.conftest import Query
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201

NOON = "2026-01-01T12:00:00Z"


async def test_v2_03_a_status_of_evse_0_is_the_stations(url: str, query: Query) -> None:
    status: Payload = {"timestamp": NOON, "connectorStatus": "Unavailable", "evseId": 0, "connectorId": 0}
    async with Station201(url, "CP1") as station:
        assert await station.call("StatusNotification", status) == {}
    assert (await query(ChargePoint.objects.get)).chargepoint_status == "Unavailable"
    assert not await query(Connector.objects.exists)


async def test_v2_08_security_events_are_taken_before_the_boot_is_accepted(url: str, query: Query) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station201(url, "CP1") as station:
        event = {"type": "StartupOfTheDevice", "timestamp": NOON}
        assert await station.call("SecurityEventNotification", event) == {}
        await station.boot()
        assert await station.call("SecurityEventNotification", {**event, "type": "SettingSystemTime"}) == {}
        with pytest.raises(CallError, match="SecurityError"):
            await station.status(1)
    assert await query(lambda: list(SecurityEvent.objects.values_list("type", flat=True).order_by("id"))) == [
        "StartupOfTheDevice",
        "SettingSystemTime",
    ]


async def test_v2_08_an_accepted_station_need_not_boot_first(url: str) -> None:
    async with Station201(url, "CP1") as station:
        assert await station.status(1) == {}


async def test_v2_09_connectors_are_learnt_from_statuses_where_an_inventory_never_comes(url: str, query: Query) -> None:
    async with Station201(url, "CP1", evses={1: 2}) as station:
        await station.boot()
        await station.expect_call("GetBaseReport")
        await station.report_statuses()
        # Whatever it tells of itself, connectors are not in it.
        station.variables = {"ChargingStation.Model": "F"}
        await station.report(1)
    assert await query(lambda: list(Connector.objects.values_list("evse_id", "connectorid"))) == [(1, 1), (1, 2)]
