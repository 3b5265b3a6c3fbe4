"""How a row looks to clients: the one place that spells the contract's objects.

REST answers, live updates and exports all use these. Times are ISO 8601 in UTC with ``Z``,
energy is a JSON number in Wh.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from cryptography import x509

from chargers import filing, pem
from chargers.folder import StoredFile
from chargers.models import (
    Certificate,
    ChargePoint,
    ChargingLimit,
    ChargingNeeds,
    CompositeSchedule,
    Connector,
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
from chargers.models.job import Job
from chargers.models.locallist import paired
from chargers.values import Schedule, SchedulePeriod

Json = dict[str, Any]


def time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def location(row: Location) -> Json:
    located = row.latitude is not None and row.longitude is not None
    return {
        "id": str(row.id),
        "name": row.name,
        "address": row.address,
        "city": row.city,
        "postal_code": row.postal_code,
        "country": row.country,
        "coordinates": {"latitude": str(row.latitude), "longitude": str(row.longitude)} if located else None,
        "parking_type": row.parking_type,
        "time_zone": row.time_zone,
    }


def deviation(row: Deviation) -> Json:
    return {
        "kind": row.kind,
        "count": row.count,
        "first_seen": time(row.first_seen),
        "last_seen": time(row.last_seen),
        "example": row.example,
    }


def limitation(row: Limitation) -> Json:
    return {
        "kind": row.kind,
        "subject": row.subject,
        "reason": row.reason,
        "certain": row.is_certain,
        "count": row.count,
        "first_seen": time(row.first_seen),
        "last_seen": time(row.last_seen),
    }


def chargepoint(row: ChargePoint) -> Json:
    """Represent a station read by `selectors.chargepoints`."""
    return {
        "chargepoint_id": row.chargepoint_id,
        "chargepoint_vendor": row.chargepoint_vendor,
        "chargepoint_model": row.chargepoint_model,
        "chargepoint_serial_number": row.chargepoint_serial_number,
        "chargebox_serial_number": row.chargebox_serial_number,
        "firmware_version": row.firmware_version,
        "ip_address": row.ip_address,
        "connected": row.connected,
        "chargepoint_status": row.chargepoint_status,
        "ocpp_version": row.ocpp_version,
        "registration_status": row.registration_status,
        "security_profile": row.security_profile,
        "last_heartbeat": time(row.last_heartbeat),
        "last_seen": time(row.last_seen),
        "deviations": [deviation(each) for each in row.known_deviations],
        "limitations": [limitation(each) for each in row.known_limitations],
        "location": str(row.location_id) if row.location_id else None,
    }


def certificate(row: Certificate) -> Json:
    """Represent a certificate; what DeleteCertificate names it by is null where that is not known."""
    named = {
        "hash_algorithm": row.hash_algorithm,
        "issuer_name_hash": row.issuer_name_hash,
        "issuer_key_hash": row.issuer_key_hash,
        "serial_number": row.serial_number,
    }
    return {
        "certificate_id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "use": row.use,
        "status": row.status,
        "reason": row.reason,
        "subject": row.subject,
        "serial_number": row.serial_number,
        "not_after": time(row.not_after),
        "certificate_hash_data": named if row.issuer_key_hash else None,
        "child_certificate_hash_data": row.children,
        "pem": row.pem,
        "csr": row.csr,
        "attempts": row.attempts,
        "task_id": str(row.command_id) if row.command_id else None,
        "created_at": time(row.created_at),
        "updated_at": time(row.updated_at),
    }


def authority(root: x509.Certificate) -> Json:
    facts = pem.facts(root)
    return {
        "subject": facts.subject,
        "serial_number": facts.serial_number,
        "not_before": time(facts.not_before),
        "not_after": time(facts.not_after),
        "fingerprint": facts.fingerprint,
        "pem": pem.write(root),
    }


def connector(row: Connector) -> Json:
    return {
        "uuid": str(row.uuid),
        "chargepoint": row.chargepoint_id,
        "evse_id": row.evse_id,
        "connectorid": row.connectorid,
        "connector_status": row.connector_status,
        "availability_status": row.availability_status,
        "standard": row.standard,
        "format": row.format,
        "power_type": row.power_type,
    }


def idtag(row: IdTag) -> Json:
    """Represent a tag read with its user."""
    return {
        "idToken": row.id_token,
        "friendly_name": row.friendly_name,
        "parent": row.parent_id,
        "expiry_date": time(row.expiry_date),
        "revoked": row.revoked,
        "refusal": row.refusal,
        "token_type": row.token_type,
        "user": row.user.get_username() if row.user else None,
        "max_active_transactions": row.max_active_transactions,
    }


def transaction(row: Transaction) -> Json:
    """Represent a transaction read with its connector."""
    return {
        "transaction_id": row.transaction_id,
        "uuid": row.uuid,
        "connector": connector(row.connector) if row.connector else None,
        "chargepoint_id": row.chargepoint_id,
        "id_tag": row.id_tag_id,
        "authorization_status": row.authorization_status,
        "start_transaction_timestamp": time(row.start_transaction_timestamp),
        "stop_transaction_timestamp": time(row.stop_transaction_timestamp),
        "wh_meter_start": number(row.wh_meter_start),
        "wh_meter_last": number(row.wh_meter_last),
        "wh_meter_last_timestamp": time(row.wh_meter_last_timestamp),
        "wh_meter_stop": number(row.wh_meter_stop),
        "energy_wh": number(row.energy_wh),
        "reason_stopped": row.reason_stopped,
        "charging_state": row.charging_state,
        "time_spent_charging": row.time_spent_charging,
        "remote_start_id": row.remote_start_id,
        "total_cost": number(row.total_cost),
        "transaction_status": row.transaction_status,
        "flags": row.flags,
    }


def locallist(row: LocalList) -> Json:
    """Represent a local list that `locallists.compare` has seen."""
    return {
        "chargepoint_id": row.chargepoint_id,
        "automatic": row.automatic,
        "in_sync": row.in_sync,
        "entries_wanted": len(row.wanted),
        "entries_held": None if row.entries is None else len(row.entries),
        "version": row.version,
        "updated_at": time(row.updated_at),
        "reported_version": row.reported_version,
        "reported_at": time(row.reported_at),
        "last_attempt": time(row.last_attempt),
        "last_outcome": row.last_outcome,
        "withheld": row.withheld,
    }


def locallist_in_full(row: LocalList) -> Json:
    """Represent a local list with its entries: what each tag should be told as, and is."""
    rows = [
        {"id_tag": token, "wanted": _list_entry(wanted), "held": _list_entry(held)}
        for token, wanted, held in paired(row.wanted, row.entries or {})
    ]
    return {**locallist(row), "entries": rows}


def _list_entry(entry: Json | None) -> Json | None:
    if entry is None:
        return None
    return {"status": entry["status"], "expiry_date": entry.get("expiry_date"), "parent": entry.get("parent")}


def reservation(row: Reservation) -> Json:
    """Represent a reservation read with its connector."""
    return {
        "reservation_id": row.reservation_id,
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "connector_type": row.connector_type,
        "connector": connector(row.connector) if row.connector else None,
        "id_tag": row.id_tag_id,
        "parent_id_tag": row.parent_id_tag,
        "expiry_date": time(row.expiry_date),
        "status": row.status,
        "reason": row.reason,
        "transaction_id": row.transaction_id,
        "task_id": str(row.command_id) if row.command_id else None,
        "created_at": time(row.created_at),
        "answered_at": time(row.answered_at),
        "ended_at": time(row.ended_at),
    }


def reading(
    *, transaction_id: int | None, station: str, evse_id: int, connector_id: int, at: datetime, samples: Any
) -> Json:
    """Represent what a meter showed at one moment, for the live topic ``metervalues``."""
    return {
        "transaction_id": transaction_id,
        "chargepoint_id": station,
        "evse_id": evse_id,
        "connector_id": connector_id,
        "timestamp": time(at),
        "sampled_value": samples,
    }


SAMPLE_DEFAULTS: Json = {
    "value": "",
    "context": "Sample.Periodic",
    "format": "Raw",
    "measurand": "Energy.Active.Import.Register",
    "phase": None,
    "location": "Outlet",
    "unit": None,
}


def samples(row: MeterValue) -> list[Json]:
    """Represent every sample of a reading as an object of its own, with OCPP's defaults filled in."""
    at = time(row.timestamp)
    return [{"timestamp": at, **SAMPLE_DEFAULTS, **sample} for sample in row.samples]


def statusnotification(row: StatusNotification) -> Json:
    return {
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "connector_id": row.connectorid,
        "status": row.status,
        "error_code": row.error_code,
        "info": row.info,
        "vendor_id": row.vendor_id,
        "vendor_error_code": row.vendor_error_code,
        "timestamp": time(row.timestamp),
        "timestamp_raw": row.timestamp_raw,
        "received_at": time(row.received_at),
    }


def securityevent(row: SecurityEvent) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "type": row.type,
        "critical": row.critical,
        "tech_info": row.tech_info,
        "timestamp": time(row.timestamp),
        "timestamp_raw": row.timestamp_raw,
        "received_at": time(row.received_at),
        "count": row.count,
    }


def _stored_file(row: StoredFile) -> Json:
    return {
        "path": row.path,
        "size": row.size,
        "modified": time(row.modified),
        "url": f"/api/file/{quote(row.path)}",
    }


def file(row: tuple[StoredFile, filing.Belonging]) -> Json:
    """Represent a file together with whom it belongs to."""
    stored, belonging = row
    job = belonging.job
    return {
        **_stored_file(stored),
        "kind": belonging.kind.value,
        "chargepoint_id": belonging.chargepoint_id,
        "logupload": job.pk if isinstance(job, LogUpload) else None,
        "firmwareupdate": job.pk if isinstance(job, FirmwareUpdate) else None,
    }


def _job(row: Job) -> Json:
    """Represent what firmware updates and log uploads, read with who asked for them, have in common."""
    files = filing.files_of(row)
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "request_id": row.request_id,
        "task_id": str(row.command_id) if row.command_id else None,
        "location": row.location,
        "path": row.file_path,
        "files": None if files is None else [_stored_file(each) for each in files],
        "flags": [flag.value for flag in filing.flags(row, files)],
        "retries": row.retries,
        "retry_interval": row.retry_interval,
        "asked_at": time(row.asked_at),
        "asked_by": row.asked_by.get_username() if row.asked_by else None,
        "status_at": time(row.status_at),
        "reports": [
            {
                "status": each["status"],
                "at": time(datetime.fromisoformat(each["at"])),
                "received_at": time(datetime.fromisoformat(each["received_at"])),
            }
            for each in row.reports
        ],
    }


def firmwarepublication(row: FirmwarePublication) -> Json:
    return {
        **_job(row),
        "status": row.status,
        "checksum": row.checksum,
        "locations": row.locations,
    }


def firmwareupdate(row: FirmwareUpdate) -> Json:
    return {
        **_job(row),
        "status": row.status,
        "signed": row.signed,
        "retrieve_at": time(row.retrieve_at),
        "install_at": time(row.install_at),
        "signing_certificate": row.signing_certificate,
        "signature": row.signature,
        "firmware_before": row.firmware_before,
        "firmware_after": row.firmware_after,
    }


def logupload(row: LogUpload) -> Json:
    return {
        **_job(row),
        "status": row.status,
        "log_type": row.log_type,
        "file_name": row.file_name,
        "oldest": time(row.oldest),
        "latest": time(row.latest),
    }


def _place(row: Variable | Event | VariableMonitor) -> Json:
    """Represent which variable of which station a row is about."""
    return {
        "chargepoint_id": row.chargepoint_id,
        "component": row.component,
        "component_instance": row.component_instance,
        "evse_id": row.evse_id,
        "connector_id": row.connectorid,
        "variable": row.variable,
        "variable_instance": row.variable_instance,
    }


def event(row: Event) -> Json:
    return {
        **_place(row),
        "id": row.pk,
        "event_id": row.event_id,
        "trigger": row.trigger,
        "notification": row.notification,
        "monitor_id": row.monitor_id,
        "severity": row.severity,
        "actual_value": row.actual_value,
        "cause": row.cause,
        "tech_code": row.tech_code,
        "tech_info": row.tech_info,
        "transaction_uuid": row.transaction_uuid,
        "cleared": row.cleared,
        "cleared_at": time(row.cleared_at),
        "timestamp": time(row.timestamp),
        "timestamp_raw": row.timestamp_raw,
        "received_at": time(row.received_at),
    }


def displaymessage(row: DisplayMessage) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "message_id": row.message_id,
        "status": row.status,
        "priority": row.priority,
        "state": row.state or None,
        "start_date_time": time(row.start),
        "end_date_time": time(row.end),
        "transaction_uuid": row.transaction_uuid,
        "format": row.format,
        "language": row.language,
        "content": row.content,
        "display": row.display,
        "evse_id": row.evse_id,
        "told_at": time(row.told_at),
    }


def variablemonitor(row: VariableMonitor) -> Json:
    return {
        **_place(row),
        "id": row.pk,
        "monitor_id": row.monitor_id,
        "type": row.type,
        "value": row.value,
        "severity": row.severity,
        "transaction": row.transaction,
        "told_at": time(row.told_at),
    }


def variable(row: Variable) -> Json:
    return {
        **_place(row),
        "attribute": row.attribute,
        "value": row.value,
        "mutability": row.mutability,
        "persistent": row.persistent,
        "constant": row.constant,
        "characteristics": row.characteristics,
        "reboot_required": row.reboot_required,
        "read_at": time(row.read_at),
    }


def periods(stored: Iterable[SchedulePeriod]) -> list[Json]:
    return [{name: each.get(name) for name in SchedulePeriod.__annotations__} for each in stored]


def schedule(stored: Schedule) -> Json:
    """Represent a schedule of a charging profile, with null for what it does not say."""
    members = {name: stored.get(name) for name in Schedule.__annotations__}
    return {**members, "charging_schedule_period": periods(stored["charging_schedule_period"])}


def installedprofile(row: InstalledProfile) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "profile_state": row.state,
        "since": time(row.since),
        "charging_limit_source": row.source,
        "without_effect": row.without_effect,
        "chargingprofile_id": row.chargingprofile_id,
        "stack_level": row.stack_level,
        "chargingprofile_purpose": row.purpose,
        "chargingprofile_kind": row.kind,
        "recurrency_kind": row.recurrency_kind or None,
        "valid_from": time(row.valid_from),
        "valid_to": time(row.valid_to),
        "transaction_id": row.transaction_id,
        "charging_schedule": [schedule(each) for each in row.schedules],
    }


def compositeschedule(row: CompositeSchedule) -> Json:
    return {
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "schedule_start": time(row.schedule_start),
        "duration": row.duration,
        "charging_rate_unit": row.charging_rate_unit,
        "chargingschedule_period": periods(row.charging_schedule_period),
        "min_charging_rate": row.min_charging_rate,
        "received_at": time(row.received_at),
    }


def charginglimit(row: ChargingLimit) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "charging_limit_source": row.source,
        "is_grid_critical": row.is_grid_critical,
        "charging_schedule": [schedule(each) for each in row.schedules],
        "received_at": time(row.received_at),
    }


def chargingneeds(row: ChargingNeeds) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "transaction_id": row.transaction_id,
        "requested_energy_transfer": row.requested_energy_transfer,
        "departure_time": time(row.departure_time),
        "max_schedule_tuples": row.max_schedule_tuples,
        "parameters": row.parameters,
        "needs_status": row.status,
        "chargingprofile_id": row.chargingprofile_id,
        "charging_schedule": [schedule(each) for each in row.schedules],
        "received_at": time(row.received_at),
    }


def evschedule(row: EVSchedule) -> Json:
    return {
        "id": row.pk,
        "chargepoint_id": row.chargepoint_id,
        "evse_id": row.evse_id,
        "transaction_id": row.transaction_id,
        "time_base": time(row.time_base),
        "charging_schedule": schedule(row.schedule),
        "within_limits": row.within_limits,
        "received_at": time(row.received_at),
    }
