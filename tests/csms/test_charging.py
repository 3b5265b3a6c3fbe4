"""Smart charging over real sockets: what is sent, and what is believed of the answers (section 3.13)."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import CompositeSchedule, Deviation, IdTag, InstalledProfile
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload, dumps
from tests.simulator.v16 import Station16

ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}


@pytest.fixture
async def ready(station: Station16, query: Query) -> Station16:
    """A station that the database knows as connected, and that takes every profile; TAG1 may charge there."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    for action in ("ClearChargingProfile", "RemoteStartTransaction", "SetChargingProfile"):
        station.answers[action] = ACCEPTED
    await station.heartbeat()
    return station


def profile(number: int = 1, limit: float = 16, unit: str = "A", **members: Any) -> Payload:
    return {
        "chargingProfileId": number,
        **{name: members.pop(name) for name in ("transactionId",) if name in members},
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        **members,
        "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]},
    }


def for_transaction(number: int, transaction: int, limit: float = 16, **members: Any) -> Payload:
    return profile(number, limit, transactionId=transaction, chargingProfilePurpose="TxProfile", **members)


async def put(connector: int, told: Payload) -> Command:
    return await operator.perform("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": told})


def believed() -> list[tuple[int, int, str, int | None]]:
    rows = InstalledProfile.objects.order_by("chargingprofile_id")
    return [(row.chargingprofile_id, row.evse_id, row.state, row.transaction_id) for row in rows]


def sent(station: Station16, action: str) -> list[Payload]:
    return [call.payload for call in station.calls if call.action == action]


# Setting and clearing


async def test_an_accepted_profile_is_sent_compactly_and_believed(ready: Station16, query: Query) -> None:
    told = profile(7, 16.5, stackLevel=2)
    command = await put(1, told)
    assert (command.status, command.response, command.calls) == ("answered", ACCEPTED, [])
    assert ready.calls[-1].text == dumps(
        [2, str(command.pk), "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": told}]
    )
    row = await query(lambda: InstalledProfile.objects.get())
    assert (row.chargingprofile_id, row.evse_id, row.stack_level, row.command_id) == (7, 1, 2, command.pk)
    assert row.schedules[0]["charging_schedule_period"] == [{"start_period": 0, "limit": 16.5}]


@pytest.mark.parametrize("answer", [REJECTED, {"status": "NotSupported"}, CallError("InternalError", "no"), None])
async def test_what_a_station_does_not_take_changes_nothing(
    answer: Any, ready: Station16, query: Query, settings: Settings
) -> None:
    await put(0, profile(1))
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = answer
    await put(0, profile(2, stackLevel=1))
    assert await query(believed) == [(1, 0, "Installed", None)]


async def test_an_accepted_that_comes_late_counts(ready: Station16, query: Query, settings: Settings) -> None:
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = None
    command = await put(0, profile(1))
    assert command.status == "timeout"
    await ready.send_raw(dumps([3, str(command.pk), ACCEPTED]))
    await until(lambda: believed() == [(1, 0, "Installed", None)])


@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
async def test_what_is_cleared_or_not_known_is_believed_no_longer(status: str, ready: Station16, query: Query) -> None:
    for number, level in ((1, 0), (2, 1), (3, 2)):
        await put(0, profile(number, stackLevel=level))
    ready.answers["ClearChargingProfile"] = {"status": status}
    await operator.perform("ClearChargingProfile", {"id": 2})
    assert [number for number, *_ in await query(believed)] == [1, 3]
    criteria = {"connectorId": 0, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2}
    await operator.perform("ClearChargingProfile", criteria)
    assert [number for number, *_ in await query(believed)] == [1]
    ready.answers["ClearChargingProfile"] = CallError("GenericError", "no")
    await operator.perform("ClearChargingProfile")
    assert [number for number, *_ in await query(believed)] == [1]
    assert sent(ready, "ClearChargingProfile") == [{"id": 2}, criteria, {}]


async def test_a_profile_of_a_transaction_lives_as_long_as_that(ready: Station16, query: Query) -> None:
    number = (await ready.start(1, "TAG1"))["transactionId"]
    await put(0, profile(1))
    await put(1, for_transaction(2, number))
    assert await query(believed) == [(1, 0, "Installed", None), (2, 1, "Installed", number)]
    await ready.stop(1)
    assert await query(believed) == [(1, 0, "Installed", None)]


# Starting with a profile

START: Payload = {"connectorId": 1, "idTag": "TAG1", "chargingProfile": profile(chargingProfilePurpose="TxProfile")}


async def test_the_profile_of_a_remote_start_waits_for_its_transaction(ready: Station16, query: Query) -> None:
    command = await operator.perform("RemoteStartTransaction", START)
    assert (command.status, command.calls) == ("answered", [])
    assert sent(ready, "RemoteStartTransaction") == [START]
    assert await query(believed) == [(1, 1, "Pending", None)]
    number = (await ready.start(1, "TAG1"))["transactionId"]
    assert await query(believed) == [(1, 1, "Installed", number)]
    # The station has it: nothing is to be sent.
    await operator.perform("ClearCache")
    assert sent(ready, "SetChargingProfile") == []
    # One of the same level for the same transaction takes its place (section 5.16.2).
    await put(1, for_transaction(2, number, 10))
    assert await query(believed) == [(2, 1, "Installed", number)]
    await ready.stop(1)
    assert await query(believed) == []


async def test_a_start_right_behind_the_answer_has_its_profile(ready: Station16, query: Query) -> None:
    ready.answers["RemoteStartTransaction"] = None
    command_id = await operator.ask("RemoteStartTransaction", START)
    call = await ready.expect_call("RemoteStartTransaction")
    await ready.send_raw(dumps([3, call.message_id, ACCEPTED]))
    number = (await ready.start(1, "TAG1"))["transactionId"]
    assert (await operator.end_of(command_id)).status == "answered"
    assert await query(believed) == [(1, 1, "Installed", number)]


async def test_a_start_before_the_answer_has_its_profile(ready: Station16, query: Query) -> None:
    ready.answers["RemoteStartTransaction"] = None
    command_id = await operator.ask("RemoteStartTransaction", START)
    call = await ready.expect_call("RemoteStartTransaction")
    number = (await ready.start(1, "TAG1"))["transactionId"]
    assert await query(believed) == []
    await ready.send_raw(dumps([3, call.message_id, ACCEPTED]))
    assert (await operator.end_of(command_id)).status == "answered"
    assert await query(believed) == [(1, 1, "Installed", number)]


async def test_a_start_that_is_refused_or_not_answered_leaves_nothing_waiting(
    ready: Station16, query: Query, settings: Settings
) -> None:
    ready.answers["RemoteStartTransaction"] = REJECTED
    await operator.perform("RemoteStartTransaction", START)
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["RemoteStartTransaction"] = None
    late = await operator.perform("RemoteStartTransaction", START)
    assert late.status == "timeout"
    await ready.send_raw(dumps([3, str(late.pk), REJECTED]))
    await until(lambda: Deviation.objects.filter(kind="late-answer").exists())
    assert await query(believed) == []


async def test_in_strict_mode_a_refusal_stands(ready: Station16, query: Query, settings: Settings) -> None:
    settings.OCPP_VALIDATION = "strict"
    for action, payload in (
        ("RemoteStartTransaction", START),
        ("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile(1, 16.5)}),
    ):
        ready.answers[action] = REJECTED
        command = await operator.perform(action, payload)
        assert (command.response, command.calls) == (REJECTED, [])
        assert sent(ready, action) == [payload]
    assert await query(believed) == []


# Composite schedules


async def test_a_composite_schedule_is_kept_by_connector_and_unit(ready: Station16, query: Query) -> None:
    def told(connector: int, unit: str, limit: float) -> Payload:
        return {
            "status": "Accepted",
            "connectorId": connector,
            "scheduleStart": "2026-03-01T12:00:00Z",
            "chargingSchedule": {
                "duration": 600,
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit, "numberPhases": 3}],
            },
        }

    for connector, unit, limit in ((1, "A", 16.5), (1, "W", 11_000), (0, "A", 32), (1, "A", 10)):
        ready.answers["GetCompositeSchedule"] = told(connector, unit, limit)
        request = {"connectorId": connector, "duration": 600, "chargingRateUnit": unit}
        command = await operator.perform("GetCompositeSchedule", request)
        assert (command.status, command.response) == ("answered", told(connector, unit, limit))
    ready.answers["GetCompositeSchedule"] = REJECTED
    assert (await operator.perform("GetCompositeSchedule", {"connectorId": 1, "duration": 60})).response == REJECTED

    rows = await query(lambda: list(CompositeSchedule.objects.order_by("evse_id", "charging_rate_unit")))
    assert [(row.evse_id, row.charging_rate_unit, row.charging_schedule_period[0]["limit"]) for row in rows] == [
        (0, "A", 32),
        (1, "A", 10),
        (1, "W", 11_000),
    ]
    assert {row.duration for row in rows} == {600}
    assert {row.schedule_start.isoformat() for row in rows} == {"2026-03-01T12:00:00+00:00"}
    assert await query(lambda: list(Deviation.objects.all())) == []
