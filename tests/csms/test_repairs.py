"""Payloads that break their schema: mended, placed or refused, and never more than a database takes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint
from csms import repairs
from csms.errors import ErrorCode, RpcError
from csms.versions.base import Context, Version
from csms.versions.v16 import VERSION as V16
from csms.versions.v201 import VERSION as V201
from tasks import schemas
from tasks.schemas import Schema

Serve = Callable[[Version, str, Any], None]

VERSION = OcppVersion.V16
ODD_TEXTS = [
    "",
    " ",
    "null",
    "1",
    "-1",
    "0x00",
    "1e999",
    "9" * 400,
    "\x00",
    "a\x10\x0e",
    "\ud800",
    "é" * 300,
    "2026-01-01",
]
ODD_NUMBERS = [0, -1, 1.0, 1.5, 1e30, -1e30, 2**31, 2**63 - 1, 2**64 - 1, 10**18]

# What handlers can do something about.
PLACEABLE = {"MaxLength", "Enum", "MinItems", "MaxItems", "Format", "MultipleOf"}

odd = st.sampled_from([None, True, False, [], {}, [{}], {"value": None}, [[1]], *ODD_TEXTS, *ODD_NUMBERS])
json_values = st.recursive(
    odd | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def near(schema: Schema) -> st.SearchStrategy[Any]:
    """Make values that a schema asks for, or nearly so."""
    return st.integers(0, 9).flatmap(lambda odds: json_values if odds == 9 else fitting(schema))


def fitting(schema: Schema) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "object":
            return members(schema)
        case "array":
            return st.lists(near(schema.get("items", {})), max_size=3)
        case "integer" | "number":
            return st.integers(0, 3) | st.sampled_from(ODD_NUMBERS)
        case "boolean":
            return st.booleans()
        case "string":
            words = schema.get("enum", ["2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "12.5", "TAG1"])
            return st.sampled_from(words) | st.sampled_from(ODD_TEXTS)
        case _:
            return json_values


@st.composite
def members(draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
    spell = draw(st.sampled_from([str, str, str, str.upper, str.title]))
    found = {}
    for name, each in schema.get("properties", {}).items():
        if draw(st.integers(0, 9)) < (9 if name in schema.get("required", []) else 5):
            found[spell(name)] = draw(near(each))
    return found | draw(st.dictionaries(st.text(max_size=8), json_values, max_size=1))


EXTREME_NUMBERS = [-1, 0.5, 1.0, 2**31, -(2**31) - 1, 2**63, 1e30, -1e30]
EXTREME_TEXTS = ["", "\x00\ud800", "9" * 400, "1e999", "é" * 5000, "0001-01-01T00:00:00Z"]


def plain(schema: Schema) -> Any:
    """Make the value that a schema asks for, with every member and one item a list."""
    match schema.get("type"):
        case "object":
            return {name: plain(each) for name, each in schema.get("properties", {}).items()}
        case "array":
            return [plain(schema.get("items", {}))]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            text = "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "1"
            return schema.get("enum", [text])[0]
        case _:
            return "1"


def one_extreme(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Make plain values with one member, which is named, at one extreme; the words of a list are extremes too."""
    match schema.get("type"):
        case "object":
            whole = plain(schema)
            for name, each in schema.get("properties", {}).items():
                for path, value in one_extreme(each):
                    yield f"{name}.{path}".removesuffix("."), {**whole, name: value}
        case "array":
            for path, value in one_extreme(schema.get("items", {})):
                yield path, [value]
        case "integer" | "number":
            yield from (("", value) for value in EXTREME_NUMBERS)
        case "boolean":
            yield "", False
        case _:
            yield from (("", value) for value in [*schema.get("enum", ()), *EXTREME_TEXTS])


def mend(
    payload: Any, action: str, kind: schemas.Kind, optional: Any = ()
) -> tuple[dict[str, Any], list[repairs.Note]]:
    return repairs.mend(payload, schemas.schema(VERSION, action, kind), optional)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        *((action, "Request") for action in V16.handlers),
        *((action, "Response") for action in sorted(schemas.actions(VERSION))),
    ],
)
def test_a_mended_payload_breaks_its_schema_only_where_handlers_know_what_to_do(
    action: str, kind: schemas.Kind
) -> None:
    validator = schemas.validator(VERSION, action, kind)

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(near(schemas.schema(VERSION, action, kind)))
    def check(payload: Any) -> None:
        try:
            mended, notes = mend(payload, action, kind)
        except RpcError:
            assert not schemas.validator(VERSION, action, kind).is_valid(repairs.clean_json(payload))
            return
        for error in validator.iter_errors(mended):
            violation = type(error.kind).__name__
            assert violation in PLACEABLE or isinstance(error.instance, float), error
            assert notes
        # Goes into the database, on the wire and into the log.
        assert orjson.dumps(mended)
        for each in (mended, [note.example for note in notes]):
            assert repairs.clean_json(each) == each

    check()


every_message = pytest.mark.parametrize(
    ("version", "action"),
    [(version, action) for version in (V16, V201) for action in version.handlers],
    ids=lambda each: each if isinstance(each, str) else each.name.value,
)


@pytest.fixture
def serve(db: None) -> Serve:
    """Serve a message of a station as the server does, but for its connection; what it stores is rolled back."""
    station = ChargePoint.objects.create(chargepoint_id="CP1", chargepoint_serial_number="1")
    now = datetime.now(UTC)
    served: set[str] = set()

    def serve_once(version: Version, action: str, payload: Any) -> None:
        handler, schema = version.handlers[action], schemas.schema(version.name, action, "Request")
        validator = schemas.validator(version.name, action, "Request")
        context = Context(station.pk, version.name, now)
        try:
            if repairs.clean_json(payload) != payload or not validator.is_valid(payload):
                payload, _ = repairs.mend(payload, schema, handler.optional)
            value = handler.read(payload, context)
        except RpcError:
            return
        if repr(value) in served:
            return
        served.add(repr(value))
        result = None
        if handler.service is not None:
            with transaction.atomic():
                # Twice in one batch, as two stations that send the same would have it.
                (result, repeated) = handler.service([value, value], Changes())
                assert type(result) is type(repeated)
                transaction.set_rollback(True)
        answer = handler.answer(result, context)
        assert schemas.validator(version.name, action, "Response").is_valid(answer)

    return serve_once


@every_message
def test_each_member_may_be_at_any_extreme(version: Version, action: str, serve: Serve) -> None:
    """A value that no database takes must be refused as the station's error or be stored as something else."""
    failures = {}
    for member, payload in one_extreme(schemas.schema(version.name, action, "Request")):
        try:
            serve(version, action, payload)
        except Exception as error:
            failures.setdefault(member, error)
    assert not failures


@every_message
def test_what_passes_is_stored_whatever_its_values(version: Version, action: str, serve: Serve) -> None:
    @settings(
        max_examples=30,
        deadline=None,
        # What is served leaves nothing behind.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(near(schemas.schema(version.name, action, "Request")))
    def check(payload: Any) -> None:
        serve(version, action, payload)

    check()


def test_a_time_in_words_is_noted_and_left_to_whoever_reads_it() -> None:
    for text in ("now", "2026-01-01T10:00:00", "2026-01-01T10:00:00+02", "2026-01-01 10:00:00Z"):
        mended, notes = mend(
            {"idTag": "A", "timestamp": text}, "StopTransaction", "Request", ("transactionId", "meterStop")
        )
        assert mended["timestamp"] == text
        assert "time-format" in [note.kind for note in notes]


SAMPLE = {"value": "1", "unit": "Wh"}
READING = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [SAMPLE]}


@pytest.mark.parametrize(
    ("action", "payload", "mended", "kinds"),
    [
        ("StopTransaction", {"Reason": "local "}, {"reason": "Local"}, ["member-in-other-case", "word-in-other-case"]),
        ("StopTransaction", {"transactionId": "12"}, {"transactionId": 12}, ["text-for-number"]),
        ("StopTransaction", {"transactionId": ""}, {}, ["empty-member"]),
        ("StopTransaction", {"reason": ""}, {}, ["empty-member"]),
        ("StopTransaction", {"meterStop": 5.0}, {"meterStop": 5}, ["fraction-for-integer"]),
        ("StopTransaction", {"meterStop": "5,5"}, {"meterStop": 5.5}, ["text-for-number", "fraction-for-integer"]),
        ("StopTransaction", {"idTag": 1234}, {"idTag": "1234"}, ["value-for-text"]),
        ("StopTransaction", {"idTag": "A\x10"}, {"idTag": "A"}, ["control-characters"]),
        ("StopTransaction", {"idTag": None}, {}, ["empty-member"]),
        ("StopTransaction", {"connectorId": 3}, {}, ["extra-member"]),
        ("StopTransaction", {"transactionData": []}, {"transactionData": []}, []),
        ("MeterValues", {"meterValue": READING}, {"meterValue": [READING]}, ["object-for-list"]),
        ("MeterValues", {"meterValue": []}, {"meterValue": []}, ["empty-list"]),
        (
            "MeterValues",
            {"meterValue": [{**READING, "sampledValue": {**SAMPLE, "value": 10}}]},
            {"meterValue": [{**READING, "sampledValue": [{**SAMPLE, "value": "10"}]}]},
            ["object-for-list", "value-for-text"],
        ),
        (
            "MeterValues",
            {"meterValue": [{**READING, "sampledValue": [{**SAMPLE, "value": {"WD": "OCMF"}}]}]},
            {"meterValue": [{**READING, "sampledValue": [{**SAMPLE, "value": '{"WD":"OCMF"}'}]}]},
            ["value-for-text"],
        ),
        (
            "StatusNotification",
            [{"status": "AVAILABLE"}],
            {"status": "Available"},
            ["list-for-object", "word-in-other-case"],
        ),
    ],
)
def test_what_has_one_meaning_only_is_mended(
    action: str, payload: Any, mended: dict[str, Any], kinds: list[str]
) -> None:
    optional = schemas.schema(VERSION, action, "Request")["required"]
    found, notes = mend(payload, action, "Request", optional)
    assert found == mended
    assert [note.kind for note in notes if note.kind != "member-missing"] == kinds


@pytest.mark.parametrize("payload", [[], "", 0, False, "x", [1, 2]])
def test_a_heartbeat_is_one_whatever_it_carries(payload: Any) -> None:
    assert mend(payload, "Heartbeat", "Request") == ({}, [])


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("StatusNotification", [], ErrorCode.FORMAT_VIOLATION),
        ("StatusNotification", "", ErrorCode.FORMAT_VIOLATION),
        ("StatusNotification", {}, ErrorCode.OCCURRENCE_CONSTRAINT),
        # What is missing is said first.
        ("StatusNotification", {"connectorId": "one", "status": "Available"}, ErrorCode.OCCURRENCE_CONSTRAINT),
        (
            "StatusNotification",
            {"connectorId": "one", "status": "Available", "errorCode": "NoError"},
            ErrorCode.TYPE_CONSTRAINT,
        ),
        ("StatusNotification", {"connectorId": 1, "status": {}, "errorCode": "NoError"}, ErrorCode.TYPE_CONSTRAINT),
        ("Authorize", {"idTag": {}}, ErrorCode.TYPE_CONSTRAINT),
        ("MeterValues", {"connectorId": True, "meterValue": []}, ErrorCode.TYPE_CONSTRAINT),
        ("MeterValues", {"connectorId": 1, "meterValue": "x"}, ErrorCode.TYPE_CONSTRAINT),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(action: str, payload: Any, code: ErrorCode) -> None:
    with pytest.raises(RpcError) as caught:
        mend(payload, action, "Request")
    assert caught.value.code == code


def test_json_of_any_shape_is_cleaned_to_what_a_database_takes() -> None:
    deep: Any = "\x00"
    for _ in range(900):
        deep = [deep]
    cleaned = repairs.clean_json({"a\x00": ["\ud800b", float("inf"), 1], "deep": deep})
    assert cleaned["a"] == ["b", None, 1]
    assert "\\u0000" not in json.dumps(cleaned)


def test_a_list_that_breaks_its_rule_a_thousand_times_is_noted_a_few_times() -> None:
    readings = [{"timestamp": "x", "sampledValue": [{"value": 1, "unit": "?"}]}] * 1000
    mended, notes = mend({"connectorId": 1, "meterValue": readings}, "MeterValues", "Request")
    assert len(mended["meterValue"]) == 1000
    assert len(notes) == repairs.MAX_NOTES


@pytest.mark.parametrize(("length", "kept"), [(21, 21), (1000, 1000), (1001, 1000), (4_000_000, 1000)])
def test_a_text_that_is_absurdly_long_is_cut(length: int, kept: int) -> None:
    vendor = "v" * length
    mended, notes = mend({"chargePointVendor": vendor, "chargePointModel": "m"}, "BootNotification", "Request")
    assert mended["chargePointVendor"] == "v" * kept
    assert [note.kind for note in notes] == ["text-too-long"]


def test_a_word_that_is_absurdly_long_is_cut() -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "s" * 5000}
    mended, _ = mend(payload, "StatusNotification", "Request")
    assert mended["status"] == "s" * 1000
