"""A station of OCPP 2.0.1 that is none of ours, of the `ocpp` package, which an operator drives over REST."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import websockets
from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result

from tests.e2e.launcher import Platform

IDENTITY = "FOREIGN201"
TOKEN = {"id_token": "04A1B2C3D4E501", "type": "ISO14443"}
SESSION = "9a1c-session-1"
TIMEOUT = 15
INTERVAL = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station(ChargePoint):  # type: ignore[misc]
    """A station with one EVSE that answers by the book."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        super().__init__(IDENTITY, socket, response_timeout=TIMEOUT)
        self.interval = "300"
        self.seq_no = 0
        self.inventory_told = asyncio.Event()
        self.stopped = asyncio.Event()

    async def tell(self, message: Any) -> Any:
        return await self.call(message, suppress=False)

    async def event(self, kind: str, trigger: str, energy: float, **more: Any) -> Any:
        reading = {
            "timestamp": now(),
            "sampled_value": [{"value": energy, "measurand": "Energy.Active.Import.Register"}],
        }
        message = call.TransactionEvent(
            event_type=kind,
            timestamp=now(),
            trigger_reason=trigger,
            seq_no=self.seq_no,
            transaction_info={"transaction_id": SESSION, **more.pop("info", {})},
            evse={"id": 1, "connector_id": 1},
            meter_value=[reading],
            **more,
        )
        self.seq_no += 1
        return await self.tell(message)

    async def charge(self) -> None:
        """Boot, and begin a session."""
        boot = call.BootNotification(
            reason="PowerUp", charging_station={"vendor_name": "Acme", "model": "Post Two", "firmware_version": "2.0"}
        )
        assert (await self.tell(boot)).status == "Accepted"
        await self.tell(
            call.StatusNotification(timestamp=now(), connector_status="Available", evse_id=1, connector_id=1)
        )
        assert (await self.tell(call.Authorize(id_token=TOKEN))).id_token_info["status"] == "Accepted"
        await self.event("Started", "Authorized", 1000, id_token=TOKEN, info={"charging_state": "Charging"})
        await self.event("Updated", "MeterValuePeriodic", 1400)

    @on("GetBaseReport")
    def on_get_base_report(self, request_id: int, report_base: str, **_: Any) -> Any:
        return call_result.GetBaseReport(status="Accepted")

    @after("GetBaseReport")
    async def after_get_base_report(self, request_id: int, report_base: str, **_: Any) -> None:
        for number, name in enumerate(("Model", "HeartbeatInterval")):
            component = "ChargingStation" if name == "Model" else "OCPPCommCtrlr"
            value = "Post Two" if name == "Model" else self.interval
            told = {
                "component": {"name": component},
                "variable": {"name": name},
                "variable_attribute": [{"value": value, "mutability": "ReadWrite"}],
            }
            await self.tell(
                call.NotifyReport(
                    request_id=request_id, generated_at=now(), seq_no=number, tbc=number == 0, report_data=[told]
                )
            )
        self.inventory_told.set()

    @on("SetVariables")
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        self.interval = set_variable_data[0]["attribute_value"]
        result = {name: set_variable_data[0][name] for name in ("component", "variable")}
        return call_result.SetVariables(set_variable_result=[{"attribute_status": "Accepted", **result}])

    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        asked = {name: get_variable_data[0][name] for name in ("component", "variable")}
        result = {"attribute_status": "Accepted", "attribute_value": self.interval, **asked}
        return call_result.GetVariables(get_variable_result=[result])

    @on("RequestStopTransaction")
    def on_request_stop_transaction(self, transaction_id: str, **_: Any) -> Any:
        return call_result.RequestStopTransaction(status="Accepted" if transaction_id == SESSION else "Rejected")

    @after("RequestStopTransaction")
    async def after_request_stop_transaction(self, transaction_id: str, **_: Any) -> None:
        await self.event("Ended", "RemoteStop", 1500, info={"stopped_reason": "Remote"})
        self.stopped.set()

    @on("Reset")
    def on_reset(self, type: str, **_: Any) -> Any:
        return call_result.Reset(status="Accepted")


@asynccontextmanager
async def connected(platform: Platform) -> AsyncIterator[Station]:
    async with websockets.connect(f"{platform.ocpp}/{IDENTITY}", subprotocols=["ocpp2.0.1"]) as socket:
        station = Station(socket)
        running = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def ask(operator: httpx.AsyncClient, action: str, **fields: Any) -> Any:
    answer = await operator.post(f"/api/ocpp201/{action.lower()}/", json={"chargepoint_id": IDENTITY, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["message"]


async def rows(operator: httpx.AsyncClient, resource: str) -> Any:
    answer = await operator.get(f"/api/{resource}/", params={"chargepoint_id": IDENTITY})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


async def test_a_foreign_station_of_2_0_1_charges_and_is_driven(
    platform: Platform, operator: httpx.AsyncClient
) -> None:
    await operator.post("/api/idtag/", json={"idToken": TOKEN["id_token"]})
    async with connected(platform) as station, asyncio.timeout(TIMEOUT):
        await station.charge()
        # The platform asks for it by itself.
        await station.inventory_told.wait()
        told = {each["variable"]: each["value"] for each in await rows(operator, "variable")}
        assert told == {"Model": "Post Two", "HeartbeatInterval": "300"}
        [inventory] = [each for each in await rows(operator, "task") if each["action"] == "GetBaseReport"]
        assert (inventory["report"]["status"], inventory["report"]["parts"]) == ("Complete", 2)

        setting = await ask(operator, "SetVariables", set_variable_data=[{**INTERVAL, "attribute_value": "600"}])
        assert setting["set_variable_result"][0]["attribute_status"] == "Accepted"
        reading = await ask(operator, "GetVariables", get_variable_data=[INTERVAL])
        assert reading["get_variable_result"][0]["attribute_value"] == "600"

        [session] = await rows(operator, "transaction")
        assert (session["uuid"], session["transaction_status"], session["energy_wh"]) == (SESSION, "Started", 400)
        stopping = await ask(operator, "RequestStopTransaction", transaction_id=SESSION)
        assert stopping == {"status": "Accepted"}
        await station.stopped.wait()
        [session] = await rows(operator, "transaction")
        assert (session["reason_stopped"], session["energy_wh"], session["flags"]) == ("Remote", 500, [])
        assert await ask(operator, "Reset", type="OnIdle") == {"status": "Accepted"}
        read = (await operator.get(f"/api/chargepoint/{IDENTITY}/")).json()
        assert (read["ocpp_version"], read["deviations"], read["limitations"]) == ("ocpp2.0.1", [], [])
