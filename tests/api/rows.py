"""Rows for tests, each with no more said than the test cares for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from chargers.choices import CertificateUse, OcppVersion
from chargers.models import (
    Certificate,
    ChargePoint,
    ChargingLimit,
    ChargingNeeds,
    ChargingProfile,
    CompositeSchedule,
    Connector,
    CsmsNode,
    Deviation,
    DisplayMessage,
    Event,
    EVSchedule,
    FirmwarePublication,
    FirmwareUpdate,
    IdTag,
    InstalledProfile,
    Limitation,
    LocalList,
    Location,
    LogUpload,
    MeterValue,
    Reservation,
    SecurityEvent,
    StatusNotification,
    Transaction,
    Variable,
    VariableMonitor,
)
from tasks.models import Command, Report, ReportKind

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


def certificate(of: ChargePoint, status: str = "Installed", **fields: Any) -> Certificate:
    defaults = {
        "use": CertificateUse.CSMS_ROOT,
        "subject": "CN=Root",
        "hash_algorithm": "SHA256",
        "issuer_name_hash": "aa",
        "issuer_key_hash": "bb",
        "serial_number": "FFF",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Certificate.objects.create(chargepoint=of, status=status, **{**defaults, **fields})


def tag(id_token: str = "TAG1", **fields: Any) -> IdTag:
    return IdTag.objects.create(id_token=id_token, **fields)


def location(name: str = "Depot", **fields: Any) -> Location:
    return Location.objects.create(name=name, **fields)


def transaction(of: ChargePoint, **fields: Any) -> Transaction:
    defaults = {"ocpp_version": OcppVersion.V16, "received_at": NOON, "start_transaction_timestamp": NOON}
    return Transaction.objects.create(chargepoint=of, **{**defaults, **fields})


def reservation(of: ChargePoint, number: int = 1, **fields: Any) -> Reservation:
    defaults = {
        "evse_id": 1,
        "status": "Accepted",
        "expiry_date": timezone.now() + timedelta(hours=1),
        "created_at": NOON,
        "answered_at": NOON,
    }
    return Reservation.objects.create(chargepoint=of, reservation_id=number, **{**defaults, **fields})


def local_list(of: ChargePoint, entries: dict[str, Any] | None = None, **fields: Any) -> LocalList:
    """A list that is known to hold `entries`, or that nobody knows."""
    row = LocalList(chargepoint=of, **fields)
    if entries is not None:
        row.hold(fields.get("version", 1), entries, NOON)
    row.save()
    return row


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


PLACE = {"component": "EVSE", "evse_id": 1, "variable": "Power"}


def event(of: ChargePoint, number: int = 1, **fields: Any) -> Event:
    told = {"trigger": "Alerting", "notification": "CustomMonitor", "timestamp": NOON, "received_at": NOON}
    return Event.objects.create(chargepoint=of, event_id=number, **{**PLACE, **told, **fields})


def display_message(of: ChargePoint, number: int = 1, **fields: Any) -> DisplayMessage:
    told = {"priority": "InFront", "format": "UTF8", "content": "<b>1</b>", "told_at": NOON}
    return DisplayMessage.objects.create(chargepoint=of, message_id=number, **{**told, **fields})


def monitor(of: ChargePoint, number: int = 1, **fields: Any) -> VariableMonitor:
    told = {"type": "UpperThreshold", "value": 11000, "severity": 4, "told_at": NOON}
    return VariableMonitor.objects.create(chargepoint=of, monitor_id=number, **{**PLACE, **told, **fields})


REPORTS = [{"status": "Odd <b>1</b>", "at": NOON.isoformat(), "received_at": NOON.isoformat()}]


def firmware_publication(of: ChargePoint, **fields: Any) -> FirmwarePublication:
    defaults = {"status_at": NOON, "waits_from": NOON, "asked_at": NOON, "reports": REPORTS}
    return FirmwarePublication.objects.create(chargepoint=of, **{**defaults, **fields})


def firmware_update(of: ChargePoint, **fields: Any) -> FirmwareUpdate:
    defaults = {"status_at": NOON, "waits_from": NOON, "asked_at": NOON, "reports": REPORTS}
    return FirmwareUpdate.objects.create(chargepoint=of, **{**defaults, **fields})


def log_upload(of: ChargePoint, **fields: Any) -> LogUpload:
    defaults = {"status_at": NOON, "waits_from": NOON, "asked_at": NOON, "reports": REPORTS}
    return LogUpload.objects.create(chargepoint=of, **{**defaults, **fields})


def variable(of: ChargePoint, name: str = "HeartbeatInterval", value: str | None = "300", **fields: Any) -> Variable:
    return Variable.objects.create(chargepoint=of, variable=name, value=value, read_at=NOON, **fields)


SCHEDULE = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16}]}
CONTENT = {"purpose": "TxDefaultProfile", "kind": "Relative", "schedules": [SCHEDULE]}


def charging_profile(**fields: Any) -> ChargingProfile:
    return ChargingProfile.objects.create(**{**CONTENT, **fields})


def installed_profile(of: ChargePoint, number: int = 1, **fields: Any) -> InstalledProfile:
    placed = {"evse_id": 0, "chargingprofile_id": number, "since": NOON}
    return InstalledProfile.objects.create(chargepoint=of, **{**CONTENT, **placed, **fields})


def charging_limit(of: ChargePoint, **fields: Any) -> ChargingLimit:
    told = {"evse_id": 0, "source": "EMS", "schedules": [SCHEDULE], "received_at": NOON}
    return ChargingLimit.objects.create(chargepoint=of, **{**told, **fields})


def charging_needs(of: ChargePoint, **fields: Any) -> ChargingNeeds:
    told = {"evse_id": 1, "requested_energy_transfer": "DC", "status": "Accepted", "received_at": NOON}
    return ChargingNeeds.objects.create(chargepoint=of, **{"parameters": {"ev_max_current": 125}, **told, **fields})


def ev_schedule(of: ChargePoint, **fields: Any) -> EVSchedule:
    told = {"evse_id": 1, "time_base": NOON, "schedule": SCHEDULE, "within_limits": True, "received_at": NOON}
    return EVSchedule.objects.create(chargepoint=of, **{**told, **fields})


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


def report(of: ChargePoint, asked_by: Command | None = None, **fields: Any) -> Report:
    defaults = {"kind": ReportKind.CUSTOMER_INFORMATION, "request_id": 1, "asked_at": NOON, "heard_at": NOON}
    return Report.objects.create(chargepoint=of, command=asked_by, **{**defaults, **fields})
