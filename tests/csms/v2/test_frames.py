"""OCPP 2.x: every kind of bad frame gets the CALLERROR that part 4 has for it, and nothing else happens.

Codes are those of part 4, section 4.3. What is no proper RPC frame is an RpcFrameworkError, with the id "-1" where
its own cannot be read (section 4.2.3); a frame of another type a MessageTypeNotSupported (section 4.4); JSON that
is broken behind a readable id, or of another shape than an object, a FormatViolation. An answer gets silence.
"""

import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Transaction
from csms.server import OcppServer
from tests.csms.badframes import ANSWERED, SILENCE, Row, check, history
from tests.csms.conftest import Query
from tests.fixtures_subtests import Subtests
from tests.simulator.v2 import Station201

FORMAT = "FormatViolation"
FRAMEWORK = "RpcFrameworkError"
MESSAGE_TYPE = "MessageTypeNotSupported"
NOT_IMPLEMENTED = "NotImplemented"
OCCURRENCE = "OccurrenceConstraintViolation"
PROPERTY = "PropertyConstraintViolation"
TYPE = "TypeConstraintViolation"

HEARTBEAT = '[2,"m1","Heartbeat",{}]'
NOBODY = "-1"


def frame(action: Any, payload: Any, message_id: Any = "m1") -> str:
    return json.dumps([2, message_id, action, payload])


def status(**members: Any) -> str:
    payload = {"timestamp": "2026-01-01T10:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    told = {name: value for name, value in (payload | members).items() if value != "absent"}
    return frame("StatusNotification", told)


def security_event(**members: Any) -> str:
    payload = {"type": "FirmwareUpdated", "timestamp": "2026-01-01T10:00:00Z", **members}
    return frame("SecurityEventNotification", payload)


UNREADABLE = [
    Row("empty text", "", FRAMEWORK, message_id=NOBODY),
    Row("a word", "hello", FRAMEWORK, message_id=NOBODY, deviation="malformed-frame"),
    Row("cut in its id", '[2,"m', FRAMEWORK, message_id=NOBODY),
    Row("rubbish in a binary frame", bytes(range(256)), FRAMEWORK, message_id=NOBODY, binary=True),
    Row("an object", '{"a":1}', FRAMEWORK, message_id=NOBODY),
    Row("an empty list", "[]", FRAMEWORK, message_id=NOBODY),
    Row("no id", "[2]", FRAMEWORK, message_id=NOBODY),
    Row("an object as id", '[2,{},"Heartbeat",{}]', FRAMEWORK, message_id=NOBODY),
    Row("null as id", '[2,null,"Heartbeat",{}]', FRAMEWORK, message_id=NOBODY),
    Row("cut in its payload", '[2,"m1","Heartbeat",{', FORMAT),
    Row("cut after its id", '[2,"m1"', FORMAT),
    Row("two frames in one", HEARTBEAT + HEARTBEAT, FORMAT),
]
FRAMES = [
    Row("a frame as it should be", HEARTBEAT, ANSWERED),
    Row("no action", '[2,"m1"]', FRAMEWORK),
    Row("a number as action", '[2,"m1",7,{}]', FRAMEWORK),
    Row("no payload", '[2,"m1","Heartbeat"]', ANSWERED, FRAMEWORK),
    Row("five elements", '[2,"m1","Heartbeat",{},{}]', ANSWERED, FRAMEWORK),
    Row("an id of 36 characters", frame("Heartbeat", {}, "x" * 36), ANSWERED, message_id="x" * 36),
    Row("an id of 37 characters", frame("Heartbeat", {}, "x" * 37), ANSWERED, FRAMEWORK, message_id="x" * 37),
    Row("an id of 300 characters", frame("Heartbeat", {}, "x" * 300), FRAMEWORK, message_id="x" * 300),
    Row("an empty id", frame("Heartbeat", {}, ""), ANSWERED, FRAMEWORK, message_id=""),
    Row("a number as id", frame("Heartbeat", {}, 7), ANSWERED, FRAMEWORK, message_id=7),
]
TYPES = [
    Row("type 1", '[1,"m1","Heartbeat",{}]', MESSAGE_TYPE),
    Row("type 5 of OCPP 2.1", '[5,"m1","GenericError","",{}]', MESSAGE_TYPE),
    Row("type 6 of OCPP 2.1", '[6,"m1","NotifyPeriodicEventStream",{}]', MESSAGE_TYPE),
    Row("type 9 without an id", "[9,null]", MESSAGE_TYPE, message_id=NOBODY),
    Row("a word as type", '["CALL","m1","Heartbeat",{}]', FRAMEWORK),
    Row("null as type", '[null,"m1","Heartbeat",{}]', FRAMEWORK),
    Row("the type as text", '["2","m1","Heartbeat",{}]', ANSWERED, FRAMEWORK),
]
PAYLOADS = [
    Row("an unknown action", frame("Dance", {}), NOT_IMPLEMENTED),
    Row("an action of 1.6", frame("StartTransaction", {}), NOT_IMPLEMENTED),
    Row("an action of the CSMS", frame("Reset", {"type": "Immediate"}), "NotSupported"),
    Row("an action in other case", frame("heartbeat", {}), ANSWERED, NOT_IMPLEMENTED),
    Row("a text as payload", '[2,"m1","StatusNotification","x"]', FORMAT),
    Row("a number as payload", '[2,"m1","StatusNotification",1]', FORMAT),
    Row("an unknown member", status(info="x"), ANSWERED, FORMAT, stores=1),
    Row("a member that is missing", status(evseId="absent"), OCCURRENCE),
    Row("an empty list", frame("MeterValues", {"evseId": 1, "meterValue": []}), ANSWERED, OCCURRENCE),
    Row("an object for a number", status(evseId={}), TYPE),
    Row("a number for a text", security_event(type={}), TYPE),
    Row("a number that is none", status(evseId=-1), PROPERTY),
    Row("a text beyond its length", security_event(techInfo="x" * 256), ANSWERED, PROPERTY, stores=1),
    Row("a security event", security_event(), ANSWERED, stores=1),
    Row("a security event of its own type", security_event(type="Own"), ANSWERED, stores=1),
    Row("a security event sent twice", security_event(), ANSWERED, stores=1, before=security_event()),
]
ANSWERS = [
    Row("an answer to nobody", '[3,"m1",{}]', SILENCE, deviation="answer-to-nobody"),
    Row("an error to nobody", '[4,"m1","GenericError","",{}]', SILENCE),
    Row("an answer to what was not understood", '[4,"-1","RpcFrameworkError","",{}]', SILENCE),
    Row("an answer without an id", "[3]", SILENCE),
    Row("an answer cut in its id", '[3,"m', SILENCE),
    Row("an answer that is cut", '[3,"m1",{', SILENCE),
    Row("an answer of another shape", '[3,"%id",[]]', SILENCE, call="waiting", ends="error"),
    Row("an error", '[4,"%id","NotSupported","",{}]', SILENCE, call="waiting", ends="error"),
]
TABLE = UNREADABLE + FRAMES + TYPES + PAYLOADS + ANSWERS


@pytest.mark.parametrize("mode", ["tolerant", "strict"])
async def test_a_bad_frame_gets_its_answer_and_harms_nobody(
    mode: str, server: OcppServer, url: str, query: Query, settings: Settings, subtests: Subtests
) -> None:
    settings.OCPP_VALIDATION = mode
    async with Station201(url, "neighbour") as neighbour:
        await neighbour.started()
        for number, row in enumerate(TABLE):
            with subtests.test(row.name):
                async with Station201(url, f"row-{number}") as station:
                    await check(row, mode, station, query, settings)
                assert "currentTime" in await neighbour.heartbeat()
        assert await query(lambda: history("neighbour")) == [1, 0, 0, 1]
        assert await query(lambda: Transaction.objects.get(chargepoint="neighbour").is_open)
