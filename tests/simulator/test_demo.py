"""The demo's fleet, against a CSMS of a few lines."""

import asyncio
import collections
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.simulator import demo
from tests.simulator.fake_csms import Csms, running_csms
from tests.simulator.v16 import timestamp


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
        # The CSMS knows 1.6 only.
        fleet = [station for station in demo.build_fleet(url, 0.01) if isinstance(station, demo.DemoStation)]
        running = asyncio.create_task(demo.run_fleet(fleet, place, stopping))
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
async def living(monkeypatch: pytest.MonkeyPatch, identity: str) -> AsyncIterator[tuple[Csms, demo.DemoStation]]:
    """Run one station of the fleet, whose drivers are in a hurry and which does nothing by itself after its start."""
    for name in ("ARRIVAL", "STAY"):
        monkeypatch.setattr(demo, name, (0.05, 0.05))
    async with running_csms() as (csms, url):
        kind = demo.FLEET[identity]
        station = demo.DemoStation(url, identity, kind, demo.DRIVERS[: kind.connectors], meter_interval=0.02)
        stopping = asyncio.Event()
        running = asyncio.create_task(demo.run_fleet([station], nowhere, stopping))
        assert (await csms.until_call("SecurityEventNotification"))["type"] == "StartupOfTheDevice"
        yield csms, station
        stopping.set()
        await running


async def test_the_holder_of_a_reservation_comes_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(monkeypatch, "DEMO-AC-2") as (csms, station):
        expiry = timestamp(station.clock() + timedelta(minutes=5))
        request = {"reservationId": 7, "connectorId": 1, "idTag": "DEMO-RED", "expiryDate": expiry}
        assert await csms.ask("ReserveNow", request) == {"status": "Accepted"}
        await csms.until_call("StatusNotification", status="Reserved")
        start = await csms.until_call("StartTransaction")
        assert (start["idTag"], start["reservationId"]) == ("DEMO-RED", 7)
        assert (await csms.until_call("StopTransaction"))["reason"] == "Local"


async def test_a_driver_may_reserve_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(monkeypatch, "DEMO-AC-2") as (csms, station):
        await station.keep_connector()
        await csms.until_call("StatusNotification", status="Reserved")
        start = await csms.until_call("StartTransaction")
        # The platform has not reserved anything.
        assert (start["idTag"], "reservationId" in start) == ("DEMO-AMBER", False)


async def test_a_station_that_saves_power_offers_less_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SAVING", timedelta(seconds=0.5))
    async with living(monkeypatch, "DEMO-AC-1") as (csms, station):
        await csms.until_call("MeterValues")
        saving = asyncio.create_task(station.save_power())
        limited = await csms.until(lambda message: '"Power.Offered"' in json.dumps(message))
        samples = {each["measurand"]: each["value"] for each in limited[3]["meterValue"][0]["sampledValue"]}
        assert samples["Power.Offered"] == samples["Power.Active.Import"] == "5500"
        await saving
        assert station.limit_of(station.connectors[1]) is None


async def test_a_station_says_what_became_of_its_log_and_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with living(monkeypatch, "DEMO-AC-2") as (csms, _):
        await csms.ask("GetDiagnostics", {"location": f"ftp://user:hunter2@127.0.0.1:{port}/"})
        await csms.until_call("DiagnosticsStatusNotification", status="UploadFailed")
    printed = capsys.readouterr().out
    assert f'GetDiagnostics {{"location":"ftp://127.0.0.1:{port}/"}}' in printed
    assert "not transferred: ftp: " in printed
    assert "hunter2" not in printed


async def test_a_station_does_things_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "NEXT_DEED", (0, 0))
    monkeypatch.setattr(demo, "SAVING", timedelta(seconds=0))
    async with living(monkeypatch, "DEMO-AC-2") as (csms, _):
        known = {kind for kind, _ in demo.SECURITY_EVENTS}
        assert (await csms.until_call("SecurityEventNotification"))["type"] in known
        await csms.until_call("StatusNotification", status="Reserved")


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
