"""The call lane: how each command ends, and that one outstanding CALL is enough for everybody."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import RegistrationStatus
from chargers.models import ChargePoint, Deviation, Variable
from csms.server import OcppServer
from csms.versions.v16 import VERSION
from tasks import broker, commands
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16

RESET = {"type": "Soft"}


@pytest.fixture
def impatient(settings: Settings) -> None:
    """A platform that waits for answers no longer than this."""
    settings.OCPP_TIMEOUT = 0.4


def deviations() -> dict[str, int]:
    return dict(Deviation.objects.values_list("kind", "count"))


def resets(station: Station16) -> list[str]:
    return [call.message_id for call in station.calls if call.action == "Reset"]


@pytest.fixture
async def ready(station: Station16) -> Station16:
    """A station that the database knows as connected, and that answers nothing until told how."""
    await station.heartbeat()
    return station


# How a command ends


async def test_a_command_that_is_answered_keeps_the_answer(ready: Station16) -> None:
    command = await operator.perform("Reset", RESET)
    assert command.status == "answered"
    assert command.response == {"status": "Accepted"}
    assert command.error is None
    assert command.created_at <= command.sent_at <= command.finished_at
    (call,) = ready.calls
    assert call.text == f'[2,"{command.pk}","Reset",{{"type":"Soft"}}]'


async def test_a_station_that_rejects_has_answered(ready: Station16) -> None:
    ready.answers["Reset"] = {"status": "Rejected"}
    command = await operator.perform("Reset", RESET)
    assert (command.status, command.response) == ("answered", {"status": "Rejected"})


async def test_a_callerror_is_kept_as_the_station_spelt_it(ready: Station16) -> None:
    ready.answers["Reset"] = CallError("NotSupported", "no \x00 such thing", {"why": ["x"]})
    command = await operator.perform("Reset", RESET)
    assert command.status == "error"
    assert command.response is None
    assert command.error == {"code": "NotSupported", "description": "no  such thing", "details": {"why": ["x"]}}


@pytest.mark.parametrize(
    "answer", [{}, {"state": "Accepted"}, {"status": {"x": ["y"]}, "status2": 1}], ids=["empty", "other", "object"]
)
async def test_an_answer_that_makes_no_sense_is_an_error_and_kept(ready: Station16, answer: Payload) -> None:
    ready.answers["ChangeAvailability"] = answer
    command = await operator.perform("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
    assert command.status == "error"
    assert command.error["code"] in ("OccurenceConstraintViolation", "TypeConstraintViolation")


@pytest.mark.usefixtures("impatient")
async def test_no_answer_in_time_is_a_timeout(ready: Station16, query: Query) -> None:
    ready.answers["Reset"] = None
    command = await operator.perform("Reset", RESET)
    assert command.status == "timeout"
    assert command.error["code"] == "timeout"
    assert command.sent_at is not None
    await until(lambda: deviations().get("call-unanswered") == 1)


async def test_a_station_that_disconnects_leaves_what_was_sent_and_what_waited_offline(ready: Station16) -> None:
    ready.answers["Reset"] = None
    sent = await operator.ask("Reset", RESET)
    await ready.expect_call("Reset")
    waiting = [await operator.ask("ClearCache") for _ in range(2)]
    await ready.drop()
    ended = [await operator.end_of(each) for each in (sent, *waiting)]
    assert [command.status for command in ended] == ["offline"] * 3
    assert [command.sent_at is not None for command in ended] == [True, False, False]
    assert {command.error["code"] for command in ended} == {"offline"}


async def test_a_station_that_answers_and_disconnects_at_once_has_answered(ready: Station16, query: Query) -> None:
    ready.answers["Reset"] = None
    command_id = await operator.ask("Reset", RESET)
    await ready.expect_call("Reset")
    assert ready.connection is not None
    answer = f'[3,"{command_id}",{{"status":"Accepted"}}]'
    # Both in one write: the end is here before anybody has looked at the answer.
    ready.connection.protocol.send_text(answer.encode())
    ready.connection.protocol.send_close(1000)
    ready.connection.send_data()
    command = await operator.end_of(command_id)
    assert (command.status, command.response) == ("answered", {"status": "Accepted"})


async def test_a_command_relayed_after_its_station_left_is_offline(ready: Station16, query: Query) -> None:
    command_id = await query(lambda: operator.create("Reset", RESET))
    await ready.disconnect()
    await until(lambda: ChargePoint.objects.get().node_id is None)
    await query(lambda: operator.relay(command_id))
    command = await operator.end_of(command_id)
    assert (command.status, command.sent_at) == ("offline", None)


async def test_a_command_for_a_station_that_the_node_does_not_hold_is_offline(
    server: OcppServer, ready: Station16, query: Query
) -> None:
    command_id = await query(lambda: operator.create("Reset", RESET))
    await ready.disconnect()
    await until(lambda: ChargePoint.objects.get().node_id is None)
    await query(lambda: broker.hand_to_node(server.node_id, command_id))
    assert (await operator.end_of(command_id)).status == "offline"


async def test_a_command_cancelled_while_it_waits_is_never_sent(ready: Station16, query: Query) -> None:
    ready.answers["Reset"] = None
    first = await operator.ask("Reset", RESET)
    call = await ready.expect_call("Reset")
    second = await operator.ask("ClearCache")
    now = datetime.now(UTC)
    await query(lambda: commands.cancel(Command.objects.get(pk=second), now=now, changes=Changes()))
    await ready.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    third = await operator.perform("GetConfiguration")
    assert (await operator.end_of(first)).status == "answered"
    assert (await operator.row_of(second)).status == "cancelled"
    assert third.status == "answered"
    assert [call.action for call in ready.calls] == ["Reset", "GetConfiguration"]


async def test_more_commands_than_a_station_may_have_waiting_end_at_once(ready: Station16, settings: Settings) -> None:
    settings.OCPP_MAX_QUEUED_CALLS = 2
    ready.answers["Reset"] = None
    await operator.ask("Reset", RESET)
    call = await ready.expect_call("Reset")
    waiting = [await operator.ask("ClearCache") for _ in range(2)]
    surplus = await operator.perform("ClearCache")
    assert (surplus.status, surplus.sent_at) == ("timeout", None)
    assert "too many" in surplus.error["description"]
    await ready.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    assert [(await operator.end_of(each)).status for each in waiting] == ["answered"] * 2


# One CALL at a time


async def test_commands_go_out_one_by_one_in_their_order(ready: Station16) -> None:
    outstanding = 0
    most = 0
    order = []

    async def answer(payload: Payload) -> Payload:
        nonlocal outstanding, most
        outstanding += 1
        most = max(most, outstanding)
        order.append(payload["key"])
        await asyncio.sleep(0.01)
        outstanding -= 1
        return {"status": "Accepted"}

    ready.answers["ChangeConfiguration"] = answer
    keys = [f"key{number}" for number in range(8)]
    ids = [await operator.ask("ChangeConfiguration", {"key": key, "value": "1"}) for key in keys]
    assert [(await operator.end_of(each)).status for each in ids] == ["answered"] * 8
    assert (order, most) == (keys, 1)


async def test_a_station_that_leaves_a_call_unanswered_is_served_meanwhile(ready: Station16) -> None:
    ready.answers["Reset"] = None
    command_id = await operator.ask("Reset", RESET)
    call = await ready.expect_call("Reset")
    for _ in range(5):
        await ready.heartbeat()
    await ready.status(1, "Charging")
    assert (await operator.row_of(command_id)).status == "sent"
    await ready.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    assert (await operator.end_of(command_id)).status == "answered"


@pytest.mark.usefixtures("impatient")
async def test_a_command_behind_one_without_answer_is_sent_when_the_time_of_that_is_over(ready: Station16) -> None:
    ready.answers["Reset"] = None
    silent = await operator.ask("Reset", RESET)
    behind = await operator.ask("ClearCache")
    first, second = await operator.end_of(silent), await operator.end_of(behind)
    assert (first.status, second.status) == ("timeout", "answered")
    assert second.sent_at >= first.finished_at


async def test_stations_without_an_answer_hold_up_neither_each_other_nor_those_who_relay(
    ready: Station16, url: str, query: Query
) -> None:
    silent = [Station16(url, f"S{number}") for number in range(20)]
    for station in silent:
        station.answers["Reset"] = None
    await asyncio.gather(*[station.connect() for station in silent])
    await asyncio.gather(*[station.heartbeat() for station in silent])
    try:
        ids = await query(lambda: [operator.create("Reset", RESET, station.identity) for station in silent])
        # One caller after the other: each returns though no station answers.
        await query(lambda: [operator.relay(each) for each in ids])
        await asyncio.gather(*[station.expect_call("Reset") for station in silent])
        assert (await operator.perform("Reset", RESET)).status == "answered"
    finally:
        await asyncio.gather(*[station.disconnect() for station in silent])
    assert {(await operator.end_of(each)).status for each in ids} == {"offline"}


# Answers that come late, twice, or for nobody


@pytest.mark.usefixtures("impatient")
async def test_a_late_answer_is_kept_beside_the_timeout_and_has_its_effect(ready: Station16, query: Query) -> None:
    ready.answers["GetConfiguration"] = None
    command = await operator.perform("GetConfiguration")
    assert command.status == "timeout"
    key = {"key": "HeartbeatInterval", "readonly": False, "value": "60"}
    await ready.send_raw(f'[3,"{command.pk}",{{"configurationKey":[{str(key).replace(chr(39), chr(34)).lower()}]}}]')
    await until(lambda: Variable.objects.exists())
    command = await operator.row_of(command.pk)
    assert command.status == "timeout"
    assert command.error["code"] == "late"
    assert command.response["configurationKey"][0]["value"] == "60"
    await until(lambda: deviations().get("late-answer") == 1)
    assert ready.unclaimed == []


@pytest.mark.usefixtures("impatient")
async def test_a_late_callerror_leaves_the_timeout_as_it_is(ready: Station16) -> None:
    ready.answers["Reset"] = None
    command = await operator.perform("Reset", RESET)
    await ready.send_raw(f'[4,"{command.pk}","InternalError","too late",{{}}]')
    await until(lambda: deviations().get("late-answer") == 1)
    command = await operator.row_of(command.pk)
    assert (command.status, command.error["code"]) == ("timeout", "timeout")


async def test_an_answer_that_comes_twice_counts_once_and_gets_no_answer(ready: Station16) -> None:
    command = await operator.perform("Reset", RESET)
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Rejected"}}]')
    await until(lambda: deviations().get("answer-to-nobody") == 1)
    await ready.heartbeat()
    assert (await operator.row_of(command.pk)).response == {"status": "Accepted"}
    assert ready.unclaimed == []


async def test_an_answer_of_another_station_ends_nothing(ready: Station16, url: str) -> None:
    ready.answers["Reset"] = None
    command_id = await operator.ask("Reset", RESET)
    call = await ready.expect_call("Reset")
    async with Station16(url, "CP2") as other:
        await other.send_raw(f'[3,"{call.message_id}",{{"status":"Rejected"}}]')
        await other.heartbeat()
    assert (await operator.row_of(command_id)).status == "sent"
    await ready.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    assert (await operator.end_of(command_id)).response == {"status": "Accepted"}


# What may go wrong in between


async def test_an_effect_that_fails_loses_neither_the_answer_nor_the_next_command(
    ready: Station16, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(values: Iterable[Any], changes: Changes) -> list[None]:
        raise ValueError("this effect is broken")

    monkeypatch.setitem(VERSION.effects, "Reset", lambda *_: [(fail, None)])  # type: ignore[arg-type]
    broken = await operator.ask("Reset", RESET)
    sound = await operator.ask("ClearCache")
    command = await operator.end_of(broken)
    assert (command.status, command.response) == ("answered", {"status": "Accepted"})
    assert (await operator.end_of(sound)).status == "answered"


async def test_an_id_that_is_delivered_twice_is_sent_once(ready: Station16, query: Query) -> None:
    command_id = await query(lambda: operator.create("Reset", RESET))
    await asyncio.gather(*[query(lambda: operator.relay(command_id)) for _ in range(4)])
    assert (await operator.end_of(command_id)).status == "answered"
    # What was queued behind the first must have had its turn.
    await operator.perform("ClearCache")
    assert resets(ready) == [str(command_id)]


async def test_a_command_that_has_ended_is_not_relayed_again(ready: Station16, query: Query) -> None:
    command = await operator.perform("Reset", RESET)
    await query(lambda: operator.relay(command.pk))
    await operator.perform("ClearCache")
    assert resets(ready) == [str(command.pk)]


async def test_a_list_that_holds_rubbish_stops_nothing(server: OcppServer, ready: Station16, query: Query) -> None:
    await query(lambda: broker.client().rpush(broker.node_list(server.node_id), "rubbish", b"\xff\xfe", "close:x", ""))
    assert (await operator.perform("Reset", RESET)).status == "answered"


async def test_commands_go_to_the_newest_connection_of_a_station(ready: Station16, url: str) -> None:
    ready.answers["Reset"] = None
    before = await operator.ask("Reset", RESET)
    await ready.expect_call("Reset")
    async with Station16(url, "CP1") as again:
        await again.heartbeat()
        assert (await operator.perform("Reset", RESET)).status == "answered"
        assert len(resets(again)) == 1
    assert (await operator.end_of(before)).status == "offline"


async def test_a_pending_station_gets_only_what_the_specification_allows(url: str, query: Query) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station16(url, "CP1") as station:
        await station.boot()
        assert (await operator.perform("GetConfiguration")).status == "answered"
