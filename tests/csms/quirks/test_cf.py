"""Configuration as real stations have it: the group CF of the habits that docs/quirks.md lists."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import ChargePoint, Connector, Deviation, Limitation, Variable
from tasks.errors import StationUnable
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16

SECRET = "hunter2-7f3a"


@pytest.fixture
async def ready(station: Station16) -> Station16:
    """A station that the database knows as connected."""
    await station.heartbeat()
    return station


def values() -> dict[str, str | None]:
    return dict(Variable.objects.values_list("variable", "value"))


def kinds() -> set[str]:
    return set(Deviation.objects.values_list("kind", flat=True))


def unable() -> set[tuple[str, str]]:
    return set(Limitation.objects.values_list("kind", "subject"))


def sent(station: Station16, action: str) -> list[Payload]:
    return [call.payload for call in station.calls if call.action == action]


def told(**keys: Any) -> Payload:
    return {"configurationKey": [{"key": key, "readonly": False, "value": value} for key, value in keys.items()]}


# What stations tell


async def test_cf_01_and_cf_02_values_that_are_no_text_or_too_long_are_kept_as_text(
    ready: Station16, query: Query
) -> None:
    ready.answers["GetConfiguration"] = told(HeartbeatInterval=300, Debug=True, Ratio=0.5, Long="x" * 551)
    command = await operator.perform("GetConfiguration")
    assert command.status == "answered"
    assert await query(values) == {"HeartbeatInterval": "300", "Debug": "true", "Ratio": "0.5", "Long": "x" * 551}
    assert {"value-for-text", "text-too-long"} <= await query(kinds)


async def test_cf_03_passwords_are_kept_nowhere_and_shown_to_nobody(
    ready: Station16, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = dict.fromkeys(("AuthorizationKey", "WifiPassword", "simPUK", "WLAN-SSID", "ocppPwd", "WPA_PSK"), SECRET)
    ready.answers["GetConfiguration"] = told(HeartbeatInterval="300", **secrets)
    command = await operator.perform("GetConfiguration")
    assert command.response["configurationKey"][0]["value"] == "300"
    assert SECRET not in repr(command.response)
    stored = await query(values)
    assert stored.pop("HeartbeatInterval") == "300"
    assert stored == dict.fromkeys(secrets)
    assert not any(SECRET in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("validation", ["tolerant", "strict"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(8_437_529_001, id="number"),
        pytest.param(f"{SECRET}\x01", id="control character"),
        pytest.param(SECRET * 50, id="too long"),
        pytest.param([SECRET], id="list"),
    ],
)
async def test_cf_03_a_password_that_is_told_in_a_wrong_way_is_in_no_deviation_either(
    url: str, query: Query, settings: Settings, caplog: pytest.LogCaptureFixture, validation: str, value: Any
) -> None:
    settings.OCPP_VALIDATION = validation
    async with Station16(url, "CP1") as station:
        await station.boot()
        station.answers["GetConfiguration"] = told(AuthorizationKey=value)
        await operator.perform("GetConfiguration")
    rows = await query(lambda: [*Deviation.objects.values(), *Command.objects.values(), *Variable.objects.values()])
    shown = repr(rows) + caplog.text
    assert SECRET not in shown
    assert "8437529001" not in shown


async def test_cf_03_a_password_in_a_broken_frame_is_shown_to_nobody(
    ready: Station16, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    await ready.send_raw(f'[3,"m1",{{"configurationKey":[{{"value":"{SECRET}","key":"AuthorizationKey"')
    await until(lambda: "malformed-frame" in kinds())
    assert SECRET not in repr(await query(lambda: list(Deviation.objects.values())))
    assert SECRET not in caplog.text


async def test_cf_03_a_password_that_an_operator_sets_is_forgotten_once_it_is_answered(
    ready: Station16, query: Query
) -> None:
    command = await operator.perform("ChangeConfiguration", {"key": "WifiPassword", "value": SECRET})
    assert sent(ready, "ChangeConfiguration") == [{"key": "WifiPassword", "value": SECRET}]
    assert command.payload == {"key": "WifiPassword", "value": "********"}
    assert await query(values) == {}


async def test_cf_04_a_key_in_neither_list_is_unknown(ready: Station16, query: Query) -> None:
    ready.answers["GetConfiguration"] = told(HeartbeatInterval="300", ConnectionTimeOut="60")
    await operator.perform("GetConfiguration")
    ready.answers["GetConfiguration"] = told(HeartbeatInterval="300", Vendor="x")
    command = await operator.perform("GetConfiguration", {"key": ["heartbeatinterval", "ConnectionTimeOut", "Nothing"]})
    assert command.status == "answered"
    assert await query(values) == {"HeartbeatInterval": "300", "Vendor": "x"}


@pytest.mark.parametrize(("asked", "tells"), [("A,B,C,D", "A"), ("0123456789" * 10, "0123456789" * 5)])
async def test_cf_07_and_cf_08_a_value_that_was_taken_and_is_told_otherwise_is_noted(
    ready: Station16, query: Query, asked: str, tells: str
) -> None:
    key = "MeterValuesSampledData"
    ready.answers["ChangeConfiguration"] = {"status": "Accepted"}
    await operator.perform("ChangeConfiguration", {"key": key, "value": asked})
    assert await query(values) == {key: asked}
    ready.answers["GetConfiguration"] = told(**{key: tells})
    await operator.perform("GetConfiguration")
    assert await query(values) == {key: tells}
    noted = await query(lambda: Deviation.objects.get(kind="value-not-kept"))
    assert noted.example == f"{key}: {asked} became {tells}"
    # What it tells from now on is its own affair.
    await operator.perform("GetConfiguration")
    assert (await query(lambda: Deviation.objects.get(kind="value-not-kept"))).count == 1


@pytest.mark.parametrize(("asked", "tells"), [("true", "TRUE"), ("A, B", "a,b"), ("1", "True"), ("60", " 60 ")])
async def test_cf_07_a_value_that_is_told_in_another_spelling_was_kept(
    ready: Station16, query: Query, asked: str, tells: str
) -> None:
    ready.answers["ChangeConfiguration"] = {"status": "Accepted"}
    await operator.perform("ChangeConfiguration", {"key": "Switch", "value": asked})
    ready.answers["GetConfiguration"] = told(Switch=tells)
    await operator.perform("GetConfiguration")
    assert "value-not-kept" not in await query(kinds)


async def test_cf_05_the_platform_writes_no_configuration_by_itself(url: str, query: Query, settings: Settings) -> None:
    settings.OCPP_GREETING_GRACE, settings.OCPP_PING_TIMEOUT = 0.2, 0.1
    async with Station16(url, "CP1", autonomous=True) as station:
        await station.boot()
        await station.boot()
        await station.expect_call("TriggerMessage")
        await until(lambda: Connector.objects.exists())
    actions = await query(lambda: set(Command.objects.values_list("action", flat=True)))
    assert actions == {"TriggerMessage"}


# How stations want to be asked


async def know(query: Query, **keys: str) -> None:
    """Let the platform know configuration keys of the station."""
    now = datetime.now(UTC)
    await query(
        lambda: Variable.objects.bulk_create(
            Variable(chargepoint_id="CP1", variable=key, value=value, read_at=now) for key, value in keys.items()
        )
    )


@pytest.mark.parametrize(("most", "parts"), [("1", 5), ("2", 3), ("5", 1), ("50", 1), ("0", 1), ("many", 1)])
async def test_cf_06_no_more_keys_are_asked_for_at_once_than_the_station_takes(
    ready: Station16, query: Query, most: str, parts: int
) -> None:
    await know(query, GetConfigurationMaxKeys=most)
    ready.answers["GetConfiguration"] = lambda payload: {
        **told(**{key: "1" for key in payload["key"] if key != "E"}),
        **({"unknownKey": ["E"]} if "E" in payload["key"] else {}),
    }
    command = await operator.perform("GetConfiguration", {"key": list("ABCDE")})
    asked = [payload["key"] for payload in sent(ready, "GetConfiguration")]
    assert len(asked) == parts
    assert [key for part in asked for key in part] == list("ABCDE")
    assert [each["key"] for each in command.response["configurationKey"]] == list("ABCD")
    assert command.response["unknownKey"] == ["E"]
    assert set(await query(values)) == {"GetConfigurationMaxKeys", *"ABCD"}
    assert len(command.calls) == (parts if parts > 1 else 0)
    ids = [call.message_id for call in ready.calls]
    assert len(set(ids)) == parts
    assert all(len(each) <= 36 for each in ids)


async def test_cf_06_a_part_that_fails_ends_the_command_and_keeps_what_the_others_told(
    ready: Station16, query: Query
) -> None:
    await know(query, GetConfigurationMaxKeys="1")
    ready.answers["GetConfiguration"] = lambda payload: (
        told(A="1") if payload["key"] == ["A"] else CallError("InternalError", "no")
    )
    command = await operator.perform("GetConfiguration", {"key": ["A", "B", "C"]})
    assert (command.status, command.error["code"]) == ("error", "InternalError")
    assert [call["payload"]["key"] for call in command.calls] == [["A"], ["B"]]
    assert (await query(values))["A"] == "1"


async def test_cf_06_a_station_that_leaves_between_two_parts_ends_the_command(ready: Station16, query: Query) -> None:
    await know(query, GetConfigurationMaxKeys="1")
    ready.answers["GetConfiguration"] = lambda payload: told(A="1") if payload["key"] == ["A"] else None
    command_id = await operator.ask("GetConfiguration", {"key": ["A", "B"]})
    for _ in range(2):
        await ready.expect_call("GetConfiguration")
    await ready.drop()
    command = await operator.end_of(command_id)
    assert command.status == "offline"
    assert (await query(values))["A"] == "1"


async def test_cf_06_a_misspelt_key_is_tried_by_the_name_the_station_knows(ready: Station16, query: Query) -> None:
    ready.answers["ChangeConfiguration"] = lambda payload: {
        "status": "Accepted" if payload["key"] == "StopTransactionOnInvalid" else "NotSupported"
    }
    command = await operator.perform("ChangeConfiguration", {"key": "StopTransactionOnInvalidId", "value": "true"})
    assert command.response == {"status": "Accepted"}
    assert [call["payload"]["key"] for call in command.calls] == [
        "StopTransactionOnInvalidId",
        "StopTransactionOnInvalid",
    ]
    assert await query(values) == {"StopTransactionOnInvalid": "true"}


@pytest.mark.parametrize(
    ("has", "asked", "takes"), [("TRUE", "false", "FALSE"), ("False", "1", "True"), ("0", "true", "1")]
)
async def test_cf_06_a_switch_that_is_refused_is_spelt_as_the_station_does(
    ready: Station16, query: Query, has: str, asked: str, takes: str
) -> None:
    await know(query, LocalPreAuthorize=has)
    ready.answers["ChangeConfiguration"] = lambda payload: {
        "status": "Accepted" if payload["value"] == takes else "Rejected"
    }
    command = await operator.perform("ChangeConfiguration", {"key": "LocalPreAuthorize", "value": asked})
    assert command.response == {"status": "Accepted"}
    assert await query(values) == {"LocalPreAuthorize": takes}


async def test_cf_06_what_else_is_refused_is_refused(ready: Station16, query: Query) -> None:
    await know(query, HeartbeatInterval="300")
    ready.answers["ChangeConfiguration"] = {"status": "Rejected"}
    command = await operator.perform("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "1"})
    assert (command.response, command.calls) == ({"status": "Rejected"}, [])
    assert await query(values) == {"HeartbeatInterval": "300"}


@pytest.fixture
async def two_connectors(ready: Station16) -> Station16:
    """A station with two connectors that the platform knows."""
    for number in (1, 2):
        await ready.call("StatusNotification", {"connectorId": number, "status": "Available", "errorCode": "NoError"})
    return ready


INOPERATIVE = {"connectorId": 0, "type": "Inoperative"}


def availability() -> dict[int, str]:
    return dict(Connector.objects.values_list("evse_id", "availability_status"))


async def test_cf_09_connectors_are_changed_one_by_one_where_all_at_once_is_rejected(
    two_connectors: Station16, query: Query
) -> None:
    statuses = {0: "Rejected", 1: "Accepted", 2: "Scheduled"}
    two_connectors.answers["ChangeAvailability"] = lambda payload: {"status": statuses[payload["connectorId"]]}
    command = await operator.perform("ChangeAvailability", INOPERATIVE)
    assert command.response == {"status": "Scheduled"}
    assert await query(availability) == {1: "Inoperative", 2: "Inoperative"}
    assert ("station_availability", "") in await query(unable)
    # The next time it is known.
    await operator.perform("ChangeAvailability", {**INOPERATIVE, "type": "Operative"})
    asked = [payload["connectorId"] for payload in sent(two_connectors, "ChangeAvailability")]
    assert asked == [0, 1, 2, 1, 2]
    assert await query(availability) == {1: "Operative", 2: "Operative"}


async def test_cf_09_one_connector_that_is_rejected_is_told(two_connectors: Station16, query: Query) -> None:
    statuses = {0: "Rejected", 1: "Accepted", 2: "Rejected"}
    two_connectors.answers["ChangeAvailability"] = lambda payload: {"status": statuses[payload["connectorId"]]}
    command = await operator.perform("ChangeAvailability", INOPERATIVE)
    assert command.response == {"status": "Rejected"}
    assert await query(availability) == {1: "Inoperative", 2: "Operative"}


BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
HEARTBEAT = {"requestedMessage": "Heartbeat"}


async def test_cf_10_a_message_that_a_station_does_not_send_is_asked_for_no_more(
    ready: Station16, query: Query
) -> None:
    ready.answers["TriggerMessage"] = {"status": "NotImplemented"}
    assert (await operator.perform("TriggerMessage", HEARTBEAT)).response == {"status": "NotImplemented"}
    with pytest.raises(StationUnable, match=r"trigger|sending a message.*Heartbeat.*answered NotImplemented"):
        await operator.ask("TriggerMessage", HEARTBEAT)
    # Others are still asked for.
    await operator.perform("TriggerMessage", {"requestedMessage": "BootNotification"})


async def test_cf_10_a_refusal_counts_when_it_comes_again_and_again(ready: Station16, query: Query) -> None:
    ready.answers["TriggerMessage"] = {"status": "Rejected"}
    for _ in range(3):
        await operator.perform("TriggerMessage", HEARTBEAT)
    with pytest.raises(StationUnable):
        await operator.ask("TriggerMessage", HEARTBEAT)


async def test_cf_10_a_refusal_for_one_connector_says_nothing_of_the_message(ready: Station16, query: Query) -> None:
    asked = {"requestedMessage": "StatusNotification", "connectorId": 9}
    ready.answers["TriggerMessage"] = {"status": "Rejected"}
    for _ in range(3):
        await operator.perform("TriggerMessage", asked)
    assert await query(unable) == set()
    ready.answers["TriggerMessage"] = {"status": "NotImplemented"}
    await operator.perform("TriggerMessage", asked)
    assert await query(unable) == {("trigger", "StatusNotification")}


async def test_cf_10_a_message_that_comes_after_all_clears_the_station(ready: Station16, query: Query) -> None:
    ready.answers["TriggerMessage"] = {"status": "Rejected"}
    await operator.perform("TriggerMessage", HEARTBEAT)
    assert await query(unable) == {("trigger", "Heartbeat")}
    await ready.heartbeat()
    assert await query(unable) == set()


async def test_cf_10_a_command_that_a_station_does_not_know_is_not_sent_again_until_it_has_other_firmware(
    ready: Station16, query: Query
) -> None:
    await ready.call("BootNotification", {**BOOT, "firmwareVersion": "1.0"})
    ready.answers["ClearCache"] = CallError("NotImplemented", "never heard of it")
    await operator.perform("ClearCache")
    with pytest.raises(StationUnable, match="never heard of it"):
        await operator.ask("ClearCache")
    await ready.call("BootNotification", {**BOOT, "firmwareVersion": "1.0"})
    assert await query(unable) == {("action", "ClearCache")}
    await ready.call("BootNotification", {**BOOT, "firmwareVersion": "1.1"})
    assert await query(unable) == set()


async def test_cf_10_an_operator_may_insist(ready: Station16, query: Query) -> None:
    ready.answers["ClearCache"] = CallError("NotSupported")
    await operator.perform("ClearCache")
    ready.answers["ClearCache"] = {"status": "Accepted"}
    command = await operator.end_of(await operator.ask("ClearCache", force=True))
    assert command.response == {"status": "Accepted"}
    assert await query(unable) == set()


async def test_cf_10_a_station_that_accepts_and_sends_nothing_is_greeted_no_more(
    url: str, query: Query, settings: Settings
) -> None:
    settings.OCPP_GREETING_GRACE, settings.OCPP_PING_TIMEOUT = 0.2, 0.1
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", last_boot=datetime.now(UTC)))
    for _ in range(3):
        async with Station16(url, "CP1") as station:
            await station.expect_call("TriggerMessage")
            await until(lambda: not Command.objects.filter(finished_at=None).exists())
    assert (await query(lambda: Limitation.objects.get())).count == 3
    async with Station16(url, "CP1") as station, Station16(url, "CP2") as later:
        # Greeted after CP1 would have been.
        await later.expect_call("TriggerMessage")
        assert station.calls == []


@pytest.mark.parametrize("code", ["FormationViolation", "PropertyConstraintViolation"])
async def test_cf_11_a_station_that_knows_no_filter_is_asked_for_everything_once(
    ready: Station16, query: Query, code: str
) -> None:
    whole = told(A="1", B="2", C="3")
    ready.answers["GetConfiguration"] = lambda payload: CallError(code) if payload else whole
    command = await operator.perform("GetConfiguration", {"key": ["c", "A", "X"]})
    assert [each["key"] for each in command.response["configurationKey"]] == ["C", "A"]
    assert command.response["unknownKey"] == ["X"]
    assert await query(values) == {"A": "1", "B": "2", "C": "3"}
    await operator.perform("GetConfiguration", {"key": ["A"]})
    assert sent(ready, "GetConfiguration") == [{"key": ["c", "A", "X"]}, {}, {}]


async def test_cf_11_another_error_is_an_error(ready: Station16) -> None:
    ready.answers["GetConfiguration"] = CallError("InternalError")
    command = await operator.perform("GetConfiguration", {"key": ["A"]})
    assert (command.status, len(sent(ready, "GetConfiguration"))) == ("error", 1)
