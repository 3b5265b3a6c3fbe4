"""What the examples of requests ask for: what can be sent as it is, is sensible, and does no harm.

Those of commands are made from the official schemas for the most part; what these do not tell stands here.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from chargers import pem, representation
from chargers.choices import OcppVersion
from tasks.action import Action, Payload
from tasks.schemas import openapi, schema

# A root, and what it has signed: the certificate of a station, and that of a maker of firmware who has signed a file.
# All are valid until 2126, and nobody has the keys any more.
ROOT = """\
-----BEGIN CERTIFICATE-----
MIIBXTCCAQOgAwIBAgIIYnb89O/J85wwCgYIKoZIzj0EAwIwKTEQMA4GA1UECgwH
RXhhbXBsZTEVMBMGA1UEAwwMRXhhbXBsZSByb290MCAXDTI2MDEwMTAwMDAwMFoY
DzIxMjYwMTAxMDAwMDAwWjApMRAwDgYDVQQKDAdFeGFtcGxlMRUwEwYDVQQDDAxF
eGFtcGxlIHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATd97/nmpeMN2nX
Panv2M7xGVeRI7t8hyoklXHKc0zCAJKn56k7EZiRgdxpfIVzmZBfh6nnZbwtAPFb
f1KbFbRjoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIEZN
Y2HzMrN/t+vUwKL5W1UEZSKnHN/Zt9Wk8RMsvWeZAiEAsRgP88O8+zseMCOoFIoF
ENpyp5HDzmTj7apuY/QsF7Q=
-----END CERTIFICATE-----
"""
OWN = """\
-----BEGIN CERTIFICATE-----
MIIBUzCB+aADAgECAgg2O/iKe/WC2DAKBggqhkjOPQQDAjApMRAwDgYDVQQKDAdF
eGFtcGxlMRUwEwYDVQQDDAxFeGFtcGxlIHJvb3QwIBcNMjYwMTAxMDAwMDAwWhgP
MjEyNjAxMDEwMDAwMDBaMCIxEDAOBgNVBAoMB0V4YW1wbGUxDjAMBgNVBAMMBUNQ
MDAxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExtX7aQt8WYOR2hiFyICAl83+
8JDxsjGxTlSfikGjh5Xf7db7bb7imgajTSLvw3rJi3aGBifXWmtawII/196IXqMQ
MA4wDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEAqDTLnAufcC/RLCb8
PBdA51y0S0jbfa6KI4utWMQoWTACIQD5m6eSPBajA2aO5MOdTag/wUHi/8Xlr2zY
STIhAVPv3A==
-----END CERTIFICATE-----
"""
MAKER = """\
-----BEGIN CERTIFICATE-----
MIIBWjCCAQGgAwIBAgIIGGEB09CL08gwCgYIKoZIzj0EAwIwKTEQMA4GA1UECgwH
RXhhbXBsZTEVMBMGA1UEAwwMRXhhbXBsZSByb290MCAXDTI2MDEwMTAwMDAwMFoY
DzIxMjYwMTAxMDAwMDAwWjAqMRAwDgYDVQQKDAdFeGFtcGxlMRYwFAYDVQQDDA1B
Y21lIGZpcm13YXJlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEl1l1kk1Dz0UI
w6An47NO10cpvejIfo9JDD/mR+Wwb9dNXMurPs2dY3DdqyjR+4ZBX59LeCwj7A7B
TXnJZsszAKMQMA4wDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNHADBEAiBmnV7I
X8XPFfzPUI6g9c+MelOtpdTDthJ6rzk8yicmrAIgdk5CDowcb3FMvjGkRKwZbudS
71oIgpYtUY/YLs2RuoE=
-----END CERTIFICATE-----
"""
SIGNATURE = "MEQCIFOv5Ay5TyqqFOcsTziPUN+2jJULYZwgbPKotST11jBHAiBInaXRCtwCn4QZyy1f3qioP6p6AdKaa3XaJycUxwqTsw=="

STATION = "CP001"
TAG = "04A1B2C3D4E5F6"

# The bodies of requests for resources, by the noun and the action of their views.
RESOURCES: dict[tuple[str, str], Payload] = {
    ("a station", "create"): {"chargepoint_id": STATION},
    ("a station", "partial_update"): {"registration_status": "Accepted"},
    ("a station's key", "create"): {"force": False},
    ("a connector", "partial_update"): {"standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE"},
    ("an id tag", "create"): {"idToken": TAG, "friendly_name": "Blue card"},
    ("an id tag", "partial_update"): {"revoked": False},
    ("a local list", "partial_update"): {"automatic": True},
    ("a location", "create"): {
        "name": "Harbour car park",
        "address": "Harbour Street 1",
        "city": "Piraeus",
        "postal_code": "18531",
        "country": "GRC",
        "coordinates": {"latitude": "37.942000", "longitude": "23.646500"},
        "parking_type": "PARKING_LOT",
        "time_zone": "Europe/Athens",
    },
    ("a location", "partial_update"): {"name": "Harbour car park, west"},
    ("a charging profile", "create"): {
        "stack_level": 0,
        "chargingprofile_purpose": "TxDefaultProfile",
        "chargingprofile_kind": "Recurring",
        "recurrency_kind": "Daily",
        "start_schedule": "2026-01-01T00:00:00Z",
        "duration": 86400,
        "charging_rate_unit": "A",
        "chargingschedule_period": [{"start_period": 0, "limit": 16}, {"start_period": 64800, "limit": 8}],
    },
    ("a charging profile", "partial_update"): {"stack_level": 1},
    ("a charging profile of OCPP 2.0.1", "create"): {
        "stack_level": 0,
        "chargingprofile_purpose": "TxDefaultProfile",
        "chargingprofile_kind": "Relative",
        "charging_schedule": [
            {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16}]}
        ],
    },
    ("a charging profile of OCPP 2.0.1", "partial_update"): {"stack_level": 1},
    ("a user", "create"): {"username": "operator1", "password": "choose-a-better-one", "role": "operators"},
    ("a user", "partial_update"): {"role": "viewers"},
}

# What members say wherever they are.
MEMBERS: Payload = {
    "certificate": ROOT,
    "certificate_chain": OWN + ROOT,
    "charging_profile_kind": "Relative",
    "charging_profile_purpose": "TxDefaultProfile",
    "connector_id": 1,
    "duration": 3600,
    "id_tag": TAG,
    "key": "HeartbeatInterval",
    "limit": 16,
    "requested_message": "StatusNotification",
    "signature": SIGNATURE,
    "signing_certificate": MAKER,
    "stack_level": 0,
    "start_period": 0,
    "value": "300",
    "vendor_id": "com.example",
}
_named = pem.hash_data(pem.read_certificate(ROOT))
# What whole requests say besides.
REQUESTS: dict[str, Payload] = {
    "ChangeAvailability": {"type": "Operative"},
    "ClearChargingProfile": {"charging_profile_purpose": "TxDefaultProfile"},
    "DataTransfer": {"message_id": "Greeting", "data": "hello"},
    "DeleteCertificate": {
        "certificate_hash_data": {
            "hash_algorithm": _named.algorithm,
            "issuer_name_hash": _named.issuer_name_hash,
            "issuer_key_hash": _named.issuer_key_hash,
            "serial_number": _named.serial_number,
        }
    },
    "Reset": {"type": "Soft"},
    "SendLocalList": {"local_authorization_list": [{"id_tag": TAG, "id_tag_info": {"status": "Accepted"}}]},
}
# In place of those, where OCPP 2.x puts it in other words.
REQUESTS_2: dict[str, Payload] = {
    "ChangeAvailability": {"operational_status": "Operative", "evse": {"id": 1}},
    "ClearChargingProfile": {"charging_profile_criteria": {"charging_profile_purpose": "TxDefaultProfile"}},
    "Reset": {"type": "OnIdle"},
    "SendLocalList": {
        "local_authorization_list": [
            {"id_token": {"id_token": TAG, "type": "ISO14443"}, "id_token_info": {"status": "Accepted"}}
        ]
    },
    "CustomerInformation": {"report": True, "clear": False, "id_token": {"id_token": TAG, "type": "ISO14443"}},
    "SetNetworkProfile": {
        "configuration_slot": 1,
        "connection_data": {
            "ocpp_version": "OCPP20",
            "ocpp_transport": "JSON",
            "ocpp_csms_url": "wss://csms.example.com/ws/ocpp",
            "message_timeout": 30,
            "security_profile": 2,
            "ocpp_interface": "Wired0",
        },
    },
    "SetVariables": {
        "set_variable_data": [
            {
                "attribute_value": "60",
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "OfflineThreshold"},
            }
        ]
    },
    "GetVariables": {
        "get_variable_data": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}]
    },
    "TriggerMessage": {"requested_message": "StatusNotification", "evse": {"id": 1, "connector_id": 1}},
    "SetVariableMonitoring": {
        "set_monitoring_data": [
            {
                "value": 250,
                "type": "UpperThreshold",
                "severity": 4,
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "ACVoltage"},
            }
        ]
    },
}
# Shown although they may be left out, since most want them.
OFTEN_WANTED = frozenset({"connector_id", "cs_charging_profiles"})


def body(row: Action) -> Payload:
    """Make the body of a command, with members in the order of the schema and times of tomorrow."""
    request = openapi(schema(row.version, row.name, "Request"), row.fills)
    said = REQUESTS if row.version == OcppVersion.V16 else REQUESTS | REQUESTS_2
    told = {**_value(request), **said.get(row.name, {})}
    members = {name: told[name] for name in request.get("properties", ()) if name in told}
    return {"chargepoint_id": STATION, "sync": True, **members}


def _value(schema: dict[str, Any], name: str = "") -> Any:
    """Make up a value that fits a schema in REST's spelling, no larger than it must be."""
    if "enum" in schema:
        return MEMBERS[name] if MEMBERS.get(name) in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            shown = {*schema.get("required", ()), *OFTEN_WANTED}
            members = schema.get("properties", {})
            return {member: _value(members[member], member) for member in members if member in shown}
        case "array":
            return [_value(schema["items"], name)]
        case "integer":
            return MEMBERS.get(name, schema.get("minimum", 1))
        case "number":
            return MEMBERS.get(name, 1.0)
        case "boolean":
            return True
    if schema.get("format") == "date-time":
        return _tomorrow()
    return MEMBERS.get(name, "text")


def _tomorrow() -> str | None:
    return representation.time(datetime.combine(timezone.now().date() + timedelta(days=1), time(12), UTC))
