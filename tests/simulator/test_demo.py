"""The demo's fleet, against a CSMS of a few lines."""

import asyncio
import collections
from pathlib import Path

import pytest

from tests.simulator import demo
from tests.simulator.fake_csms import Csms, running_csms


def actions(csms: Csms) -> collections.Counter[str]:
    return collections.Counter(message[2] for message in csms.received if message[0] == 2)


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

        async def place(_: str) -> None: ...

        running = asyncio.create_task(demo.run_fleet([station], place, stopping))
        await csms.until_call("StatusNotification")
        await station.ready.wait()
        await csms.call("Reset", {"type": "Soft"})
        await csms.until_call("BootNotification")
        stopping.set()
        await running


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
