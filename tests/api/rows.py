"""Rows for tests, each with no more said than the test cares for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from chargers.choices import OcppVersion
from chargers.models import (
    ChargePoint,
    ChargingProfile,
    CompositeSchedule,
    Connector,
    CsmsNode,
    Deviation,
    IdTag,
    InstalledProfile,
    Limitation,
    Location,
    MeterValue,
    SecurityEvent,
    StatusNotification,
    Transaction,
    Variable,
)
from tasks.models import Command

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def node(node_id: str = "node-1", *, alive: bool = True) -> CsmsNode:
    now = timezone.now()
    lease = timedelta(minutes=5)
    row, _ = CsmsNode.objects.get_or_create(
        node_id=node_id,
        defaults={"name": "host 1", "started_at": now, "lease_until": now + lease if alive else now - lease},
    )
    return row


def station(identity: str = "CP001", *, connected: bool = False, **fields: Any) -> ChargePoint:
    if connected:
        fields = {"node": node(), "ocpp_version": OcppVersion.V16, **fields}
    return ChargePoint.objects.create(chargepoint_id=identity, **fields)


def deviation(of: ChargePoint, kind: str = "kind") -> Deviation:
    return Deviation.objects.create(chargepoint=of, kind=kind, count=2, first_seen=NOON, last_seen=NOON)


def limitation(of: ChargePoint, kind: str = "trigger", subject: str = "Heartbeat", **fields: Any) -> Limitation:
    seen = {"first_seen": NOON, "last_seen": NOON}
    return Limitation.objects.create(
        chargepoint=of, kind=kind, subject=subject, **{"reason": "answered Rejected", "count": 1, **seen, **fields}
    )


def connector(of: ChargePoint, evse_id: int = 1, connectorid: int = 1, **fields: Any) -> Connector:
    return Connector.objects.create(chargepoint=of, evse_id=evse_id, connectorid=connectorid, **fields)


def tag(id_token: str = "TAG1", **fields: Any) -> IdTag:
    return IdTag.objects.create(id_token=id_token, **fields)


def location(name: str = "Depot", **fields: Any) -> Location:
    return Location.objects.create(name=name, **fields)


def transaction(of: ChargePoint, **fields: Any) -> Transaction:
    defaults = {"ocpp_version": OcppVersion.V16, "received_at": NOON, "start_transaction_timestamp": NOON}
    return Transaction.objects.create(chargepoint=of, **{**defaults, **fields})


def reading(of: Transaction, samples: list[dict[str, str]], minute: int = 0) -> MeterValue:
    at = NOON + timedelta(minutes=minute)
    return MeterValue.objects.create(
        chargepoint=of.chargepoint,
        transaction=of,
        evse_id=1,
        connectorid=1,
        timestamp=at,
        received_at=at,
        samples=samples,
    )


def status(of: ChargePoint, word: str = "Available", **fields: Any) -> StatusNotification:
    defaults = {"ocpp_version": OcppVersion.V16, "evse_id": 1, "connectorid": 1, "timestamp": NOON, "received_at": NOON}
    return StatusNotification.objects.create(chargepoint=of, status=word, **{**defaults, **fields})


def security_event(of: ChargePoint, type: str = "TamperDetectionActivated", **fields: Any) -> SecurityEvent:
    return SecurityEvent.objects.create(chargepoint=of, type=type, **{"timestamp": NOON, "received_at": NOON, **fields})


def variable(of: ChargePoint, name: str = "HeartbeatInterval", value: str | None = "300", **fields: Any) -> Variable:
    return Variable.objects.create(chargepoint=of, variable=name, value=value, read_at=NOON, **fields)


SCHEDULE = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16}]}
CONTENT = {"purpose": "TxDefaultProfile", "kind": "Relative", "schedules": [SCHEDULE]}


def charging_profile(**fields: Any) -> ChargingProfile:
    return ChargingProfile.objects.create(**{**CONTENT, **fields})


def installed_profile(of: ChargePoint, number: int = 1, **fields: Any) -> InstalledProfile:
    placed = {"evse_id": 0, "chargingprofile_id": number, "since": NOON}
    return InstalledProfile.objects.create(chargepoint=of, **{**CONTENT, **placed, **fields})


def composite_schedule(of: ChargePoint, **fields: Any) -> CompositeSchedule:
    told = {"evse_id": 1, "charging_rate_unit": "A", "received_at": NOON}
    periods = SCHEDULE["charging_schedule_period"]
    return CompositeSchedule.objects.create(
        chargepoint=of, **{"charging_schedule_period": periods, "schedule_start": NOON, **told, **fields}
    )


def command(of: ChargePoint, action: str = "Reset", **fields: Any) -> Command:
    now = timezone.now()
    defaults = {
        "ocpp_version": OcppVersion.V16,
        "payload": {"type": "Soft"},
        "created_at": now,
        "expires_at": now + timedelta(minutes=1),
    }
    return Command.objects.create(chargepoint=of, action=action, **{**defaults, **fields})
