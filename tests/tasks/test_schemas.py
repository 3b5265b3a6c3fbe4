import json
from collections.abc import Iterator

import pytest

from chargers.choices import OcppVersion
from tasks import schemas
from tasks.actions import ACTIONS, BY_NAME, Action
from tasks.schemas import InvalidBody, from_wire, in_order, openapi, snake, to_wire

V16, V201, _ = OcppVersion


KINDS: tuple[schemas.Kind, ...] = ("Request", "Response")


def objects(schema: schemas.Schema) -> Iterator[set[str]]:
    """Find every object of a schema, as the set of its members' names."""
    members = schema.get("properties", {})
    if members:
        yield set(members)
    for inner in (*members.values(), schema.get("items")):
        if isinstance(inner, dict):
            yield from objects(inner)


def spelt(names: set[str]) -> set[str]:
    return {snake(name) for name in names}


@pytest.mark.parametrize(
    ("wire", "rest"),
    [
        ("idTag", "id_tag"),
        ("connectorId", "connector_id"),
        ("evseId", "evse_id"),
        ("chargePointVendor", "charge_point_vendor"),
        ("iccid", "iccid"),
        ("meterValue", "meter_value"),
        ("customData", "custom_data"),
        ("iso15118SchemaVersion", "iso15118_schema_version"),
        ("responderURL", "responder_url"),
        ("limit_L2", "limit_l2"),
    ],
)
def test_a_member_is_spelt_in_snake_case(wire: str, rest: str) -> None:
    assert snake(wire) == rest


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("kind", KINDS)
def test_every_schema_compiles_and_is_documented_member_by_member(version: OcppVersion, kind: schemas.Kind) -> None:
    for action in schemas.actions(version):
        official = schemas.schema(version, action, kind)
        documented = openapi(official)
        assert schemas.validator(version, action, kind).is_valid("no object") is False
        assert [spelt(names) for names in objects(official)] == list(objects(documented))
        assert all(len(spelt(names)) == len(names) for names in objects(official)), action
        assert "$ref" not in json.dumps(documented)


@pytest.mark.parametrize("version", OcppVersion)
def test_every_version_has_its_actions(version: OcppVersion) -> None:
    assert {"BootNotification", "Reset", "DataTransfer"} <= schemas.actions(version)
    assert ("MeterValuesResponse" in schemas.actions(version)) is False


def test_every_action_of_the_table_has_its_schemas_and_its_own_path() -> None:
    assert all(row.name in schemas.actions(row.version) for row in ACTIONS)
    assert len(BY_NAME) == len(ACTIONS)
    paths = [(row.version, path) for row in ACTIONS for path in (row.path, *row.path_aliases)]
    assert len(set(paths)) == len(paths)


def test_a_transaction_may_have_any_number_and_connector_0_is_the_station() -> None:
    for number in (-1, 10**12):
        assert to_wire(V16, "RemoteStopTransaction", {"transaction_id": number}) == {"transactionId": number}
    asked = {"connector_id": 0, "duration": 2**31 - 1}
    assert to_wire(V16, "GetCompositeSchedule", asked) == {"connectorId": 0, "duration": 2**31 - 1}


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("UnlockConnector", {"evse_id": 0, "connector_id": 1}, "evse_id"),
        ("UnlockConnector", {"evse_id": 1, "connector_id": 0}, "connector_id"),
        ("GetCompositeSchedule", {"evse_id": -1, "duration": 1}, "evse_id"),
    ],
)
def test_an_evse_counts_from_1_where_one_is_meant(action: str, body: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        to_wire(V201, action, body)
    assert refused.value.fields.keys() == {field}


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.version} {row.name}")
def test_the_other_names_of_fields_are_free_and_lead_somewhere(row: Action) -> None:
    fields = {snake(name) for name in schemas.schema(row.version, row.name, "Request")["properties"]}
    assert set(row.renames.values()) <= fields
    assert not set(row.renames) & fields


def test_a_body_becomes_the_request_in_the_order_of_the_schema() -> None:
    body = {"value": "300", "key": "HeartbeatInterval"}
    assert json.dumps(to_wire(V16, "ChangeConfiguration", body)) == '{"key": "HeartbeatInterval", "value": "300"}'


def test_nested_members_are_spelt_and_ordered_too() -> None:
    body = {
        "evse": {"connector_id": 1, "id": 2},
        "requested_message": "StatusNotification",
    }
    assert json.dumps(to_wire(V201, "TriggerMessage", body)) == (
        '{"evse": {"id": 2, "connectorId": 1}, "requestedMessage": "StatusNotification"}'
    )


@pytest.mark.parametrize(
    ("action", "body", "fields"),
    [
        ("Reset", {}, {"type"}),
        ("Reset", {"type": "Gentle"}, {"type"}),
        ("Reset", {"type": 1}, {"type"}),
        ("Reset", {"type": "Soft", "kind": "x"}, {"kind"}),
        ("ChangeConfiguration", {"key": "x" * 51}, {"key", "value"}),
        ("UnlockConnector", {"connectorId": 1}, {"connectorId"}),
        ("UnlockConnector", {"connector_id": True}, {"connector_id"}),
        ("GetConfiguration", {"key": [1]}, {"key.0"}),
        ("GetConfiguration", {"key": "all"}, {"key"}),
        ("ReserveNow", {"expiry_date": "soon"}, {"expiry_date", "connector_id", "id_tag", "reservation_id"}),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(action: str, body: dict[str, object], fields: set[str]) -> None:
    with pytest.raises(InvalidBody) as refused:
        to_wire(V16, action, body)
    assert refused.value.fields.keys() == fields
    assert all(field in str(refused.value) for field in fields)


def test_a_missing_member_is_named_by_its_field_alone() -> None:
    with pytest.raises(InvalidBody) as refused:
        schemas.to_wire(OcppVersion.V16, "UnlockConnector", {})
    assert refused.value.fields == {"connector_id": ["Is required."]}


def test_an_answer_is_spelt_the_rest_way_whatever_it_holds() -> None:
    answer = {"configurationKey": [{"key": "A", "readonly": True}], "custom_thing": {"innerValue": None}, "x": [1, "y"]}
    assert from_wire(answer) == {
        "configuration_key": [{"key": "A", "readonly": True}],
        "custom_thing": {"inner_value": None},
        "x": [1, "y"],
    }


def test_what_a_database_has_shuffled_is_put_in_order_again() -> None:
    shuffled = {
        "customData": {"vendorId": "v", "b": 1, "a": 2},
        "evse": {"connectorId": 1, "id": 2},
        "type": "Immediate",
    }
    ordered = in_order(V201, "TriggerMessage", {**shuffled, "requestedMessage": "Heartbeat"})
    assert list(ordered) == ["customData", "evse", "requestedMessage", "type"]
    assert list(ordered["evse"]) == ["id", "connectorId"]
    assert list(ordered["customData"]) == ["vendorId", "b", "a"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T14:00:00.123456+02:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T00:30:00-01:00", "2026-03-01T01:30:00Z"),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_a_time_goes_out_in_utc_and_whole_seconds(given: str, sent: str) -> None:
    assert to_wire(V16, "GetDiagnostics", {"location": "ftp://x", "start_time": given})["startTime"] == sent


@pytest.mark.parametrize("given", ["2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "noon"])
def test_a_time_that_is_none_is_refused_by_name(given: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        to_wire(V16, "GetDiagnostics", {"location": "ftp://x", "start_time": given})
    assert refused.value.fields.keys() == {"start_time"}


def test_a_member_that_is_filled_later_may_be_no_url_yet() -> None:
    body = {"location": "acme/2.0.bin", "retrieve_date": "2026-03-01T12:00:00Z"}
    assert to_wire(V16, "UpdateFirmware", body, ("location",))["location"] == "acme/2.0.bin"
    with pytest.raises(InvalidBody) as refused:
        to_wire(V16, "UpdateFirmware", {**body, "location": 7}, ("location",))
    assert refused.value.fields.keys() == {"location"}


def test_a_reason_against_a_url_does_not_repeat_its_password() -> None:
    log = {"remote_location": "ftp://user:hunter2@host/" + "x" * 500}
    with pytest.raises(InvalidBody) as refused:
        to_wire(V16, "GetLog", {"log_type": "SecurityLog", "request_id": 1, "log": log})
    assert refused.value.fields.keys() == {"log.remote_location"}
    assert "hunter2" not in str(refused.value)
