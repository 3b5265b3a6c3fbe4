"""Processes that die and come back: nothing acknowledged is lost, and no command stays open."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from chargers import pem
from tests import pki
from tests.e2e.parts import Parts
from tests.e2e.storage import Template
from tests.simulator.station import Disconnected
from tests.simulator.v16 import Station16

OPEN = ("queued", "sent")


@pytest.fixture(scope="module")
def parts(redis_url: str, template: Template) -> Iterator[Parts]:
    """Yield a running platform whose processes a test may kill; it starts again what it killed."""
    with (
        tempfile.TemporaryDirectory(prefix="ov2xmp-tests-") as data_dir,
        template.copied(Path(data_dir)) as storage,
    ):
        settings = {
            "OV2XMP_REDIS_URL": redis_url,
            "OV2XMP_REDIS_PREFIX": f"test-{uuid4().hex[:8]}",
            "OV2XMP_OCPP_TIMEOUT": "2",
            "OV2XMP_NODE_LEASE": "3",
            **storage,
        }
        running = Parts(Path(data_dir), **settings)
        try:
            running.start("web", "csms", "worker")
            asyncio.run(wait_for_worker(running))
            yield running
        finally:
            running.kill_all()


@pytest.fixture
async def operator(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    headers = await asyncio.to_thread(parts.log_in)
    async with httpx.AsyncClient(base_url=parts.web, headers=headers, timeout=40, trust_env=False) as client:
        yield client


async def wait_for_worker(parts: Parts) -> None:
    """Ask a station for something until it gets it."""
    async with (
        Station16(parts.ocpp, "PROBE") as station,
        httpx.AsyncClient(base_url=parts.web, headers=parts.log_in(), timeout=40, trust_env=False) as client,
        asyncio.timeout(60),
    ):
        await station.boot()
        while (await client.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "PROBE"})).status_code != 200:
            await asyncio.sleep(0.1)


async def ask(operator: httpx.AsyncClient, action: str, identity: str, **fields: Any) -> str:
    """Ask for something without waiting for it; return the task's id."""
    answer = await operator.post(f"/api/ocpp16/{action}/", json={"chargepoint_id": identity, "sync": False, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def end_of(operator: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            task: dict[str, Any] = (await operator.get(f"/api/task/{task_id}/")).json()
            if task["status"] not in OPEN:
                return task
            await asyncio.sleep(0.1)


async def until_connected(operator: httpx.AsyncClient, identity: str, expected: bool) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await operator.get(f"/api/chargepoint/{identity}/")
            if answer.status_code == 200 and answer.json()["connected"] is expected:
                return
            await asyncio.sleep(0.1)


async def test_a_csms_that_is_killed_leaves_no_command_open_and_takes_its_stations_back(
    parts: Parts, operator: httpx.AsyncClient
) -> None:
    async with Station16(parts.ocpp, "F1") as silent, Station16(parts.ocpp, "F2") as other:
        await silent.boot()
        await other.boot()
        silent.answers["Reset"] = None
        sent = await ask(operator, "reset", "F1", type="Soft")
        await silent.expect_call("Reset")
        behind = await ask(operator, "clearcache", "F1")
        parts.kill("csms")
        await silent.wait_closed()
        # Nobody has noticed yet: the node's lease still holds.
        lost = await ask(operator, "clearcache", "F2")

        ended = [await end_of(operator, each) for each in (sent, behind, lost)]
        assert ended[0]["status"] == "timeout"
        assert {each["status"] for each in ended} <= {"timeout", "offline"}
        assert all(each["finished_at"] and each["error"] for each in ended)
        await until_connected(operator, "F1", False)
        refused = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "F1"})
        assert (refused.status_code, refused.json()["code"]) == (409, "CHARGING_STATION_OFFLINE")

        await asyncio.to_thread(parts.start, "csms")
        await silent.connect()
        await silent.heartbeat()
        await until_connected(operator, "F1", True)
        answer = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "F1"})
        assert answer.json()["message"] == {"status": "Accepted"}
        # What was given up is not sent to a station that came back.
        assert [call.action for call in silent.calls] == ["Reset", "ClearCache"]


async def test_what_a_killed_csms_acknowledged_is_stored_and_the_rest_comes_again(
    parts: Parts, operator: httpx.AsyncClient
) -> None:
    await operator.post("/api/idtag/", json={"idToken": "F-TAG"})
    async with Station16(parts.ocpp, "F3") as station:
        await station.boot()
        number = (await station.start(1, "F-TAG", meter_start=0))["transactionId"]
        acknowledged: list[int] = []

        async def report() -> None:
            while len(acknowledged) < 10_000:
                station.connectors[1].energy = len(acknowledged) + 1
                await station.meter_values(1)
                acknowledged.append(len(acknowledged) + 1)

        reporting = asyncio.create_task(report())
        while len(acknowledged) < 30:
            await asyncio.sleep(0.005)
        parts.kill("csms")
        with pytest.raises(Disconnected):
            await reporting
        await asyncio.to_thread(parts.start, "csms")
        await station.connect()
        stop = {"transactionId": number, "meterStop": 5000, "timestamp": "2026-01-01T00:00:00Z", "idTag": "F-TAG"}
        assert (await station.call("StopTransaction", stop))["idTagInfo"] == {"status": "Accepted"}
    samples = await operator.get(f"/api/sampledvalue/{number}/", params={"limit": 1000})
    stored = [int(each["value"]) for each in samples.json()["results"]]
    assert set(acknowledged[:1000]) <= set(stored)
    transaction = (await operator.get(f"/api/transaction/{number}/")).json()
    assert (transaction["transaction_status"], transaction["energy_wh"]) == ("Finished", 5000)


async def test_stations_charge_on_while_the_web_process_is_away(parts: Parts, operator: httpx.AsyncClient) -> None:
    async with Station16(parts.ocpp, "F4") as station:
        await station.boot()
        station.answers["ClearCache"] = None
        task_id = await ask(operator, "clearcache", "F4")
        call = await station.expect_call("ClearCache")
        parts.kill("web")
        await station.start(1, "F-TAG", meter_start=0)
        await station.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
        await station.meter_values(1)
        await asyncio.to_thread(parts.start, "web")
        assert (await end_of(operator, task_id))["response"] == {"status": "Accepted"}
        station.answers.clear()
        answer = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "F4"})
        assert answer.json()["message"] == {"status": "Accepted"}
        await station.stop(1, meter_stop=10)


async def test_a_command_that_no_worker_relays_in_time_is_never_sent(parts: Parts, operator: httpx.AsyncClient) -> None:
    async with Station16(parts.ocpp, "F5") as station:
        await station.boot()
        parts.kill("worker")
        late = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "F5"})
        assert (late.status_code, late.json()["code"]) == (504, "OCPP_TIMEOUT")
        parts.start("worker")
        await wait_for_worker(parts)
        assert station.calls == []


async def test_a_request_to_sign_outlives_every_process(parts: Parts, operator: httpx.AsyncClient) -> None:
    async with Station16(parts.ocpp, "F7", timeout=40) as station:
        station.answers["CertificateSigned"] = {"status": "Accepted"}
        await station.boot()
        parts.kill("worker")
        assert await station.call("SignCertificate", {"csr": pki.request_pem("F7")}) == {"status": "Accepted"}
        parts.kill("csms")
        await station.wait_closed()
        await asyncio.to_thread(parts.start, "csms", "worker")
        await station.connect()
        await station.heartbeat()
        chain = (await station.expect_call("CertificateSigned")).payload["certificateChain"]
        root = (await operator.get("/api/certificateauthority/")).json()["pem"]
        pem.read_certificate(chain).verify_directly_issued_by(pem.read_certificate(root))
        async with asyncio.timeout(30):
            while True:
                (row,) = (await operator.get("/api/certificate/", params={"chargepoint_id": "F7"})).json()["results"]
                if row["status"] == "Accepted":
                    break
                await asyncio.sleep(0.1)
        assert (row["pem"], row["subject"]) == (chain, "CN=F7")


async def test_a_csms_that_is_asked_to_end_sends_its_stations_away_and_ends_well(
    parts: Parts, operator: httpx.AsyncClient
) -> None:
    async with Station16(parts.ocpp, "F6") as station:
        await station.boot()
        station.answers["Reset"] = None
        task_id = await ask(operator, "reset", "F6", type="Soft")
        await station.expect_call("Reset")
        process = parts.processes["csms"]
        process.send_signal(signal.SIGTERM)
        assert await station.wait_closed() == (1012, "the server restarts")
        assert await asyncio.to_thread(process.wait, 15) == 0
        await until_connected(operator, "F6", False)
        assert (await end_of(operator, task_id))["status"] == "offline"
        await asyncio.to_thread(parts.start, "csms")
        await station.connect()
        await station.heartbeat()
    assert "Traceback" not in parts.text()
