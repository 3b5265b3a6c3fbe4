"""Frames as real stations write them: the group FR of the habits that docs/quirks.md lists."""

import asyncio
import itertools
import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Deviation, MeterValue, StatusNotification, Transaction, Variable
from csms.server import OcppServer
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload, Station
from tests.simulator.v16 import Station16

STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
START = {"connectorId": 1, "idTag": "TAG1", "meterStart": 10, "timestamp": "2026-01-01T10:00:00Z"}


def energy(value: object, at: str = "2026-01-01T10:00:00Z") -> Payload:
    sample = {"value": str(value), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    return {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": [sample]}]}


def noted() -> dict[str, str]:
    return dict(Deviation.objects.values_list("kind", "example"))


def energies() -> list[Decimal]:
    return list(MeterValue.objects.order_by("id").values_list("energy_wh", flat=True))


async def message(station: Station, frame: str) -> list[Any]:
    """Send a frame; return what comes back."""
    answer: list[Any] = (await station.exchange(frame)).json()
    return answer


# FR-01, FR-02 and FR-04: text that is no JSON

VALUES = (
    '[2,"%s","MeterValues",{"connectorId":1,%s"meterValue":[{"timestamp":"2024-02-06T08:09:05Z","sampledValue":[%s]}]}]'
)
BROKEN = {
    "fr_01": VALUES % ("9386nmn4ktjx4znjck54b8k2", "", ',{"value":"139954","unit":"Wh"},{"value":"0","unit":"W"}'),
    "fr_01_twice": VALUES % ("2", "", ' , {"value":"139954"} , , {"value":"0","unit":"W"},'),
    "fr_02": VALUES % ("3", '"transactionId":,', '{"value":"139954"},{"value":"0","unit":"W"}'),
    "fr_02_blank": VALUES % ("4", '"transactionId" : \n ,', '{"value":"139954"},{"value":"0","unit":"W"}'),
}


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
async def test_fr_01_and_fr_02_values_that_are_no_json_are_refused_by_the_id_in_their_text(
    station: Station16, query: Query, frame: str
) -> None:
    answer = await message(station, frame)
    assert answer[:3] == [4, frame.split('"')[1], "FormationViolation"]
    await until(lambda: "malformed-frame" in noted())
    assert await query(energies) == []


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
async def test_fr_01_and_fr_02_values_that_are_no_json_are_repaired_where_that_is_wanted(
    station: Station16, query: Query, settings: Settings, frame: str
) -> None:
    settings.OCPP_REPAIR_JSON = True
    assert await message(station, frame) == [3, frame.split('"')[1], {}]
    reading = await query(lambda: MeterValue.objects.get())
    assert (reading.energy_wh, reading.power_w, reading.transaction_id) == (139954, 0, None)
    kinds = await query(noted)
    assert kinds.keys() & {"json-stray-comma", "json-missing-value", "json-repaired"}


# As it stands in the text, and what its author meant.
BACKSLASHES = {"336699" + 3 * "\\": "336699" + 2 * "\\", "AB\\": "AB\\", "\\x41B": "\\x41B"}


@pytest.mark.parametrize(("tag", "meant"), BACKSLASHES.items())
async def test_fr_04_a_backslash_that_is_not_escaped_is_refused_or_repaired(
    station: Station16, query: Query, settings: Settings, tag: str, meant: str
) -> None:
    frame = f'[2,"213","StartTransaction",{json.dumps(START)}]'.replace("TAG1", tag)
    assert (await message(station, frame))[:3] == [4, "213", "FormationViolation"]
    settings.OCPP_REPAIR_JSON = True
    assert (await message(station, frame))[:2] == [3, "213"]
    assert (await query(lambda: Transaction.objects.get())).id_tag_id == meant
    assert "json-stray-backslash" in await query(noted)


async def test_fr_01_a_repair_leaves_what_is_sound_as_it_is(
    station: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_REPAIR_JSON = True
    status = {**STATUS, "info": 'a:,b [,c] "d" \\ {,}'}
    assert await message(station, json.dumps([2, "1", "StatusNotification", status])) == [3, "1", {}]
    frame = json.dumps([2, "2", "StatusNotification", status]).replace("}]", ",}]")
    assert await message(station, frame) == [3, "2", {}]
    infos = await query(lambda: list(StatusNotification.objects.values_list("info", flat=True)))
    assert infos == [status["info"]] * 2


# FR-03: broken answers


@pytest.mark.parametrize(
    "answer",
    [
        '[3,"%id",{"configurationKey":[]',
        '[3,"%id",{"configurationKey":],',
        '[3,"%id",{"configurationKey":],"unknownKey":["x"]}]',
        '[3, "%id"',
        '[3,"%id",["not an object"]]',
    ],
)
async def test_fr_03_a_broken_answer_fails_the_call_it_answers_at_once(
    station: Station16, query: Query, answer: str
) -> None:
    await station.heartbeat()
    station.answers["GetConfiguration"] = None
    command_id = await operator.ask("GetConfiguration")
    call = await station.expect_call("GetConfiguration")
    await station.send_raw(answer.replace("%id", call.message_id))
    command = await operator.end_of(command_id)
    assert command.status == "error"
    assert command.error["code"] in ("FormationViolation", "OccurenceConstraintViolation")
    # The lane goes on, and nobody answered the answer.
    assert (await operator.perform("ClearCache")).status == "answered"
    assert station.unclaimed == []


async def test_fr_03_a_broken_answer_to_another_call_fails_nothing(station: Station16) -> None:
    await station.heartbeat()
    station.answers["Reset"] = None
    command_id = await operator.ask("Reset", {"type": "Soft"})
    call = await station.expect_call("Reset")
    await station.send_raw('[3,"64b4a0fc-7282-4e26-ab30-cc3c2955c70d",{"configurationKey":[]')
    await station.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    assert (await operator.end_of(command_id)).response == {"status": "Accepted"}


# FR-05 and FR-06: blanks and bytes


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: json.dumps(json.loads(text), indent=2),
        lambda text: json.dumps(json.loads(text), indent="\t").replace("\n", "\r\n") + "\r\n",
        lambda text: f" \n{text} ",
        lambda text: text + "\x00",
        lambda text: "\ufeff" + text,
        lambda text: json.dumps(json.loads(text), indent=2000),
    ],
    ids=["indented", "tabs and line ends", "blanks around", "NUL behind", "byte order mark", "many blanks"],
)
async def test_fr_05_a_frame_may_be_written_prettily(station: Station16, query: Query, dress: Any) -> None:
    frame = dress(json.dumps([2, "1", "MeterValues", energy(5)]))
    assert await message(station, frame) == [3, "1", {}]
    assert await query(energies) == [5]


@pytest.mark.parametrize("escaped", [True, False])
async def test_fr_06_control_bytes_are_no_part_of_a_text(station: Station16, query: Query, escaped: bool) -> None:
    tag = "BA86I250X5G6\x10\x0e\x00"
    frame = json.dumps([2, "1", "StartTransaction", {**START, "idTag": f" {tag} "}])
    if not escaped:
        frame = frame.replace("\\u0010\\u000e\\u0000", "\x10\x0e\x00")
    assert (await message(station, frame))[:2] == [3, "1"]
    assert (await query(lambda: Transaction.objects.get())).id_tag_id == "BA86I250X5G6"
    assert ("control-characters" in await query(noted)) or ("json-control-characters" in await query(noted))


# FR-07 and FR-08: frames of other shapes


@pytest.mark.parametrize("kind", [0, 1, 5, 6, 9, -1])
async def test_fr_07_another_message_type_is_ignored(station: Station16, query: Query, kind: int) -> None:
    await station.send_raw(json.dumps([kind, "1", "StatusNotification", STATUS]))
    assert (await message(station, '[2,"2","Heartbeat",{}]'))[:2] == [3, "2"]
    assert await query(lambda: StatusNotification.objects.count()) == 0
    await until(lambda: "malformed-frame" in noted())


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ('"NotSupported",""', ("NotSupported", "", {})),
        ('"NotImplemented","",{}', ("NotImplemented", "", {})),
        ('"InternalError"', ("InternalError", "", {})),
        ('"GenericError",null,null', ("GenericError", "", {})),
        ('"GenericError","why",{"a":1},"more"', ("GenericError", "why", {"a": 1})),
    ],
)
async def test_fr_08_a_callerror_is_filled_in_where_it_is_short(
    station: Station16, rest: str, error: tuple[Any, ...]
) -> None:
    await station.heartbeat()
    station.answers["ClearCache"] = None
    command_id = await operator.ask("ClearCache")
    call = await station.expect_call("ClearCache")
    await station.send_raw(f'[4,"{call.message_id}",{rest}]')
    command = await operator.end_of(command_id)
    assert command.status == "error"
    assert (command.error["code"], command.error["description"], command.error["details"]) == error


# FR-09: ids


@pytest.mark.parametrize("message_id", ["1", "MTIzNDU2Nzg5MA==", "36:352", "2022-02-24T10:01:39.000Z", "-1", " ", "é"])
async def test_fr_09_any_text_is_an_id(station: Station16, message_id: str) -> None:
    assert (await message(station, json.dumps([2, message_id, "Heartbeat", {}])))[:2] == [3, message_id]


async def test_fr_09_ids_that_start_anew_with_each_boot_name_new_messages(url: str, query: Query) -> None:
    for boot in range(2):
        async with Station16(url, "CP1") as station:
            for number in range(3):
                assert await station.call("MeterValues", energy(10 * boot + number), message_id=str(number)) == {}
    assert await query(energies) == [0, 1, 2, 10, 11, 12]


async def test_fr_09_the_same_message_again_gets_the_same_answer_and_is_stored_once(
    station: Station16, query: Query
) -> None:
    start, values = (
        json.dumps([2, "531531536", "StartTransaction", START]),
        json.dumps([2, "7", "MeterValues", energy(5)]),
    )
    answers = [await message(station, start) for _ in range(4)]
    assert answers == answers[:1] * 4
    await station.send_raw(values)
    await station.send_raw(values)
    assert [(await station.next_frame()).json() for _ in range(2)] == [[3, "7", {}]] * 2
    # What comes between does not make it another message.
    await station.status(1)
    assert await message(station, values) == [3, "7", {}]
    assert await query(energies) == [5]
    assert await query(lambda: Transaction.objects.count()) == 1
    await until(lambda: "message-repeated" in noted())


async def test_fr_09_the_same_id_with_another_payload_is_another_message(station: Station16, query: Query) -> None:
    for value in (5, 6, 7):
        assert await message(station, json.dumps([2, "7", "MeterValues", energy(value)])) == [3, "7", {}]
    assert await query(energies) == [5, 6, 7]


# FR-10 and FR-11: answers that come late, or never


async def test_fr_10_a_late_answer_is_kept_and_used_and_confuses_nobody(
    station: Station16, query: Query, settings: Settings
) -> None:
    await station.heartbeat()
    settings.OCPP_TIMEOUT = 0.1
    station.answers["GetConfiguration"] = None
    late = await operator.perform("GetConfiguration")
    assert late.status == "timeout"
    settings.OCPP_TIMEOUT = 20
    station.answers["ClearCache"] = None
    following = await operator.ask("ClearCache")
    call = await station.expect_call("ClearCache")
    key = {"key": "HeartbeatInterval", "readonly": False, "value": "60"}
    await station.send_raw(json.dumps([3, str(late.pk), {"configurationKey": [key]}]))
    await station.send_raw(json.dumps([3, call.message_id, {"status": "Accepted"}]))
    assert (await operator.end_of(following)).response == {"status": "Accepted"}
    await until(lambda: Variable.objects.filter(variable="HeartbeatInterval", value="60").exists())
    kept = await operator.row_of(late.pk)
    assert (kept.status, kept.response) == ("timeout", {"configurationKey": [key]})
    assert "late-answer" in await query(noted)


async def test_fr_11_a_station_that_answers_nothing_is_served_and_asked_one_thing_at_a_time(
    station: Station16, query: Query, settings: Settings
) -> None:
    await station.heartbeat()
    settings.OCPP_TIMEOUT = 0.15
    station.answers |= {"ClearCache": None, "Reset": None, "GetConfiguration": None}
    commands = [
        await operator.ask(*each) for each in (("ClearCache",), ("Reset", {"type": "Soft"}), ("GetConfiguration",))
    ]
    for _ in range(3):
        assert "currentTime" in await station.heartbeat()
    ended = [await operator.end_of(command) for command in commands]
    assert [command.status for command in ended] == ["timeout"] * 3
    for before, after in itertools.pairwise(ended):
        assert after.sent_at >= before.finished_at
    assert "call-unanswered" in await query(noted)
    await station.heartbeat()


# FR-12: spellings of error codes


@pytest.mark.parametrize(
    "code",
    [
        "FormationViolation",
        "FormatViolation",
        "OccurenceConstraintViolation",
        "OccurrenceConstraintViolation",
        "RpcFrameworkError",
        "MyOwnError",
    ],
)
async def test_fr_12_any_error_code_of_a_station_is_taken(station: Station16, code: str) -> None:
    await station.heartbeat()
    station.answers["ClearCache"] = CallError(code)
    command = await operator.perform("ClearCache")
    assert (command.status, command.error["code"]) == ("error", code)


@pytest.mark.parametrize(
    ("version", "formation", "occurrence"),
    [
        ("ocpp1.6", "FormationViolation", "OccurenceConstraintViolation"),
        ("ocpp2.0.1", "FormatViolation", "OccurrenceConstraintViolation"),
    ],
)
async def test_fr_12_each_version_is_told_codes_in_its_own_spelling(
    url: str, version: str, formation: str, occurrence: str
) -> None:
    async with Station(url, "CP1", subprotocols=(version,)) as station:
        assert (await message(station, '[2,"1","Heartbeat",{'))[2] == formation
        assert (await message(station, '[2,"2","StatusNotification",{}]'))[2] == occurrence


# FR-13 and FR-14: members


async def test_fr_13_members_in_other_case_are_what_they_mean(station: Station16, query: Query) -> None:
    started = await station.call("StartTransaction", {key[0].upper() + key[1:]: value for key, value in START.items()})
    stop = {
        "TransactionID": started["transactionId"],
        "METERSTOP": 30,
        "timestamp ": "2026-01-01T11:00:00Z",
        "Reason": "Remote",
        "transactiondata": [{"Timestamp": "2026-01-01T11:00:00Z", "SampledValue": [{"Value": "25", "UNIT": "wh"}]}],
    }
    assert await station.call("StopTransaction", stop) == {}
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.reason_stopped) == (20, "Remote")
    assert await query(energies) == [25]
    assert {"member-in-other-case", "word-in-other-case"} <= (await query(noted)).keys()


async def test_fr_13_a_member_in_its_own_case_has_the_say(station: Station16, query: Query) -> None:
    await station.call("StatusNotification", {**STATUS, "Status": "Faulted", "STATUS": "Charging"})
    assert (await query(lambda: StatusNotification.objects.get())).status == "Available"


async def test_fr_14_members_of_its_own_are_overlooked_and_noted(station: Station16, query: Query) -> None:
    answer = await station.call("Authorize", {"connectorId": 2, "idTag": "0584350940c000"})
    assert answer == {"idTagInfo": {"status": "Invalid"}}
    assert (await query(noted))["extra-member"] == "connectorId: 2"
    number = (await station.call("StartTransaction", {**START, "vendor": {"x": [1]}, "reservationID": 0}))[
        "transactionId"
    ]
    stop = {"transactionId": number, "meterStop": 30, "timestamp": "2026-01-01T11:00:00Z", "connectorId": 1}
    assert await station.call("StopTransaction", stop) == {}
    assert (await query(lambda: Transaction.objects.get())).energy_wh == 20


# FR-15: vendor data


@pytest.mark.parametrize(
    "data",
    [
        "1,Charging,NoError,No error.,1,Blue,1,{20,8016,26},{0,0},{C,11904,5964,12208}",
        "",
        None,
        17,
        {"a": [1, {"b": None}]},
        [1, 2],
        "x" * 100_000,
    ],
    ids=["text", "empty", "null", "number", "object", "list", "long"],
)
async def test_fr_15_vendor_data_of_any_shape_gets_a_status(station: Station16, data: Any) -> None:
    request = {"vendorId": "EV-BOX", "messageId": "evbStatusNotification", "data": data}
    assert await station.call("DataTransfer", request) == {"status": "UnknownVendorId"}


async def test_fr_15_vendor_data_with_every_message_leaves_no_line_in_the_log(
    server: OcppServer, station: Station16, caplog: pytest.LogCaptureFixture
) -> None:
    await station.heartbeat()
    with caplog.at_level(logging.INFO):
        caplog.clear()
        for number in range(20):
            await station.call("DataTransfer", {"vendorId": "EV-BOX", "data": str(number)})
            await asyncio.sleep(0)
    assert [record for record in caplog.records if record.name.startswith("csms")] == []
