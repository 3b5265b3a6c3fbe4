"""An operator commands a station over REST, and a frontend sees it live: the real processes, end to end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.e2e.frontend import listening
from tests.e2e.launcher import Platform
from tests.simulator.station import CallError
from tests.simulator.v16 import Station16


@asynccontextmanager
async def station(platform: Platform, identity: str, **options: Any) -> AsyncIterator[Station16]:
    """Connect a station and wait until the platform has taken it in."""
    async with Station16(platform.ocpp, identity, **options) as connected:
        await connected.boot()
        yield connected


async def test_a_reset_is_answered_with_what_the_station_said(platform: Platform, operator: httpx.AsyncClient) -> None:
    async with station(platform, "E2E-1") as charger:
        body = {"chargepoint_id": "E2E-1", "reset_type": "Soft"}
        answer = await operator.post("/api/ocpp16/reset/", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["message_code"] == "RESPONSE_RECEIVED"
        assert answer.json()["message"] == {"status": "Accepted"}
        assert [call.payload for call in charger.calls] == [{"type": "Soft"}]
        task = (await operator.get(f"/api/task/{answer.json()['task_id']}/")).json()
        assert (task["status"], task["requested_by"], task["response"]) == ("answered", "admin", {"status": "Accepted"})


async def test_a_reset_that_nobody_waits_for_is_followed_live(platform: Platform, operator: httpx.AsyncClient) -> None:
    async with station(platform, "E2E-2"), listening(platform, "E2E-2") as frontend:
        body = {"chargepoint_id": "e2e-2", "type": "Hard", "sync": False}
        answer = await operator.post("/api/ocpp16/reset/", json=body)
        assert answer.status_code == 202
        assert answer.json()["message_code"] == "TASK_SUBMITTED"
        task_id = answer.json()["task_id"]
        task = await frontend.until("tasks", task_id=task_id, status="answered")
        assert task["response"] == {"status": "Accepted"}
        statuses = [each["data"]["status"] for each in frontend.told if each["topic"] == "tasks"]
        assert statuses == sorted(statuses, key=["queued", "sent", "answered"].index)
        assert (await operator.get(f"/api/task/{task_id}/")).json() == task


async def test_a_frontend_sees_a_whole_session_as_rest_tells_it(
    platform: Platform, operator: httpx.AsyncClient
) -> None:
    await operator.post("/api/idtag/", json={"idToken": "E2E-TAG"})
    async with listening(platform, "E2E-3") as frontend, station(platform, "E2E-3") as charger:
        assert (await frontend.until("chargepoint", connected=True))["chargepoint_id"] == "E2E-3"
        session = await charger.charge("E2E-TAG", energy=3000)
        done = await frontend.until("transaction", transaction_status="Finished")
        assert done["transaction_id"] == session.transaction_id
        assert done["energy_wh"] == 3000
        read = (await operator.get(f"/api/transaction/{session.transaction_id}/")).json()
        # Its connector goes on to other states.
        assert {**done, "connector": None} == {**read, "connector": None}
        readings = [each for each in frontend.told if each["topic"] == "metervalues"]
        assert [each["data"]["sampled_value"][0]["value"] for each in readings] == ["1000", "2000", "3000"]
        await frontend.until("connector", connector_status="Available")
    samples = (await operator.get(f"/api/sampledvalue/{session.transaction_id}/")).json()
    assert [each["value"] for each in samples["results"]] == ["1000", "2000", "3000"]


async def test_a_remote_start_and_stop_make_a_session(platform: Platform, operator: httpx.AsyncClient) -> None:
    await operator.post("/api/idtag/", json={"idToken": "E2E-APP"})
    async with (
        listening(platform, "E2E-4") as frontend,
        station(platform, "E2E-4", autonomous=True, meter_interval=0.05),
    ):
        body: dict[str, Any] = {"chargepoint_id": "E2E-4", "id_tag": "E2E-APP", "connector_id": 1}
        started = await operator.post("/api/ocpp16/remotestarttransaction/", json=body)
        assert (started.status_code, started.json()["message"]) == (200, {"status": "Accepted"})
        transaction = await frontend.until("transaction", transaction_status="Started", id_tag="E2E-APP")
        await frontend.until("metervalues", transaction_id=transaction["transaction_id"])
        body = {"chargepoint_id": "E2E-4", "transaction_id": transaction["transaction_id"]}
        stopped = await operator.post("/api/ocpp16/remotestoptransaction/", json=body)
        assert (stopped.status_code, stopped.json()["message"]) == (200, {"status": "Accepted"})
        ended = await frontend.until("transaction", transaction_status="Finished")
        assert ended["reason_stopped"] == "Remote"
        await frontend.until("connector", connector_status="Available")


async def test_a_station_that_refuses_or_is_away_is_told_as_such(
    platform: Platform, operator: httpx.AsyncClient
) -> None:
    body = {"chargepoint_id": "E2E-5", "type": "Soft"}
    assert (await operator.post("/api/ocpp16/reset/", json=body)).status_code == 404
    async with listening(platform, "E2E-5") as frontend:
        async with station(platform, "E2E-5") as charger:
            charger.answers["Reset"] = CallError("NotSupported", "not here")
            refused = await operator.post("/api/ocpp16/reset/", json=body)
            assert (refused.status_code, refused.json()["code"]) == (502, "OCPP_CALL_ERROR")
        await frontend.until("chargepoint", connected=True)
        await frontend.until("chargepoint", connected=False)
    away = await operator.post("/api/ocpp16/reset/", json=body)
    assert (away.status_code, away.json()["code"]) == (409, "CHARGING_STATION_OFFLINE")


async def test_the_configuration_that_a_station_tells_can_be_read_afterwards(
    platform: Platform, operator: httpx.AsyncClient
) -> None:
    async with station(platform, "E2E-6"):
        body = {"chargepoint_id": "E2E-6"}
        answer = await operator.post("/api/ocpp16/getconfiguration/", json=body)
        assert answer.status_code == 200
        change = {**body, "key": "MeterValueSampleInterval", "value": "15"}
        assert (await operator.post("/api/ocpp16/changeconfiguration/", json=change)).status_code == 200
    kept = (await operator.get("/api/variable/", params={"chargepoint_id": "E2E-6", "limit": 1000})).json()["results"]
    assert len(kept) == len(answer.json()["message"]["configuration_key"])
    assert {each["variable"]: each["value"] for each in kept}["MeterValueSampleInterval"] == "15"
