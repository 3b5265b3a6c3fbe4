"""The simulated stations against a CSMS of a few lines, so that a failing test elsewhere is not theirs."""

import asyncio

import pytest

from tests.simulator.fake_csms import running_csms
from tests.simulator.station import CallError, Disconnected, Station
from tests.simulator.v16 import Station16


async def test_call_returns_the_payload_or_raises_the_call_error() -> None:
    async with running_csms() as (csms, url), Station(url, "a b/c", subprotocols=("ocpp1.6",)) as station:
        csms.answers["Broken"] = lambda message_id, _: f'[4,"{message_id}","InternalError","out of order",{{"a":1}}]'
        assert station.address.endswith("/a%20b%2Fc")
        assert station.subprotocol == "ocpp1.6"
        assert await station.call("Authorize", {"idTag": "TAG"}) == {"idTagInfo": {"status": "Accepted"}}
        with pytest.raises(CallError) as caught:
            await station.call("Broken")
        assert (caught.value.code, caught.value.description, caught.value.details) == (
            "InternalError",
            "out of order",
            {"a": 1},
        )


async def test_a_late_answer_comes_out_as_an_unclaimed_frame() -> None:
    async with running_csms() as (csms, url), Station16(url, "CP") as station:
        csms.answers["Slow"] = lambda *_: None
        with pytest.raises(TimeoutError, match="no answer to Slow"):
            await station.call("Slow", message_id="1", timeout=0.05)
        await csms.station.send('[3,"1",{}]')
        assert (await station.next_frame()).data == '[3,"1",{}]'
        assert station.unclaimed == []


async def test_raw_frames_come_back_as_sent_and_are_logged_in_both_directions() -> None:
    async with running_csms() as (_, url), Station16(url, "CP") as station:
        assert (await station.exchange('[2,"x","Heartbeat",{}]')).json() == [3, "x", {}]
        assert [(frame.sent, frame.data) for frame in station.frames] == [
            (True, '[2,"x","Heartbeat",{}]'),
            (False, '[3, "x", {}]'),
        ]


async def test_calls_of_the_csms_are_answered_from_the_table_the_memory_or_with_not_implemented() -> None:
    async with running_csms() as (csms, url), Station16(url, "CP") as station:
        await station.heartbeat()
        station.answers["ClearCache"] = CallError("SecurityError", "no", {})
        station.answers["Reset"] = lambda payload: {"status": "Rejected" if payload["type"] == "Hard" else "Accepted"}
        assert await csms.call("ClearCache", {}) == [4, "ClearCache", "SecurityError", "no", {}]
        assert await csms.call("Reset", {"type": "Hard"}) == [3, "Reset", {"status": "Rejected"}]
        assert (await csms.call("Nonsense", {}))[2] == "NotImplemented"
        assert await csms.call("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}) == [
            3,
            "ChangeConfiguration",
            {"status": "Accepted"},
        ]
        assert (await csms.call("GetConfiguration", {"key": ["HeartbeatInterval", "Nonsense"]}))[2] == {
            "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}],
            "unknownKey": ["Nonsense"],
        }
        assert (await station.expect_call("Reset")).payload == {"type": "Hard"}


async def test_a_wait_ends_when_the_connection_does() -> None:
    async with running_csms() as (csms, url), Station16(url, "CP") as station:
        await station.call("Heartbeat")
        waiting = asyncio.create_task(station.expect_call("Reset"))
        csms.answers["Last"] = lambda *_: None
        calling = asyncio.create_task(station.call("Last"))
        await csms.until_call("Last")
        await csms.station.close(1012)
        assert (await station.wait_closed())[0] == 1012
        for task in (waiting, calling):
            with pytest.raises(Disconnected):
                await task


async def test_a_whole_session_is_played_by_its_timestamps() -> None:
    async with running_csms() as (csms, url), Station16(url, "CP") as station:
        session = await station.charge("TAG", energy=3000, samples=2)
        assert (session.transaction_id, session.meter_start, session.meter_stop) == (7, 0, 3000)
        assert (await csms.until_call("StartTransaction"))["idTag"] == "TAG"
        values = [(await csms.until_call("MeterValues")) for _ in range(2)]
        assert [value["meterValue"][0]["sampledValue"][0]["value"] for value in values] == ["1500", "3000"]
        stop = await csms.until_call("StopTransaction")
        assert stop["timestamp"] == values[1]["meterValue"][0]["timestamp"]


async def test_an_autonomous_station_does_what_it_accepted() -> None:
    async with (
        running_csms() as (csms, url),
        Station16(url, "CP", autonomous=True, meter_interval=0.01, connectors=2) as station,
    ):
        await station.start_up()
        await csms.call("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 2})
        assert (await csms.until_call("StatusNotification"))["status"] == "Preparing"
        assert (await csms.until_call("StartTransaction"))["connectorId"] == 2
        assert (await csms.until_call("StatusNotification"))["status"] == "Charging"
        assert (await csms.until_call("MeterValues"))["transactionId"] == 7
        assert (await csms.call("ChangeAvailability", {"connectorId": 2, "type": "Inoperative"}))[2] == {
            "status": "Scheduled"
        }
        await csms.call("RemoteStopTransaction", {"transactionId": 7})
        assert (await csms.until_call("StopTransaction"))["reason"] == "Remote"
        assert (await csms.until_call("StatusNotification"))["status"] == "Unavailable"
        await csms.call("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
        assert (await csms.until_call("StatusNotification"))["connectorId"] == 1


async def test_a_reset_ends_the_sessions_and_boots_again() -> None:
    async with (
        running_csms() as (csms, url),
        Station16(url, "CP", autonomous=True, meter_interval=0) as station,
    ):
        await station.start_up()
        await csms.call("RemoteStartTransaction", {"idTag": "TAG"})
        await csms.until_call("StartTransaction")
        await csms.call("Reset", {"type": "Hard"})
        assert (await csms.until_call("StopTransaction"))["reason"] == "HardReset"
        assert (await csms.until_call("BootNotification"))["chargePointVendor"] == "Simulated"


async def test_a_transaction_survives_a_lost_connection() -> None:
    async with (
        running_csms() as (csms, url),
        Station16(url, "CP", autonomous=True, meter_interval=0, retry_after=0.01) as station,
    ):
        await station.start_up()
        await csms.call("RemoteStartTransaction", {"idTag": "TAG"})
        await csms.until_call("StartTransaction")
        await station.drop()
        station.end_session(station.connectors[1], "Local")
        await station.connect()
        assert (await csms.until_call("StopTransaction"))["transactionId"] == 7


async def test_pings_may_stay_unanswered_while_calls_work() -> None:
    async with running_csms() as (csms, url), Station16(url, "CP", answers_pings=False) as station:
        await station.call("Heartbeat")
        pong = await csms.station.ping()
        await station.call("Heartbeat")
        assert not pong.done()
        pong.cancel()
