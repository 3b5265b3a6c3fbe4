"""The demo's fleet, against a CSMS of a few lines."""

import asyncio
import collections
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chargers.choices import OcppVersion
from tasks.schemas import to_wire
from tests.simulator import demo
from tests.simulator.fake_csms import Csms, running_csms
from tests.simulator.station import Payload


def actions(csms: Csms) -> collections.Counter[str]:
    return collections.Counter(message[2] for message in csms.received if message[0] == 2)


async def nowhere(_: str) -> None:
    """Place a station nowhere."""


async def test_busy_connectors_charge_and_all_sessions_end_when_asked_to_stop() -> None:
    busy = sum(kind.busy for kind in demo.FLEET.values())
    placed: list[str] = []

    async def place(identity: str) -> None:
        placed.append(identity)

    async with running_csms() as (csms, url):
        stopping = asyncio.Event()
        running = asyncio.create_task(demo.run_fleet(demo.build_fleet(url, 0.01), place, stopping))
        async with csms.news, asyncio.timeout(10):
            await csms.news.wait_for(lambda: actions(csms)["MeterValues"] >= 2 * busy and len(placed) == 6)
        stopping.set()
        await running
        assert actions(csms)["StartTransaction"] == busy
        stops = [message[3] for message in csms.received if message[0] == 2 and message[2] == "StopTransaction"]
        assert [stop["reason"] for stop in stops] == ["Local"] * busy


async def test_a_station_comes_back_after_a_reset() -> None:
    async with running_csms() as (csms, url):
        stopping = asyncio.Event()
        station = demo.DemoStation(url, "DEMO", demo.FLEET["DEMO-AC-2"], ["Amber"], meter_interval=0)

        running = asyncio.create_task(demo.run_fleet([station], nowhere, stopping))
        await csms.until_call("StatusNotification")
        await station.ready.wait()
        await csms.call("Reset", {"type": "Soft"})
        await csms.until_call("BootNotification")
        stopping.set()
        await running


@asynccontextmanager
async def operated(
    monkeypatch: pytest.MonkeyPatch, identity: str
) -> AsyncIterator[tuple[Csms, asyncio.Queue[demo.Command]]]:
    """Run one station of the fleet with an operator in a hurry, whose commands reach it and the queue."""
    for name in ("NEXT_COMMAND", "ARRIVAL", "STAY"):
        monkeypatch.setattr(demo, name, (0.05, 0.05))
    sent: asyncio.Queue[demo.Command] = asyncio.Queue()
    async with running_csms() as (csms, url):

        async def command(station: str, action: str, fields: Payload) -> None:
            """Check and send what REST would check and send; a reservation gets its id there."""
            chosen = {"reservation_id": 7} if action == "ReserveNow" else {}
            payload = to_wire(OcppVersion.V16, action, {**fields, **chosen})
            assert csms.station is not None
            await csms.station.send(json.dumps([2, action, action, payload]))
            await sent.put((station, action, payload))

        kind = demo.FLEET[identity]
        drivers = list(demo.DRIVERS[: kind.connectors])
        station = demo.DemoStation(url, identity, kind, drivers, meter_interval=0.02)
        stopping = asyncio.Event()
        running = asyncio.create_task(demo.run_fleet([station], nowhere, stopping, command))
        yield csms, sent
        stopping.set()
        await running


async def test_the_operator_reserves_a_connector_and_its_driver_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with operated(monkeypatch, "DEMO-AC-2") as (csms, sent):
        station, action, payload = await asyncio.wait_for(sent.get(), 5)
        assert (station, action, payload["connectorId"], payload["idTag"]) == (
            "DEMO-AC-2",
            "ReserveNow",
            1,
            "DEMO-AMBER",
        )
        await csms.until_call("StatusNotification", status="Reserved")
        start = await csms.until_call("StartTransaction")
        assert (start["idTag"], start["reservationId"]) == ("DEMO-AMBER", 7)
        assert (await csms.until_call("StopTransaction"))["reason"] == "Local"


async def test_the_operator_limits_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with operated(monkeypatch, "DEMO-AC-1") as (csms, sent):
        assert (await asyncio.wait_for(sent.get(), 5))[1] == "SetChargingProfile"
        limited = await csms.until(lambda message: '"Power.Offered"' in json.dumps(message))
        samples = {each["measurand"]: each["value"] for each in limited[3]["meterValue"][0]["sampledValue"]}
        assert samples["Power.Offered"] == samples["Power.Active.Import"] == "5500"


async def test_a_station_reports_security_events_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "NEXT_EVENT", (0, 0))
    async with operated(monkeypatch, "DEMO-AC-2") as (csms, _):
        assert (await csms.until_call("SecurityEventNotification"))["type"] == "StartupOfTheDevice"
        known = {kind for kind, _ in demo.SECURITY_EVENTS}
        assert (await csms.until_call("SecurityEventNotification"))["type"] in known


async def test_the_password_comes_from_the_environment_or_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OV2XMP_ADMIN_PASSWORD", raising=False)
    monkeypatch.setenv("OV2XMP_DATA_DIR", str(tmp_path))
    with pytest.raises(demo.DemoError, match="make run"):
        demo.admin_password()
    (tmp_path / "admin-password").write_text("from-file\n")
    assert demo.admin_password() == "from-file"
    monkeypatch.setenv("OV2XMP_ADMIN_PASSWORD", "from-environment")
    assert demo.admin_password() == "from-environment"
