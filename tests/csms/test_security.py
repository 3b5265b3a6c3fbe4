"""The security extensions of OCPP 1.6 over real sockets: the station's key, and what it reports."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, SecurityEvent
from chargers.services import stations
from tasks.errors import KeyChangeInDoubt
from tasks.models import Command
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16

NEW = "00112233445566778899aabbccddeeff00112233"
OTHER = "ffeeddccbbaa99887766554433221100ffeeddcc"
CHANGE = {"key": "AuthorizationKey", "value": NEW}


@pytest.fixture
async def old_key(url: str, query: Query, transactional_db: None) -> str:
    """The key of CP1, which must present it."""

    def make() -> str:
        station = ChargePoint.objects.create(chargepoint_id="CP1", security_profile=SecurityProfile.BASIC)
        return stations.new_key(station)

    return str(await query(make))


async def may_connect(url: str, key: str) -> bool:
    station = Station16(url, "CP1", password=key)
    try:
        await station.connect()
    except InvalidStatus as refused:
        return refused.response.status_code != 401
    await station.disconnect()
    return True


async def change(
    url: str, key: str, answer: Payload | CallError | None, value: str = NEW, *, force: bool = False
) -> Command:
    """Ask the station to take NEW, or another `value`; return how that ended."""
    async with Station16(url, "CP1", password=key) as station:
        await station.heartbeat()
        station.answers["ChangeConfiguration"] = answer
        command_id = await operator.ask("ChangeConfiguration", {**CHANGE, "value": value}, force=force)
        await station.expect_call("ChangeConfiguration")
        if answer is None:
            await station.drop()
        return await operator.end_of(command_id)


async def test_a_key_that_is_accepted_is_the_only_one_from_then_on(url: str, old_key: str) -> None:
    command = await change(url, old_key, {"status": "Accepted"})
    assert command.payload == {"key": "AuthorizationKey", "value": "********"}
    assert await may_connect(url, NEW)
    assert not await may_connect(url, old_key)


async def test_the_new_key_may_be_presented_as_the_bytes_it_stands_for(url: str, old_key: str) -> None:
    await change(url, old_key, {"status": "Accepted"})
    async with Station16(url, "CP1", password=bytes.fromhex(NEW)) as station:
        await station.heartbeat()


@pytest.mark.parametrize(
    "answer", [{"status": "Rejected"}, {"status": "NotSupported"}, CallError("InternalError", "no")], ids=str
)
async def test_a_key_that_is_refused_changes_nothing(url: str, old_key: str, answer: Payload | CallError) -> None:
    await change(url, old_key, answer)
    assert not await may_connect(url, NEW)
    assert await may_connect(url, old_key)


async def test_a_key_that_takes_a_reboot_is_accepted_beside_the_old_one_until_it_is_presented(
    url: str, old_key: str
) -> None:
    await change(url, old_key, {"status": "RebootRequired"})
    assert await may_connect(url, old_key)
    assert await may_connect(url, NEW)
    assert not await may_connect(url, old_key)


async def test_after_a_lost_answer_the_station_tells_by_connecting_which_key_it_has(url: str, old_key: str) -> None:
    assert (await change(url, old_key, None)).status == "offline"
    assert await may_connect(url, old_key)
    assert await may_connect(url, NEW)
    assert not await may_connect(url, old_key)


@pytest.mark.parametrize("answer", [None, {"status": "RebootRequired"}], ids=str)
async def test_a_key_in_doubt_is_not_given_up_for_another_one(url: str, old_key: str, answer: Payload | None) -> None:
    await change(url, old_key, answer)
    async with Station16(url, "CP1", password=old_key) as station:
        await station.heartbeat()
        with pytest.raises(KeyChangeInDoubt, match=r"Reset.*force"):
            await operator.ask("ChangeConfiguration", {**CHANGE, "value": OTHER})
        assert station.calls == []
    assert await may_connect(url, NEW)
    # That has settled it.
    await change(url, NEW, {"status": "Accepted"}, OTHER)
    assert await may_connect(url, OTHER)


async def test_a_change_that_still_runs_is_waited_for(url: str, old_key: str) -> None:
    async with Station16(url, "CP1", password=old_key) as station:
        await station.heartbeat()
        station.answers["ChangeConfiguration"] = None
        first = await operator.ask("ChangeConfiguration", CHANGE)
        sent = await station.expect_call("ChangeConfiguration")
        with pytest.raises(KeyChangeInDoubt):
            await operator.ask("ChangeConfiguration", {**CHANGE, "value": OTHER})
        await station.send_raw(json.dumps([3, sent.message_id, {"status": "Accepted"}]))
        assert (await operator.end_of(first)).status == "answered"
    assert await may_connect(url, NEW)


async def test_a_refused_key_leaves_room_for_another_one(url: str, old_key: str) -> None:
    await change(url, old_key, {"status": "Rejected"})
    await change(url, old_key, {"status": "Accepted"}, OTHER)
    assert await may_connect(url, OTHER)


async def test_a_forced_change_takes_the_place_of_one_in_doubt(url: str, old_key: str) -> None:
    await change(url, old_key, None)
    await change(url, old_key, {"status": "Accepted"}, OTHER, force=True)
    assert not await may_connect(url, NEW)
    assert await may_connect(url, OTHER)


async def test_a_key_that_was_never_sent_is_accepted_from_nobody(url: str, old_key: str, query: Query) -> None:
    async with Station16(url, "CP1", password=old_key) as station:
        await station.heartbeat()
        station.answers["Reset"] = None
        await operator.ask("Reset", {"type": "Soft"})
        await station.expect_call("Reset")
        command_id = await operator.ask("ChangeConfiguration", CHANGE)
    assert (await operator.end_of(command_id)).status == "offline"
    assert not await may_connect(url, NEW)


@pytest.mark.parametrize("value", ["", "short", "0" * 31, "0" * 33, "0" * 42, "g" * 40, NEW[:-1] + "\u0660"])
async def test_a_weak_or_malformed_key_is_refused_before_it_is_sent(url: str, old_key: str, value: str) -> None:
    async with Station16(url, "CP1", password=old_key) as station:
        await station.heartbeat()
        with pytest.raises(InvalidBody) as refused:
            await operator.ask("ChangeConfiguration", {"key": "authorizationkey", "value": value})
        assert refused.value.fields.keys() == {"value"}
        assert station.calls == []


async def test_the_key_stands_neither_in_the_database_nor_in_the_log(
    url: str, old_key: str, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await change(url, old_key, {"status": "Accepted"})
    rows = await query(lambda: [*Command.objects.values(), *ChargePoint.objects.values()])
    assert NEW not in repr(rows)
    assert not any(NEW in record.getMessage() for record in caplog.records)


async def test_a_security_event_is_kept_as_it_is_told(station: Station16, query: Query) -> None:
    event = {
        "type": "TamperDetectionActivated",
        "timestamp": "2026-01-01T00:00:00Z",
        "techInfo": "lid open",
    }
    assert await station.call("SecurityEventNotification", event) == {}
    row = await query(lambda: SecurityEvent.objects.get())
    assert (row.chargepoint_id, row.type, row.tech_info, row.critical) == (
        "CP1",
        "TamperDetectionActivated",
        "lid open",
        True,
    )


async def test_an_extended_trigger_asks_for_messages_of_the_extensions(station: Station16, query: Query) -> None:
    await station.heartbeat()
    asked = {"requestedMessage": "LogStatusNotification"}
    station.answers["ExtendedTriggerMessage"] = {"status": "Accepted"}
    command = await operator.perform("ExtendedTriggerMessage", asked)
    assert command.response == {"status": "Accepted"}
    assert [call.payload for call in station.calls] == [asked]
    station.answers["ExtendedTriggerMessage"] = {"status": "NotImplemented"}
    await operator.perform("ExtendedTriggerMessage", asked)
    await until(lambda: ChargePoint.objects.get().limitations.filter(subject="LogStatusNotification").exists())
