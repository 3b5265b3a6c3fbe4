"""Every kind of bad frame, in both validation modes: the right CALLERROR or silence, and nothing else happens.

Codes are spelt as OCPP-J 1.6 does (section 4.2.3, table 7; its errata 5.1 and 5.2 keep the misspelt ones).
Which code a violation gets: a frame or payload of the wrong shape is a FormationViolation, a missing member
or an empty list an OccurenceConstraintViolation, a value of the wrong JSON type a TypeConstraintViolation,
and a value that is none of the allowed ones a PropertyConstraintViolation. A frame whose id cannot be read
gets silence, as a CALLERROR repeats the id; so does an answer, as only a CALL is answered.
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
from tests.simulator.station import Station

FORMATION = "FormationViolation"
OCCURRENCE = "OccurenceConstraintViolation"
TYPE = "TypeConstraintViolation"
PROPERTY = "PropertyConstraintViolation"
NOT_IMPLEMENTED = "NotImplemented"
NOT_SUPPORTED = "NotSupported"

MEGABYTE = 1_000_000


def frame(action: Any, payload: Any = None, message_id: Any = "m1", *more: Any) -> str:
    return json.dumps([2, message_id, action, {} if payload is None else payload, *more])


def status(**members: Any) -> str:
    payload = {"connectorId": 1, "status": "Available", "errorCode": "NoError", **members}
    return frame("StatusNotification", {name: value for name, value in payload.items() if value != "absent"})


def started(**members: Any) -> str:
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 5, "timestamp": "2026-01-01T10:00:00Z", **members}
    return frame("StartTransaction", {name: value for name, value in payload.items() if value != "absent"})


def stopped(**members: Any) -> str:
    payload = {"transactionId": 7, "meterStop": 9, "timestamp": "2026-01-01T11:00:00Z", **members}
    return frame("StopTransaction", {name: value for name, value in payload.items() if value != "absent"})


def values(*samples: Any, **members: Any) -> str:
    reading = {"timestamp": "2026-01-01T10:30:00Z", "sampledValue": list(samples) or [GOOD]}
    payload = {"connectorId": 1, "meterValue": [reading], **members}
    return frame("MeterValues", {name: value for name, value in payload.items() if value != "absent"})


# A sampled value that nothing is wrong with.
GOOD = {"value": "1"}


def deep(opening: str) -> str:
    return (opening * (MEGABYTE // len(opening) + 1))[:MEGABYTE]


HEARTBEAT = frame("Heartbeat")

NO_JSON = [
    Row("empty text", "", SILENCE),
    Row("a NUL", "\x00", SILENCE),
    Row("blanks", " \r\n\t", SILENCE),
    Row("a word", "hello", SILENCE),
    Row("cut in its payload", '[2,"m1","Heartbeat",{', FORMATION, deviation="malformed-frame"),
    Row("cut in its action", '[2,"m1","Heartb', FORMATION),
    Row("cut after its id", '[2,"m1"', FORMATION),
    Row("cut in its id", '[2,"m', SILENCE, deviation="malformed-frame"),
    Row("an unescaped quote", '[2,"m1","Authorize",{"idTag":"a"b"}]', FORMATION),
    Row("an unescaped backslash", '[2,"m1","Authorize",{"idTag":"a\\"}]', FORMATION),
    Row("an unknown escape", '[2,"m1","Authorize",{"idTag":"a\\x41"}]', FORMATION),
    Row("single quotes", "[2,'m1','Heartbeat',{}]", SILENCE),
    Row("a comma before the first element", '[2,"m1","MeterValues",{"connectorId":1,"meterValue":[,{}]}]', FORMATION),
    Row("a comma after the last element", '[2,"m1","Heartbeat",{},]', FORMATION),
    Row("a member without a value", '[2,"m1","MeterValues",{"connectorId":1,"transactionId":,"x":1}]', FORMATION),
    Row("a comment", '[2,"m1","Heartbeat",{}/**/]', FORMATION),
    Row("two frames in one", HEARTBEAT + HEARTBEAT, FORMATION),
    Row("the id as a broken escape", '[2,"\\ud8","Heartbeat",{', FORMATION, message_id="\\ud8"),
    Row("the id as an escape", '[2,"\\u00e9\\"","Heartbeat",{', FORMATION, message_id='é"'),
    # What json.loads reads beyond RFC 8259, and C programs leave behind, has a clear meaning.
    Row("a NUL at its end", HEARTBEAT + "\x00", ANSWERED, FORMATION, deviation="json-padding"),
    Row("a byte order mark", "\ufeff" + HEARTBEAT, ANSWERED, FORMATION, deviation="json-padding"),
    Row(
        "a raw control character",
        status(info="a~b").replace("~", "\x01"),
        ANSWERED,
        FORMATION,
        stores=1,
        deviation="json-control-characters",
    ),
    Row("a raw NUL", started(idTag="a~b").replace("~", "\x00"), ANSWERED, FORMATION, stores=1),
    Row("a raw line feed", status(info="a~b").replace("~", "\n"), ANSWERED, FORMATION, stores=1),
    Row("NaN", values({"value": float("nan")}), ANSWERED, FORMATION, stores=1, deviation="json-odd-value"),
    Row("a number without end", values({"value": "~"}).replace('"~"', "1e999"), ANSWERED, FORMATION, stores=1),
    Row("half a surrogate pair", status(info="\ud83d"), ANSWERED, FORMATION, stores=1, deviation="json-odd-value"),
    Row("half a surrogate pair as id", frame("Heartbeat", {}, "\udc00"), ANSWERED, FORMATION, message_id="\udc00"),
    Row(
        "bytes that are not UTF-8", status(info="Stra~e").encode().replace(b"~", b"\xdf"), ANSWERED, FORMATION, stores=1
    ),
    Row("an id that is not UTF-8", b'[2,"\xff","Heartbeat",{}]', ANSWERED, FORMATION, message_id="ÿ"),
    Row("rubbish that is not UTF-8", b"\xff\xfe\x00\x80", SILENCE),
    Row("pretty-printed", json.dumps(json.loads(HEARTBEAT), indent=4) + "\r\n", ANSWERED),
]

NO_FRAME = [
    Row("an object", '{"a":1}', SILENCE, deviation="malformed-frame"),
    Row("a number", "42", SILENCE),
    Row("null", "null", SILENCE),
    Row("a text", '"Heartbeat"', SILENCE),
    Row("an empty array", "[]", SILENCE),
    Row("a message type only", "[2]", SILENCE),
    # Section 4.1.3: a message type that is not in the list is ignored (FR-07).
    *(
        Row(f"message type {each}", f'[{each},"m1","Heartbeat",{{}}]', SILENCE)
        for each in ("0", "1", "5", "6", "-2", "2.5", "22", "null", "true", "{}", "[2]", '"two"')
    ),
    Row("message type as text", '["2","m1","Heartbeat",{}]', ANSWERED, SILENCE, deviation="message-type-as-text"),
    # In JSON 2.0 is the number 2.
    Row("message type 2.0", '[2.0,"m1","Heartbeat",{}]', ANSWERED),
]

IDS = [
    Row("the id is a number", frame("Heartbeat", {}, 7), ANSWERED, FORMATION, message_id=7),
    *(
        Row(f"the id is {json.dumps(each)}", frame("Heartbeat", {}, each), SILENCE, deviation="malformed-frame")
        for each in (None, True, 1.5, {}, {"a": 1}, [], ["m1"])
    ),
    # Nothing in section 4.1.4 forbids the empty text, but it cannot be unique.
    Row("the id is empty", frame("Heartbeat", {}, ""), ANSWERED, FORMATION, message_id=""),
    *(
        Row(f"the id has {len(each)} characters", frame("Heartbeat", {}, each), ANSWERED, strict, message_id=each)
        for each, strict in (("i" * 36, ANSWERED), ("i" * 37, FORMATION), ("é" * 255, FORMATION))
    ),
    # Section 4.2.3 names "unique identifier too long" among the reasons for a CALLERROR.
    *(
        Row(f"the id has {len(each)} characters", frame("Heartbeat", {}, each), FORMATION, message_id=each)
        for each in ("i" * 256, "i" * 50_000)
    ),
    Row("an odd id", frame("Heartbeat", {}, ' 36:352/"\\é\u2028'), ANSWERED, message_id=' 36:352/"\\é\u2028'),
]

ACTIONS = [
    *(Row(f"the action is {json.dumps(each)}", frame(each), FORMATION) for each in (7, None, True, {}, ["Heartbeat"])),
    Row("no action", '[2,"m1"]', FORMATION),
    Row("an unknown action", frame("Explode", {"a": 1}), NOT_IMPLEMENTED, deviation="message-refused"),
    Row("an empty action", frame(""), NOT_IMPLEMENTED),
    Row("an action of 1 MB", frame("A" * MEGABYTE), NOT_IMPLEMENTED),
    Row("an action of OCPP 2.0.1", frame("TransactionEvent"), NOT_IMPLEMENTED),
    # Section 4.2.1: a case-sensitive string.
    Row("an action in other case", frame("heartBEAT"), ANSWERED, NOT_IMPLEMENTED, deviation="action-in-other-case"),
    Row("an action in blanks", frame(" Heartbeat "), ANSWERED, NOT_IMPLEMENTED),
    # Known, but not from a station.
    Row("an action of the CSMS", frame("Reset", {"type": "Soft"}), NOT_SUPPORTED),
    Row("an action of the CSMS that breaks its schema", frame("Reset", []), NOT_SUPPORTED, FORMATION),
]

PAYLOADS = [
    # Section 4.2.1 allows null for no payload.
    Row("the payload is null", '[2,"m1","Heartbeat",null]', ANSWERED),
    Row("the payload is null, but has something to say", '[2,"m1","StatusNotification",null]', OCCURRENCE),
    Row("no payload", '[2,"m1","Heartbeat"]', ANSWERED, FORMATION, deviation="frame-length"),
    Row("a fifth element", frame("Heartbeat", {}, "m1", {}), ANSWERED, FORMATION, deviation="frame-length"),
    # A Heartbeat says all it has to say by its name.
    *(
        Row(f"the payload of a Heartbeat is {json.dumps(each)}", frame("Heartbeat", each), ANSWERED, FORMATION)
        for each in ([], "", 0, "x", [1, 2], [{}])
    ),
    Row("a Heartbeat with members", frame("Heartbeat", {"currentTime": None}), ANSWERED, FORMATION),
    *(
        Row(f"the payload is {json.dumps(each)}", frame("StatusNotification", each), FORMATION)
        for each in ([], "", 0, False, "Available", [1, 2])
    ),
    Row(
        "the payload is a list of one object",
        frame("StatusNotification", [json.loads(status())[3]]),
        ANSWERED,
        FORMATION,
        stores=1,
        deviation="list-for-object",
    ),
    Row("the payload is JSON in a text", frame("StatusNotification", json.dumps(json.loads(status())[3])), FORMATION),
]

MISSING = [
    Row("no connector in a status", status(connectorId="absent"), OCCURRENCE, deviation="message-refused"),
    Row("no status", status(status="absent"), OCCURRENCE),
    Row("no error code", status(errorCode="absent"), ANSWERED, OCCURRENCE, stores=1, deviation="member-missing"),
    Row("no time in a status", status(timestamp="absent"), ANSWERED, stores=1),
    Row("no connector in a start", started(connectorId="absent"), OCCURRENCE),
    Row("no tag in a start", started(idTag="absent"), ANSWERED, OCCURRENCE, stores=1),
    Row("no meter in a start", started(meterStart="absent"), ANSWERED, OCCURRENCE, stores=1),
    Row("no time in a start", started(timestamp="absent"), ANSWERED, OCCURRENCE, stores=1),
    Row("no transaction in a stop", stopped(transactionId="absent"), ANSWERED, OCCURRENCE, stores=1),
    Row("no meter in a stop", stopped(meterStop="absent"), ANSWERED, OCCURRENCE, stores=1),
    Row("no reason in a stop", stopped(), ANSWERED, stores=1),
    Row("no connector in values", values(connectorId="absent"), OCCURRENCE),
    Row("no values", values(meterValue="absent"), ANSWERED, OCCURRENCE),
    Row("no value in a sample", values({"unit": "Wh"}), ANSWERED, OCCURRENCE, deviation="member-missing"),
    Row("no time in values", values(meterValue=[{"sampledValue": [{"value": "1"}]}]), ANSWERED, OCCURRENCE, stores=1),
    Row("no model in a boot", frame("BootNotification", {"chargePointVendor": "A"}), ANSWERED, OCCURRENCE),
    Row("no tag in an Authorize", frame("Authorize"), ANSWERED, OCCURRENCE),
    Row("no vendor in a DataTransfer", frame("DataTransfer"), ANSWERED, OCCURRENCE),
    Row(
        "no type in a security event",
        frame("SecurityEventNotification", {"timestamp": "2026-01-01T00:00:00Z"}),
        ANSWERED,
        OCCURRENCE,
        stores=1,
    ),
]

WRONG_TYPES = [
    Row("a connector as a word", status(connectorId="one"), TYPE, deviation="message-refused"),
    Row("a connector as text", status(connectorId=" 1 "), ANSWERED, TYPE, stores=1, deviation="text-for-number"),
    Row("a connector as a boolean", status(connectorId=True), TYPE),
    Row("a connector as an object", status(connectorId={"id": 1}), TYPE),
    Row("a connector with a fraction", status(connectorId=1.5), TYPE),
    Row("a connector as a float", status(connectorId=1.0), ANSWERED, TYPE, stores=1),
    # Null stands for absent, and a missing connector cannot be guessed.
    Row("a connector that is null", status(connectorId=None), OCCURRENCE, TYPE),
    Row("a status as a number", status(status=3), ANSWERED, TYPE, stores=1, deviation="unknown-word"),
    Row("a status as a list", status(status=["Available"]), TYPE),
    Row("an info as a number", status(info=17), ANSWERED, TYPE, stores=1, deviation="value-for-text"),
    Row("an info that is null", status(info=None), ANSWERED, TYPE, stores=1, deviation="empty-member"),
    Row("a tag as a number", started(idTag=1234), ANSWERED, TYPE, stores=1),
    Row("a tag as an object", started(idTag={"id": "A"}), TYPE),
    Row("a meter with a fraction", started(meterStart=5.5), ANSWERED, TYPE, stores=1, deviation="fraction-for-integer"),
    Row("a meter as a word", started(meterStart="five"), TYPE),
    Row("a meter as a list", stopped(meterStop=[9]), TYPE),
    Row("a time as a number", started(timestamp=1767261600), ANSWERED, TYPE, stores=1),
    Row("a time as an object", started(timestamp={"at": 1}), ANSWERED, TYPE, stores=1),
    Row("a transaction that is null", stopped(transactionId=None), ANSWERED, TYPE, stores=1),
    Row("a transaction as a word", stopped(transactionId="seven"), TYPE),
    Row("values as an object", values(meterValue={"sampledValue": {"value": 1}}), ANSWERED, TYPE, stores=1),
    Row("values as a text", values(meterValue="none"), TYPE),
    Row("a sample as a number", values(17), TYPE),
    Row(
        "a sample as a number beside a good one",
        values(17, GOOD),
        ANSWERED,
        TYPE,
        stores=1,
        deviation="unreadable-member",
    ),
    Row("a value as a number", values({"value": 17}), ANSWERED, TYPE, stores=1),
    Row("a value that is null", values({"value": None}), ANSWERED, TYPE),
    # What is not required must not keep the rest from being stored.
    Row("transaction data as a text", stopped(transactionData="none"), ANSWERED, TYPE, stores=1),
    Row("a reservation as an object", started(reservationId={}), ANSWERED, TYPE, stores=1),
    Row("a transaction as a word in values", values(transactionId="seven"), ANSWERED, TYPE, stores=1),
    Row("an info as an object", status(info={"a": 1}), ANSWERED, TYPE, stores=1, deviation="unreadable-member"),
]

UNKNOWN_MEMBERS = [
    Row("a member of its own", status(color="red"), ANSWERED, FORMATION, stores=1, deviation="extra-member"),
    Row("a member of its own in a sample", values({"value": "1", "color": "red"}), ANSWERED, FORMATION, stores=1),
    Row("a member in other case", stopped(Reason="Local"), ANSWERED, FORMATION, stores=1),
    Row("a required member in other case", status(status="absent", Status="Faulted"), ANSWERED, OCCURRENCE, stores=1),
    Row(
        "a member nested without end", status(info="~").replace('"~"', "[" * 900 + "]" * 900), ANSWERED, TYPE, stores=1
    ),
    Row("a connector nested without end", status(connectorId="~").replace('"~"', "[" * 900 + "]" * 900), TYPE),
]

UNKNOWN_WORDS = [
    Row("a status of its own", status(status="Sleeping"), ANSWERED, PROPERTY, stores=1, deviation="unknown-word"),
    Row("a status of its own, endless", status(status="S" * 5000, connectorId=0), ANSWERED, PROPERTY, stores=1),
    Row("a status in other case", status(status="AVAILABLE"), ANSWERED, PROPERTY, stores=1),
    Row("an empty status", status(status=""), OCCURRENCE, PROPERTY),
    Row("an error code of its own", status(errorCode="Error"), ANSWERED, PROPERTY, stores=1),
    Row("a reason of its own", stopped(reason="Bored"), ANSWERED, PROPERTY, stores=1),
    Row("an empty reason", stopped(reason=""), ANSWERED, PROPERTY, stores=1),
    *(
        Row(f"a {each} of its own", values({"value": "1", each: "Odd"}), ANSWERED, PROPERTY, stores=1)
        for each in ("context", "format", "location", "measurand", "phase", "unit")
    ),
]

TOO_LONG = [
    Row("a tag of 21 characters", started(idTag="T" * 21), ANSWERED, PROPERTY, stores=1, deviation="text-too-long"),
    Row("a tag of 5000 characters", started(idTag="T" * 5000), ANSWERED, PROPERTY, stores=1),
    Row("a tag of 300 wide characters", frame("Authorize", {"idTag": "\u1e9e" * 300}), ANSWERED, PROPERTY),
    Row("an info of 80 characters", status(info="i" * 80), ANSWERED, PROPERTY, stores=1),
    Row("a vendor of 29 characters", frame("BootNotification", {"chargePointVendor": "V" * 29}), ANSWERED, OCCURRENCE),
    Row(
        "a security event of 300 characters",
        frame("SecurityEventNotification", {"type": "T" * 300, "timestamp": "2026-01-01T00:00:00Z"}),
        ANSWERED,
        PROPERTY,
        stores=1,
    ),
    Row(
        "a message id of 60 characters",
        frame("DataTransfer", {"vendorId": "V", "messageId": "m" * 60}),
        ANSWERED,
        PROPERTY,
    ),
]

OUT_OF_RANGE = [
    # The schema takes any integer; that there is no such connector is a matter of the value.
    Row("connector -1", status(connectorId=-1), PROPERTY, deviation="message-refused"),
    Row("connector 100000", values(connectorId=100_000), PROPERTY),
    Row("connector 2^63", started(connectorId=2**63), PROPERTY),
    # Beyond 64 bits a number is no integer any more.
    Row("connector 10^30", status(connectorId=10**30), TYPE),
    Row("connector -10^30", values(connectorId=-(10**30)), TYPE),
    Row("transaction -1", stopped(transactionId=-1), ANSWERED, stores=1),
    Row("transaction 0", values(transactionId=0), ANSWERED, stores=1),
    Row("transaction 2^63-1", values(transactionId=2**63 - 1), ANSWERED, stores=1),
    Row("transaction 2^64-1", values(transactionId=2**64 - 1), ANSWERED, stores=1),
    Row("transaction -2^63", values(transactionId=-(2**63)), ANSWERED, stores=1),
    Row("transaction 10^30", stopped(transactionId=10**30), ANSWERED, TYPE, stores=1),
    Row("meter -1", stopped(meterStop=-1), ANSWERED, stores=1),
    Row("meter 2^64-1", started(meterStart=2**64 - 1), ANSWERED, stores=1),
    Row("meter 10^30", started(meterStart=10**30), ANSWERED, TYPE, stores=1),
    Row("reservation -1", started(reservationId=-1), ANSWERED, stores=1),
    Row("reservation 2^40", started(reservationId=2**40), ANSWERED, stores=1, deviation="reservation-unknown"),
    *(
        Row(f"value {each}", values({"value": each}), ANSWERED, stores=1)
        for each in ("1e30", "-1e30", "1e-400", "1e99999", "9" * 500, "NaN", "Infinity", "1,5", "0x10", "a\x00b")
    ),
]

EMPTY_LISTS = [
    Row("no readings", values(meterValue=[]), ANSWERED, OCCURRENCE, deviation="empty-list"),
    Row(
        "no samples",
        values(meterValue=[{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": []}]),
        ANSWERED,
        OCCURRENCE,
    ),
    Row("no transaction data", stopped(transactionData=[]), ANSWERED, stores=1),
]

BAD_TIMES = [
    *(
        Row(f"time {each!r}", started(timestamp=each), ANSWERED, PROPERTY, stores=1, deviation="time-format")
        for each in ("yesterday", "", "0", "2026-01-01T10:00:00", "2026-01-01T10:00:00+02", "2026-01-01 10:00", "\x00")
    ),
    Row(
        "no such day",
        started(timestamp="2022-02-29T10:00:00Z"),
        ANSWERED,
        PROPERTY,
        stores=1,
        deviation="time-unreadable",
    ),
    *(
        Row(f"time {each!r}", started(timestamp=each), ANSWERED, stores=1)
        for each in (
            "0001-01-01T00:00:00+14:00",
            "1970-01-01T00:00:10Z",
            "2016-12-31T23:59:60Z",
            "9999-12-31T23:59:59-14:00",
        )
    ),
]

HIDDEN = [
    # A schema lets control characters pass; no database does, in neither mode.
    Row("an escaped NUL in a tag", started(idTag="a\x00b"), ANSWERED, stores=1, deviation="control-characters"),
    Row("escaped control characters in an info", status(info="a\x10\x0e\x7f"), ANSWERED, stores=1),
    Row("an escaped NUL in an unknown action", frame("A\x00"), NOT_IMPLEMENTED),
    Row("an escaped NUL in an unknown member", status(**{"a\x00": "\x00"}), ANSWERED, FORMATION, stores=1),
]

REPEATED = [
    Row("the same message again", status(), ANSWERED, before=status(), stores=1, deviation="message-repeated"),
    # Stations that number from 1 after each boot mean another message (FR-09).
    Row("the same id, another payload", status(status="Faulted"), ANSWERED, before=status(), stores=2),
    Row("the same id, another action", HEARTBEAT, ANSWERED, before=status(), stores=1),
]

TO_NOBODY = [
    *(
        Row(f"to nobody: {each[:40]}", each, SILENCE)
        for each in (
            '[3,"nobody",{}]',
            '[3,"nobody",{"status":"Accepted"}]',
            '[3,"nobody"]',
            '[3,"nobody",null]',
            '[3,"nobody",[]]',
            '[3,"nobody",{},{}]',
            '[3,"nobody",{"configurationKey":[]',
            "[3,17,{}]",
            "[3,null,{}]",
            "[3]",
            f'[3,"{"n" * 300}",{{}}]',
            '[3,"\\ud800",{}]',
            f'[3,"nobody",{{"a":{"[" * 900}{"]" * 900}}}]',
            '[4,"nobody","GenericError","",{}]',
            '[4,"nobody","GenericError"]',
            '[4,"nobody"]',
            '[4,"nobody",{"code":1},[],"x"]',
            '[4,null,"InternalError","",{}]',
            '[4,"-1","FormationViolation","",{}]',
            '[4,"nobody","GenericError","',
        )
    ),
    Row("to nobody, noted", '[3,"nobody",{}]', SILENCE, deviation="answer-to-nobody"),
]

ANSWERS = [
    Row("a proper answer", '[3,"%id",{"status":"Accepted"}]', SILENCE, call="waiting", ends="answered"),
    Row("an answer that is cut", '[3,"%id",{"status":"Acce', SILENCE, call="waiting", ends="error"),
    Row("an answer without payload", '[3,"%id"]', SILENCE, call="waiting", ends="error"),
    Row("an answer that is a list", '[3,"%id",["Accepted"]]', SILENCE, call="waiting", ends="error"),
    Row("an answer that breaks its schema", '[3,"%id",{"status":{}}]', SILENCE, call="waiting", ends="error"),
    Row(
        "an answer with NUL",
        '[3,"%id",{"status":"Acc\\u0000epted"}]',
        SILENCE,
        call="waiting",
        ends="answered",
        ends_strictly="error",
    ),
    Row(
        "an answer in other case",
        '[3,"%id",{"Status":"accepted"}]',
        SILENCE,
        call="waiting",
        ends="answered",
        ends_strictly="error",
    ),
    Row("an error", '[4,"%id","NotSupported","",{}]', SILENCE, call="waiting", ends="error"),
    Row("an error of four elements", '[4,"%id","NotSupported",""]', SILENCE, call="waiting", ends="error"),
    Row("an error with NUL", '[4,"%id","a\\u0000","b\\u0000",{"c":"\\u0000"}]', SILENCE, call="waiting", ends="error"),
    Row("an error that is cut", '[4,"%id","NotSupp', SILENCE, call="waiting", ends="error"),
    Row(
        "a late answer",
        '[3,"%id",{"status":"Accepted"}]',
        SILENCE,
        call="over",
        ends="timeout",
        deviation="late-answer",
    ),
    Row("a late error", '[4,"%id","NotSupported","",{}]', SILENCE, call="over", ends="timeout"),
    Row("a late answer that is cut", '[3,"%id",{"st', SILENCE, call="over", ends="timeout"),
]

VOLUME = [
    Row("1 MB of rubbish", "x" * MEGABYTE, SILENCE),
    Row("1 MB of quotes", '"' * MEGABYTE, SILENCE),
    Row("1 MB of rubbish behind a header", '[2,"m1","MeterValues",' + "x" * MEGABYTE, FORMATION),
    Row("1 MB of backslashes behind a header", '[2,"m1","MeterValues",{"' + "\\" * MEGABYTE, FORMATION),
    Row("1 MB of opening brackets", deep("["), SILENCE),
    Row("1 MB of lists in a payload", '[2,"m1","MeterValues",' + deep("["), FORMATION),
    Row("1 MB of objects in a payload", '[2,"m1","MeterValues",' + deep('{"meterValue":'), FORMATION),
    Row(
        "1 MB of lists that end",
        '[2,"m1","MeterValues",{"connectorId":1,"meterValue":' + "[" * 900 + "]" * 900 + "}]",
        TYPE,
    ),
    Row("1 MB of text", status(info="x" * MEGABYTE), ANSWERED, PROPERTY, stores=1),
    Row("1 MB of members", status(**{f"x{number}": number for number in range(60_000)}), ANSWERED, FORMATION, stores=1),
    Row(
        "1 MB of samples",
        values(meterValue=[{"sampledValue": [{"value": 1}] * 60_000}]),
        ANSWERED,
        OCCURRENCE,
        stores=1,
    ),
]

TRANSPORT = [
    Row("a binary frame", HEARTBEAT, ANSWERED, binary=True),
    Row("a binary frame that breaks its schema", status(status="absent"), OCCURRENCE, binary=True),
    Row("rubbish in a binary frame", bytes(range(256)), SILENCE, binary=True),
    Row("an empty binary frame", b"", SILENCE, binary=True),
    Row("a frame in fragments", status(info="Straße"), ANSWERED, stores=1, fragments=3),
    Row("a binary frame in fragments", HEARTBEAT, ANSWERED, binary=True, fragments=5),
    Row("rubbish in fragments", "rubbish", SILENCE, fragments=1),
    Row("a frame that is cut, in fragments", '[2,"m1","Heartbeat",{', FORMATION, fragments=4),
]

TABLE = (
    NO_JSON
    + NO_FRAME
    + IDS
    + ACTIONS
    + PAYLOADS
    + MISSING
    + WRONG_TYPES
    + UNKNOWN_MEMBERS
    + UNKNOWN_WORDS
    + TOO_LONG
    + OUT_OF_RANGE
    + EMPTY_LISTS
    + BAD_TIMES
    + HIDDEN
    + REPEATED
    + TO_NOBODY
    + ANSWERS
    + VOLUME
    + TRANSPORT
)


@pytest.mark.parametrize("mode", ["tolerant", "strict"])
async def test_a_bad_frame_gets_its_answer_and_harms_nobody(
    mode: str, server: OcppServer, url: str, query: Query, settings: Settings, subtests: Subtests
) -> None:
    settings.OCPP_VALIDATION = mode
    async with Station(url, "neighbour", subprotocols=("ocpp1.6",)) as neighbour:
        await neighbour.call("StartTransaction", json.loads(started())[3])
        for number, row in enumerate(TABLE):
            with subtests.test(row.name):
                async with Station(url, f"row-{number}", subprotocols=("ocpp1.6",)) as station:
                    await check(row, mode, station, query, settings)
                assert "currentTime" in await neighbour.call("Heartbeat")
        assert await query(lambda: history("neighbour")) == [0, 0, 0, 1]
        assert await query(lambda: Transaction.objects.get(chargepoint="neighbour").is_open)
