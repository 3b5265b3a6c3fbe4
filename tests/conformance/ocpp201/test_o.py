"""Block O: display messages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.test_b import complete
from tests.simulator.station import Payload
from tests.simulator.times import timestamp
from tests.simulator.v2 import Station201, token

LATER = timestamp(datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def living(station: Station201) -> Station201:
    """The station, which reports what it is asked for."""
    station.autonomous = True
    return station


async def put(central: Central, station: Station201, status: str = "Accepted", **more: Any) -> Payload:
    """Let the platform put a message on the display, and check the request and what is shown of it; return both."""
    station.answers["SetDisplayMessage"] = {"status": status}
    content = {"format": "UTF8", "content": "Welcome"}
    body = {"priority": "NormalCycle", "message": content, **more}
    assert await central.ask("SetDisplayMessage", message=body) == {"status": status}
    request = sent(station, "SetDisplayMessage")[-1]["message"]
    assert request["id"] >= 0
    assert (request["priority"], request["message"]) == (body["priority"], content)
    rows = [row for row in await central.rows("displaymessage") if row["message_id"] == request["id"]]
    assert len(rows) == (status == "Accepted")
    station.messages = {row["message_id"]: request for row in rows}
    return dict(request)


async def test_tc_o_01_csms_set_display_message(central: Central, station: Station201) -> None:
    assert (await put(central, station, state="Idle"))["state"] == "Idle"


async def get(central: Central, station: Station201, status: str = "Accepted", **body: Any) -> None:
    assert await central.ask("GetDisplayMessages", **body) == {"status": status}
    request = dict(sent(station, "GetDisplayMessages")[-1])
    request_id = request.pop("requestId")
    assert request == body
    if status == "Accepted":
        await complete(central, request_id)


async def test_tc_o_02_csms_get_all_display_messages(central: Central, living: Station201) -> None:
    await put(central, living)
    await get(central, living)
    assert [row["content"] for row in await central.rows("displaymessage")] == ["Welcome"]


async def test_tc_o_03_csms_get_all_display_messages_none_configured(central: Central, living: Station201) -> None:
    await get(central, living, "Unknown")
    assert await central.rows("displaymessage") == []


async def test_tc_o_04_csms_clear_display_message(central: Central, station: Station201) -> None:
    request = await put(central, station)
    assert await central.ask("ClearDisplayMessage", id=request["id"]) == {"status": "Accepted"}
    assert sent(station, "ClearDisplayMessage") == [{"id": request["id"]}]
    assert await central.rows("displaymessage") == []


async def test_tc_o_05_csms_clear_display_message_unknown_key(central: Central, station: Station201) -> None:
    assert await central.ask("ClearDisplayMessage", id=4711) == {"status": "Unknown"}


async def charging(central: Central, station: Station201) -> str:
    await station.started(id_token=token(await central.tag("VALID")), charging_state="Charging")
    return station.running().id


async def test_tc_o_06_csms_set_display_message_of_a_transaction(central: Central, station: Station201) -> None:
    transaction = await charging(central, station)
    assert (await put(central, station, transaction_id=transaction))["transactionId"] == transaction


async def test_tc_o_07_csms_get_display_message_by_id(central: Central, living: Station201) -> None:
    request = await put(central, living)
    await get(central, living, id=[request["id"]])


async def test_tc_o_08_csms_get_display_message_by_priority(central: Central, living: Station201) -> None:
    await put(central, living, priority="InFront")
    await get(central, living, priority="InFront")


async def test_tc_o_09_csms_get_display_message_by_state(central: Central, living: Station201) -> None:
    await put(central, living, state="Idle")
    await get(central, living, state="Idle")


async def test_tc_o_10_csms_set_display_message_unknown_transaction(central: Central, station: Station201) -> None:
    await put(central, station, "UnknownTransaction", transaction_id="nobody's")


async def test_tc_o_11_csms_get_display_message_unknown_parameters(central: Central, living: Station201) -> None:
    await get(central, living, "Unknown", id=[4711])


async def test_tc_o_12_csms_replace_display_message(central: Central, station: Station201) -> None:
    request = await put(central, station)
    again = await put(central, station, id=request["id"], priority="AlwaysFront")
    assert again["id"] == request["id"]
    assert [row["priority"] for row in await central.rows("displaymessage")] == ["AlwaysFront"]


async def test_tc_o_13_csms_display_message_at_start_time(central: Central, station: Station201) -> None:
    assert "startDateTime" in await put(central, station, start_date_time=LATER)


async def test_tc_o_14_csms_remove_display_message_after_end_time(central: Central, station: Station201) -> None:
    assert "endDateTime" in await put(central, station, end_date_time=LATER)


async def test_tc_o_17_csms_set_display_message_not_supported_priority(central: Central, station: Station201) -> None:
    await put(central, station, "NotSupportedPriority", priority="AlwaysFront")


async def test_tc_o_18_csms_set_display_message_not_supported_state(central: Central, station: Station201) -> None:
    await put(central, station, "NotSupportedState", state="Faulted")


async def test_tc_o_19_csms_set_display_message_not_supported_format(central: Central, station: Station201) -> None:
    await put(central, station, "NotSupportedMessageFormat")


async def test_tc_o_25_csms_set_display_message_of_a_state(central: Central, station: Station201) -> None:
    assert (await put(central, station, state="Charging"))["state"] == "Charging"


async def test_tc_o_26_csms_set_display_message_rejected(central: Central, station: Station201) -> None:
    await put(central, station, "Rejected")


async def test_tc_o_27_csms_display_message_of_a_transaction_at_start_time(
    central: Central, station: Station201
) -> None:
    transaction = await charging(central, station)
    request = await put(central, station, transaction_id=transaction, start_date_time=LATER)
    assert {"transactionId", "startDateTime"} <= request.keys()


async def test_tc_o_28_csms_remove_display_message_of_a_transaction_after_end_time(
    central: Central, station: Station201
) -> None:
    transaction = await charging(central, station)
    request = await put(central, station, transaction_id=transaction, end_date_time=LATER)
    assert {"transactionId", "endDateTime"} <= request.keys()
