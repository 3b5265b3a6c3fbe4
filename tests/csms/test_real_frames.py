"""Frames of real stations, replayed over a real socket: each is answered as it should be and stands in the
database as its author meant it. ``tests/data/README.md`` says where they come from.
"""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pytest_django.fixtures import Settings

from chargers.models import (
    ChargePoint,
    CompositeSchedule,
    Connector,
    Deviation,
    MeterValue,
    SecurityEvent,
    StatusNotification,
    Transaction,
    Variable,
)
from csms.server import OcppServer
from tasks import schemas
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.fixtures_subtests import Subtests
from tests.simulator.station import CALL, CALLERROR, CALLRESULT, Payload, Station

ACCEPT, IGNORE = "accept", "ignore"


class Told(NamedTuple):
    """A frame that was sent: who sent it, what came back and how long that took."""

    station: str
    frame: dict[str, Any]
    answer: list[Any]
    sent_at: datetime
    answered_at: datetime

    @property
    def payload(self) -> Payload:
        payload: Payload = self.frame["frame"][-1]
        return payload

    @property
    def result(self) -> Payload:
        result: Payload = self.answer[2]
        return result

    def is_receipt(self, at: datetime) -> bool:
        return self.sent_at <= at <= self.answered_at


def load() -> list[dict[str, Any]]:
    path = Path(__file__).parents[1] / "data" / "real-frames.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def name(frame: dict[str, Any]) -> str:
    return str(frame["id"])


def text_of(frame: dict[str, Any]) -> str:
    """Spell a frame as its station does."""
    if "raw" in frame:
        return str(frame["raw"])
    pretty = "pretty-printed" in frame["note"]
    return json.dumps(frame["frame"], indent=4 if pretty else None, ensure_ascii=False)


FRAMES = load()
BY_NAME = {name(frame): frame for frame in FRAMES}
CALLS = [frame for frame in FRAMES if text_of(frame).lstrip("[ \n").startswith(str(CALL))]
ANSWERS = [frame for frame in FRAMES if frame not in CALLS]


def connect(url: str, identity: str, version: str) -> Station:
    return Station(url, identity, subprotocols=(f"ocpp{version}",))


async def tell(station: Station, frame: dict[str, Any]) -> Told:
    """Send a frame and then a Heartbeat; the answer is what comes before the Heartbeat's."""
    sent_at = datetime.now(UTC)
    await station.send_raw(text_of(frame))
    await station.send_raw('[2,"still there","Heartbeat",{}]')
    answers = []
    while (message := (await station.next_frame()).json())[1] != "still there":
        answers.append(message)
    assert "currentTime" in message[2]
    assert len(answers) == (0 if frame["expect"] == IGNORE else 1)
    return Told(station.identity, frame, answers[0] if answers else [], sent_at, datetime.now(UTC))


def check_answer(told: Told) -> None:
    expect = told.frame["expect"]
    if expect == IGNORE:
        return
    if expect == ACCEPT:
        _, message_id, action, _ = told.frame["frame"]
        assert told.answer[:2] == [CALLRESULT, message_id]
        version = f"ocpp{told.frame['version']}"
        assert schemas.validator(version, action, "Response").is_valid(told.result)
    else:
        assert told.answer[0] == CALLERROR
        assert f"callerror:{told.answer[2]}" == expect
        # The id was found in the text.
        assert json.dumps(told.answer[1]) in text_of(told.frame)


# What stands in the database. A check is given what was told and reads what became of it.

Check = Callable[[Told], None]
STANDS: dict[str, Check] = {}


def stands(*names: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        STANDS.update(dict.fromkeys(names, check))
        return check

    return register


def readings(told: Told) -> list[MeterValue]:
    return list(MeterValue.objects.filter(chargepoint=told.station))


def reading(told: Told) -> MeterValue:
    return MeterValue.objects.get(chargepoint=told.station)


def status(told: Told) -> StatusNotification:
    return StatusNotification.objects.get(chargepoint=told.station)


def transaction(told: Told) -> Transaction:
    return Transaction.objects.get(chargepoint=told.station)


def deviations(told: Told) -> dict[str, str]:
    return dict(Deviation.objects.filter(chargepoint=told.station).values_list("kind", "example"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@stands("Q001", "Q003", "Q005", "Q007", "Q009", "Q011", "Q013", "Q015")
def a_boot_is_kept_whole(told: Told) -> None:
    station = ChargePoint.objects.get(pk=told.station)
    kept = {
        "chargePointVendor": station.chargepoint_vendor,
        "chargePointModel": station.chargepoint_model,
        "chargePointSerialNumber": station.chargepoint_serial_number,
        "chargeBoxSerialNumber": station.chargebox_serial_number,
        "firmwareVersion": station.firmware_version,
        "meterType": station.meter_type,
        "meterSerialNumber": station.meter_serial_number,
        "iccid": station.iccid,
        "imsi": station.imsi,
    }
    assert {member: kept[member] for member in told.payload} == told.payload
    assert told.result["status"] == "Accepted"
    assert station.last_boot
    assert deviations(told).keys() == ({"text-too-long"} if told.frame["id"] == "Q015" else set())


@stands("Q017", "Q019", "Q021", "Q023", "Q025", "Q029", "Q031")
def a_status_is_kept_as_told(told: Told) -> None:
    kept = status(told)
    sent = {"info": "", "vendorId": "", "vendorErrorCode": "", **told.payload}
    assert (kept.evse_id, kept.status, kept.error_code) == (sent["connectorId"], sent["status"], sent["errorCode"])
    assert (kept.info, kept.vendor_id) == (sent["info"], sent["vendorId"])
    assert kept.vendor_error_code == sent["vendorErrorCode"]
    if "timestamp" in sent:
        assert kept.timestamp == utc(sent["timestamp"])
    else:
        assert told.is_receipt(kept.timestamp)
    assert told.is_receipt(kept.received_at)
    if kept.evse_id:
        assert Connector.objects.get(chargepoint=told.station, evse_id=kept.evse_id).connector_status == kept.status
    else:
        assert ChargePoint.objects.get(pk=told.station).chargepoint_status == kept.status
    assert deviations(told).keys() == ({"text-too-long"} if told.frame["id"] == "Q031" else set())


@stands("Q027")
def neither_info_nor_code_is_shown(told: Told) -> None:
    assert (status(told).info, status(told).vendor_error_code, status(told).error_code) == ("", "", "NoError")


@stands("Q033")
def an_offset_without_minutes_is_read(told: Told) -> None:
    assert status(told).timestamp == utc("2024-04-26T12:35:02")
    assert status(told).evse_id == 2
    assert deviations(told).keys() == {"time-format"}


@stands("Q035")
def the_time_of_receipt_stands_in_for_1970(told: Told) -> None:
    assert told.is_receipt(status(told).timestamp)
    assert status(told).timestamp_raw == told.payload["timestamp"]
    assert ChargePoint.objects.get(pk=told.station).chargepoint_status == "Unavailable"
    assert deviations(told).keys() == {"time-absurd"}


@stands("Q037")
def a_heartbeat_is_a_sign_of_life(told: Told) -> None:
    at = datetime.fromisoformat(told.result["currentTime"])
    assert told.sent_at - timedelta(seconds=1) <= at <= told.answered_at
    assert ChargePoint.objects.get(pk=told.station).last_heartbeat


@stands("Q039")
def a_security_event_is_kept(told: Told) -> None:
    event = SecurityEvent.objects.get(chargepoint=told.station)
    assert (event.type, event.tech_info) == ("StartupOfTheDevice", "The Charge Point has booted")
    assert event.timestamp == utc(told.payload["timestamp"])
    assert told.result == {}


@stands("Q041")
def vendor_data_gets_a_status(told: Told) -> None:
    assert told.result == {"status": "UnknownVendorId"}
    assert deviations(told) == {}


@stands("Q043")
def a_connector_in_an_authorize_is_overlooked(told: Told) -> None:
    assert told.result == {"idTagInfo": {"status": "Invalid"}}
    assert deviations(told) == {"extra-member": "connectorId: 2"}


@stands("Q045", "Q047", "Q051", "Q053")
def a_start_is_recorded_although_its_tag_is_unknown(told: Told) -> None:
    started, sent = transaction(told), told.payload
    assert told.result == {"idTagInfo": {"status": "Invalid"}, "transactionId": started.pk}
    assert (started.evse_id, started.id_tag_id, started.wh_meter_start) == (
        sent["connectorId"],
        sent["idTag"],
        sent["meterStart"],
    )
    assert started.start_transaction_timestamp == utc(sent["timestamp"])
    assert (started.is_open, started.transaction_status) == (True, "Unauthorized")
    assert started.flags == ["offline"]
    assert deviations(told) == {}


@stands("Q049")
def a_reservation_of_zero_is_none_and_the_time_is_in_utc(told: Told) -> None:
    started = transaction(told)
    assert started.reservation_id is None
    assert started.start_transaction_timestamp == utc("2023-10-19T15:28:07")
    assert "time-without-zone" in deviations(told)


@stands("Q055", "Q059", "Q067")
def a_stop_without_its_start_is_kept(told: Told) -> None:
    stopped, sent = transaction(told), told.payload
    assert stopped.uuid == str(sent["transactionId"])
    assert stopped.stop_transaction_timestamp == utc(sent["timestamp"])
    assert (stopped.wh_meter_stop, stopped.reason_stopped) == (sent["meterStop"], sent.get("reason", "Local"))
    assert stopped.stop_id_tag == sent.get("idTag", "")
    assert stopped.flags == ["offline", "orphan_stop"]
    assert len(readings(told)) == len(sent.get("transactionData", []))
    assert deviations(told).keys() == ({"member-in-other-case"} if told.frame["id"] == "Q067" else set())


@stands("Q057")
def both_readings_of_a_stop_are_kept(told: Told) -> None:
    stopped = transaction(told)
    assert (stopped.wh_meter_start, stopped.wh_meter_stop, stopped.wh_meter_last) == (1644, 2310, 2421)
    assert stopped.start_transaction_timestamp == utc("2023-03-28T04:41:35")
    assert (stopped.energy_wh, stopped.reason_stopped) == (666, "Local")
    assert [(each.energy_wh, each.transaction_id) for each in readings(told)] == [
        (1644, stopped.pk),
        (2421, stopped.pk),
    ]


@stands("Q061")
def a_tag_is_kept_without_the_bytes_behind_it(told: Told) -> None:
    stopped = transaction(told)
    assert stopped.stop_id_tag == stopped.id_tag_id == "BA86I250X5G6MOD5DL00"
    assert (stopped.uuid, stopped.wh_meter_stop, stopped.reason_stopped) == ("1786705612", 1388, "EVDisconnected")
    assert "control-characters" in deviations(told)


@stands("Q063")
def a_stop_of_minus_one_is_kept_for_its_tag(told: Told) -> None:
    stopped = transaction(told)
    assert (stopped.uuid, stopped.id_tag_id, stopped.wh_meter_stop) == (None, "ABCD1234", 51880)
    assert (stopped.is_open, stopped.energy_wh) == (False, None)
    assert stopped.flags == ["offline", "orphan_stop"]


@stands("Q065")
def a_meter_of_minus_one_is_unknown(told: Told) -> None:
    stopped = transaction(told)
    assert (stopped.uuid, stopped.wh_meter_stop, stopped.reason_stopped) == ("42", None, "PowerLoss")
    assert "meter_unknown" in stopped.flags
    assert deviations(told) == {"meter-unknown": "meterStop: -1"}


def columns(kept: MeterValue) -> tuple[Any, ...]:
    return kept.energy_wh, kept.power_w, kept.current_a, kept.voltage_v


def check_values(told: Told, evse: int, expected: tuple[Any, ...], foreign: str = "") -> MeterValue:
    """Hold the one reading of a MeterValues against what it should be; return it."""
    kept = reading(told)
    elements = told.payload["meterValue"]
    assert kept.timestamp == utc(elements[0]["timestamp"])
    assert kept.evse_id == evse
    assert columns(kept) == expected
    assert len(kept.samples) == sum(len(element["sampledValue"]) for element in elements)
    if foreign:
        assert (transaction(told).uuid, transaction(told).flags) == (foreign, ["foreign"])
        assert kept.transaction_id == transaction(told).pk
    else:
        assert kept.transaction_id is None
        assert not Transaction.objects.filter(chargepoint=told.station).exists()
    return kept


@stands("Q069")
def phases_and_their_total_are_never_added_up(told: Told) -> None:
    kept = check_values(told, 1, (Decimal("165333.00"), 0.0, 0.0, None))
    assert kept.samples == told.payload["meterValue"][0]["sampledValue"]
    assert deviations(told) == {}


@stands("Q071")
def a_context_on_some_samples_only_is_kept_so(told: Told) -> None:
    kept = check_values(told, 1, (10798, 0.0, 0.0, 245.8), foreign="3")
    assert [each.get("context") for each in kept.samples] == ["Trigger", None, "Trigger", "Trigger", "Trigger"]
    assert deviations(told) == {}


@stands("Q073")
def a_reading_without_a_transaction_belongs_to_none(told: Told) -> None:
    check_values(told, 1, (0, 0.0, 0.0, None))
    assert deviations(told) == {}


@stands("Q075")
def zeros_are_values(told: Told) -> None:
    check_values(told, 1, (0, 0.0, 0.0, 0.0), foreign="1")
    assert deviations(told) == {}


@stands("Q077")
def a_reading_may_be_a_voltage_only(told: Told) -> None:
    check_values(told, 1, (None, None, None, 246.76), foreign="1744943533")
    assert transaction(told).wh_meter_start is None
    assert deviations(told) == {}


@stands("Q079")
def members_may_come_in_any_order(told: Told) -> None:
    check_values(told, 3, (23477368, None, None, None))
    assert deviations(told) == {}


@stands("Q081")
def connector_0_is_the_main_meter(told: Told) -> None:
    check_values(told, 0, (Decimal("165544.5"), None, None, None))
    assert not Connector.objects.filter(chargepoint=told.station).exists()


@stands("Q083")
def elements_of_one_time_are_one_reading_and_registers_are_wide(told: Told) -> None:
    check_values(told, 0, (4296944685, 0.0, 0.0, 0.1))


@stands("Q085")
def what_is_measured_is_told_by_the_unit(told: Told) -> None:
    kept = check_values(told, 1, (None, None, 15.63, None))
    assert [each["measurand"] for each in kept.samples] == ["Current.Import", "Current.Import"]
    assert [each["context"] for each in kept.samples] == ["Sample.Periodic", "CurrentMax"]
    assert deviations(told) == {"unknown-word": "meterValue.0.sampledValue.1.context: CurrentMax"}


@stands("Q087")
def the_biggest_number_is_no_transaction(told: Told) -> None:
    check_values(told, 1, (5995441, 0.0, 0.0, 232.67))


@stands("Q089")
def no_samples_are_no_reading(told: Told) -> None:
    assert readings(told) == []
    assert told.result == {}
    assert deviations(told).keys() == {"empty-list"}


@stands("Q091")
def a_number_is_a_value(told: Told) -> None:
    check_values(told, 1, (10, None, None, None))
    assert reading(told).samples[0]["value"] == "10"
    assert deviations(told).keys() == {"value-for-text"}


@stands("Q093")
def padding_is_no_part_of_a_value(told: Told) -> None:
    kept = check_values(told, 1, (Decimal("1785508.0"), 0.0, 0.0, 1.7), foreign="1740470158")
    assert [each["value"] for each in kept.samples] == ["0.0", "1.7", "2.5", "2.5", "5.0", "1785508.0", "0.0"]
    assert deviations(told).keys() == {"value-padded"}


@stands("Q095")
def kilowatt_hours_are_brought_to_watt_hours(told: Told) -> None:
    kept = check_values(told, 1, (10, 0.0, 0.0, 241.09))
    assert (kept.samples[1]["value"], kept.samples[1]["unit"]) == ("0.01", "kWh")
    assert deviations(told) == {}


@stands("Q097")
def values_of_a_transaction_from_elsewhere_are_kept_with_it(told: Told) -> None:
    check_values(told, 1, (1388, None, None, None), foreign="1786705612")


@stands("Q117", "Q121", "Q127", "Q131")
def what_is_refused_is_noted_and_not_stored(told: Told) -> None:
    for model in (MeterValue, StatusNotification, Transaction):
        assert not model.objects.filter(chargepoint=told.station).exists()
    assert deviations(told).keys() == {"malformed-frame" if "raw" in told.frame else "message-refused"}
    assert ChargePoint.objects.get(pk=told.station).last_boot is None


@stands("Q123", "Q125")
def a_status_of_2_0_1_is_that_of_its_evse(told: Told) -> None:
    kept, sent = status(told), told.payload
    assert (kept.evse_id, kept.connectorid, kept.status) == (
        sent["evseId"],
        sent["connectorId"],
        sent["connectorStatus"],
    )
    assert kept.timestamp == utc(sent["timestamp"])
    assert deviations(told) == {}


@stands("Q129")
def a_start_button_needs_no_token(told: Told) -> None:
    assert told.result == {"idTokenInfo": {"status": "Accepted"}}
    started = transaction(told)
    assert (started.uuid, started.evse_id, started.is_open) == ("318a67d6-a3ab-4429-ae26-f3c7b61cf760", 1, True)
    assert (started.wh_meter_start, started.transaction_status) == (1460, "Started")
    assert reading(told).energy_wh == 1460


def test_every_frame_has_a_check() -> None:
    assert {name(frame) for frame in CALLS} == STANDS.keys()
    assert {name(frame) for frame in ANSWERS} == ASKED.keys()
    assert len(CALLS) + len(ANSWERS) == len(FRAMES)


@pytest.mark.parametrize("frame", CALLS, ids=name)
async def test_a_frame_is_answered_and_stands_as_its_author_meant_it(
    frame: dict[str, Any], url: str, query: Query
) -> None:
    async with connect(url, frame["id"], frame["version"]) as station:
        told = await tell(station, frame)
        check_answer(told)
        # Served after everything that was stored beside the frame's answer.
        await station.call("Heartbeat")
    await query(lambda: STANDS[frame["id"]](told))


# The answers: what the platform asked for, and what became of it.

KEYS: Payload = {"key": ["SupportedFeatureProfiles"]}
SCHEDULE: Payload = {"connectorId": 1, "duration": 60}
ASKED: dict[str, tuple[str, Payload]] = {
    "Q099": ("GetConfiguration", KEYS),
    "Q101": ("GetConfiguration", {}),
    "Q103": ("GetConfiguration", {}),
    "Q105": ("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}),
    "Q107": ("TriggerMessage", {"requestedMessage": "StatusNotification"}),
    "Q109": ("TriggerMessage", {"requestedMessage": "BootNotification"}),
    "Q111": ("GetCompositeSchedule", SCHEDULE),
    "Q113": ("GetCompositeSchedule", SCHEDULE),
    "Q115": ("GetDiagnostics", {"location": "ftp://127.0.0.1/files"}),
    "Q119": ("GetConfiguration", {}),
}
# Variable, value and mutability that an answer leaves.
LEARNT = {
    "Q099": [("SupportedFeatureProfiles", "Core", "ReadOnly")],
    "Q101": [("NumberOfConnectors", "1", "ReadOnly")],
    "Q103": [("ChargingScheduleAllowedChargingRateUnit", "Current,Power", "ReadOnly")],
}


async def answer(station: Station, frame: dict[str, Any]) -> Command:
    """Let the platform ask what the frame answers, and give the frame for an answer; return the command."""
    action, payload = ASKED[frame["id"]]
    # Once it is served, it counts as connected.
    await station.call("Heartbeat")
    station.answers[action] = None

    def ask() -> Command:
        now = datetime.now(UTC)
        # Some are no commands yet.
        command = Command.objects.create(
            chargepoint_id=station.identity,
            ocpp_version="ocpp1.6",
            action=action,
            payload=payload,
            created_at=now,
            expires_at=now + timedelta(minutes=1),
        )
        operator.relay(command.pk)
        return command

    command: Command = await operator.query_in_thread(ask)
    call = await station.expect_call(action)
    own_id = json.loads(text_of(frame).partition(",")[2].partition(",")[0])
    await station.send_raw(text_of(frame).replace(own_id, call.message_id))
    return await operator.end_of(command.pk)


@pytest.mark.parametrize("frame", ANSWERS, ids=name)
async def test_an_answer_ends_what_was_asked_and_its_content_is_kept(
    frame: dict[str, Any], url: str, query: Query
) -> None:
    async with connect(url, frame["id"], frame["version"]) as station:
        await station.call("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
        command = await answer(station, frame)
        assert station.unclaimed == []
    if frame["id"] == "Q109":
        assert (command.status, command.error["code"], command.error["description"]) == ("error", "NotImplemented", "")
    elif frame["id"] == "Q119":
        assert (command.status, command.error["code"]) == ("error", "FormationViolation")
        assert command.finished_at - command.sent_at < timedelta(seconds=5)
    elif frame["id"] == "Q111":
        # Only its status can be believed.
        assert (command.status, command.response["status"]) == ("answered", "Rejected")
        assert not await query(lambda: CompositeSchedule.objects.exists())
    else:
        payload = json.loads(json.dumps(frame["frame"][2]).replace('"value": 1}', '"value": "1"}'))
        assert (command.status, command.response, command.error) == ("answered", payload, None)
    learnt = await query(lambda: list(Variable.objects.values_list("variable", "value", "mutability")))
    assert learnt == LEARNT.get(frame["id"], [])
    connector = await query(lambda: Connector.objects.get())
    assert connector.availability_status == ("Inoperative" if frame["id"] == "Q105" else "Operative")
    kinds = await query(lambda: set(Deviation.objects.values_list("kind", flat=True)))
    expected = {"Q101": {"value-for-text"}, "Q111": {"member-missing", "empty-member", "time-format"}}
    assert kinds >= expected.get(frame["id"], set())


@pytest.mark.parametrize("frame", ANSWERS, ids=name)
async def test_an_answer_to_nobody_is_noted_and_changes_nothing(frame: dict[str, Any], url: str, query: Query) -> None:
    async with connect(url, frame["id"], frame["version"]) as station:
        await tell(station, {**frame, "expect": IGNORE})
        await station.call("Heartbeat")
    kinds = await query(lambda: set(Deviation.objects.values_list("kind", flat=True)))
    assert kinds & {"answer-to-nobody", "malformed-frame"}
    assert await query(lambda: Variable.objects.count() + Command.objects.count()) == 0


# Whole sessions.


def maker(frame: dict[str, Any]) -> str:
    """Name who made a station, by the first word that all of its spellings share."""
    first = str(frame["vendor"]).split()[0]
    return {"ArduinoOcpp": "MicroOcpp", "ESP32": "MicroOcpp", "Heidelberg": "Amperfied"}.get(first, first)


def session_of(frame: dict[str, Any]) -> str:
    return f"{maker(frame)} {frame['version']}"


SESSIONS = {who: list(frames) for who, frames in itertools.groupby(sorted(CALLS, key=session_of), key=session_of)}
# How many transactions a session leaves open, having told their starts or values only.
STILL_OPEN = {
    "EN+ 1.6": 1,
    "EVBox 1.6": 1,
    "EZ8-NCG-20K 1.6": 1,
    "Growatt 1.6": 1,
    "MicroOcpp 1.6": 2,
    "Teison 1.6": 1,
    "ZJ 1.6": 1,
    "unknown 2.0.1": 1,
}


@pytest.mark.parametrize("who", SESSIONS)
async def test_the_frames_of_one_maker_make_a_session(who: str, url: str, query: Query) -> None:
    session = SESSIONS[who]
    async with connect(url, "CP1", session[0]["version"]) as station:
        for frame in session:
            check_answer(await tell(station, frame))
    statuses = [each for each in session if each["expect"] == ACCEPT and each["frame"][2] == "StatusNotification"]
    assert await query(lambda: StatusNotification.objects.count()) == len(statuses)
    still_open = Transaction.objects.filter(stop_transaction_timestamp=None)
    assert await query(lambda: still_open.count()) == STILL_OPEN.get(who, 0)


async def test_a_station_that_starts_refused_and_stops_without_a_number_leaves_one_transaction(
    url: str, query: Query
) -> None:
    async with connect(url, "Hager", "1.6") as station:
        started = await tell(station, BY_NAME["Q047"])
        await tell(station, BY_NAME["Q063"])
    stopped = await query(lambda: transaction(started))
    assert (stopped.pk, stopped.is_open, stopped.energy_wh) == (started.result["transactionId"], False, 0)
    assert stopped.stop_transaction_timestamp == utc("2024-05-15T14:29:42")


async def test_closing_values_belong_to_the_transaction_that_was_stopped_before(url: str, query: Query) -> None:
    async with connect(url, "Ocular", "1.6") as station:
        stopped = await tell(station, BY_NAME["Q061"])
        await tell(station, BY_NAME["Q097"])
    closed = await query(lambda: transaction(stopped))
    assert (closed.is_open, closed.wh_meter_stop) == (False, 1388)
    assert (await query(lambda: reading(stopped))).transaction_id == closed.pk


async def test_a_start_sent_four_times_is_one_transaction(url: str, query: Query) -> None:
    async with connect(url, "ArduinoOcpp", "1.6") as station:
        answers = [(await tell(station, BY_NAME["Q053"])).answer for _ in range(4)]
    assert answers == answers[:1] * 4
    assert await query(lambda: Transaction.objects.count()) == 1


# Strict mode.

# Their times are no RFC 3339, which a JSON schema's format asks for, though its older validators do not look.
STRICTLY_INVALID = {"Q033", "Q049"}


async def test_in_strict_mode_what_breaks_its_schema_is_refused_and_nothing_else(
    server: OcppServer, url: str, settings: Settings, subtests: Subtests
) -> None:
    settings.OCPP_VALIDATION = "strict"
    for frame in CALLS:
        with subtests.test(frame["id"]):
            async with connect(url, frame["id"], frame["version"]) as station:
                told = await tell(station, frame)
            valid = frame.get("schema_valid") and frame["id"] not in STRICTLY_INVALID
            assert told.answer[0] == (CALLRESULT if valid else CALLERROR), told.answer
