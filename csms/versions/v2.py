"""What OCPP 2.0.1 and 2.1 share: their payloads and the domain's values.

Served so far is what a station tells by itself in a charging session: boot, heartbeat, status,
authorisation, transaction events, meter values and security events. Requirement ids are those of
the OCPP 2.0.1 specification, part 2.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.conf import settings

from chargers.choices import AuthorizationStatus, OcppVersion, RegistrationStatus
from chargers.services import idtags, metervalues, security, stations, statuses, transactionevents
from chargers.values import (
    NO_TRANSACTION,
    Authorization,
    AuthorizationRequest,
    Boot,
    Heartbeat,
    MeterReport,
    Reading,
    Sample,
    SecurityEventReport,
    StatusReport,
    TransactionEvent,
)
from csms import times
from csms.errors import ErrorCode, RpcError
from csms.versions.base import Context, Handler, Payload

MAX_NUMBER = 2**31 - 1
MAX_NAME = 255
# What an unknown word is cut to.
MAX_WORD = 40
# No meter scales its values further than this.
MAX_MULTIPLIER = 12

EVENT_TYPES = frozenset({"Started", "Updated", "Ended"})

# Tokens that stand for no driver: a start button, or the operator himself (C01.FR.20, F01).
FREE_TOKENS = frozenset({"NoAuthorization", "Central"})

STATUS_WORDS: Mapping[AuthorizationStatus, str] = {
    AuthorizationStatus.ACCEPTED: "Accepted",
    AuthorizationStatus.BLOCKED: "Blocked",
    AuthorizationStatus.EXPIRED: "Expired",
    AuthorizationStatus.INVALID: "Unknown",
    AuthorizationStatus.CONCURRENT_TX: "ConcurrentTx",
    AuthorizationStatus.RESERVED: "NotAtThisLocation",
}


def number(payload: Payload, member: str, default: int = 0) -> int:
    value = payload.get(member, default)
    if not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"{member}: {value} is out of range")
    return value


def name(payload: Payload, member: str) -> str:
    """Read a text that names something; one beyond any key's length names nothing."""
    found = str(payload[member]).strip()
    if not 0 < len(found) <= MAX_NAME:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"{member}: {found[:50]} is no name")
    return found


def boot(payload: Payload, context: Context) -> Boot:
    station = payload["chargingStation"]
    modem = station.get("modem", {})
    return Boot(
        station=context.station,
        at=context.received_at,
        vendor=station.get("vendorName", ""),
        model=station.get("model", ""),
        serial_number=station.get("serialNumber", ""),
        firmware_version=station.get("firmwareVersion", ""),
        iccid=modem.get("iccid", ""),
        imsi=modem.get("imsi", ""),
        triggered=payload.get("reason") == "Triggered",
    )


def booted(status: RegistrationStatus, context: Context) -> Payload:
    return {
        "currentTime": times.write(context.received_at),
        "interval": settings.OCPP_HEARTBEAT_INTERVAL,
        "status": status.value,
    }


def heartbeat(payload: Payload, context: Context) -> Heartbeat:
    return Heartbeat(context.station, context.received_at)


def current_time(result: None, context: Context) -> Payload:
    return {"currentTime": times.write(context.received_at)}


def status_of(version: OcppVersion) -> Handler:
    def read(payload: Payload, context: Context) -> StatusReport:
        moment = context.time(payload.get("timestamp"))
        return StatusReport(
            station=context.station,
            ocpp_version=version,
            evse_id=number(payload, "evseId"),
            connector_id=number(payload, "connectorId"),
            status=payload["connectorStatus"],
            at=moment.at,
            at_raw=moment.raw,
            received_at=context.received_at,
        )

    return Handler(read, statuses.record, nothing, records=True, optional=("timestamp",))


def authorize(payload: Payload, context: Context) -> AuthorizationRequest:
    return AuthorizationRequest(context.station, payload["idToken"]["idToken"].strip()[:MAX_NAME], context.received_at)


def id_token_info(authorization: Authorization) -> Payload:
    info: Payload = {"status": STATUS_WORDS[authorization.status]}
    if authorization.expiry_date:
        info["cacheExpiryDateTime"] = times.write(authorization.expiry_date)
    if authorization.parent:
        info["groupIdToken"] = {"idToken": authorization.parent, "type": "Central"}
    return info


def authorized(result: Authorization, context: Context) -> Payload:
    return {"idTokenInfo": id_token_info(result)}


def readings(elements: Sequence[Payload], context: Context) -> tuple[Reading, ...]:
    found = []
    for element in elements:
        samples = [read for each in element.get("sampledValue", ()) if (read := sample(each, context)) is not None]
        if samples:
            moment = context.time(element.get("timestamp"))
            found.append(Reading(moment.at, samples, moment.raw))
    return tuple(found)


def sample(sent: Payload, context: Context) -> Sample | None:
    """Read a sampled value; its number is brought to the unit, and a signed one keeps its signature."""
    unit = sent.get("unitOfMeasure", {})
    multiplier = unit.get("multiplier", 0)
    if not isinstance(multiplier, int) or abs(multiplier) > MAX_MULTIPLIER:
        context.note("multiplier-unknown", sent)
        return None
    value = Decimal(str(sent["value"])).scaleb(multiplier)
    read: Sample = {
        "value": format(value, "f"),
        "measurand": sent.get("measurand", metervalues.IMPORT),
        "unit": unit.get("unit", "Wh"),
    }
    for member in ("context", "phase", "location"):
        if member in sent:
            read[member] = sent[member]
    if signed := sent.get("signedMeterValue"):
        read["signed_meter_value"] = signed
    return read


def meter_values_of(version: OcppVersion) -> Handler:
    def read(payload: Payload, context: Context) -> MeterReport:
        return MeterReport(
            station=context.station,
            ocpp_version=version,
            evse_id=number(payload, "evseId"),
            connector_id=0,
            # Readings of a transaction come with its events (J02).
            ref=NO_TRANSACTION,
            readings=readings(payload.get("meterValue", ()), context),
            received_at=context.received_at,
        )

    return Handler(read, metervalues.record, nothing, records=True, optional=("sampledValue", "timestamp"))


def transaction_event_of(version: OcppVersion) -> Handler:
    def read(payload: Payload, context: Context) -> TransactionEvent:
        moment = context.time(payload.get("timestamp"))
        info, evse, token = payload["transactionInfo"], payload.get("evse", {}), payload.get("idToken")
        if payload["eventType"] not in EVENT_TYPES:
            raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"eventType: {payload['eventType'][:50]} is not known")
        return TransactionEvent(
            station=context.station,
            ocpp_version=version,
            uuid=name(info, "transactionId"),
            kind=payload["eventType"],
            seq_no=number(payload, "seqNo"),
            trigger=payload["triggerReason"][:MAX_WORD],
            at=moment.at,
            at_raw=moment.raw,
            received_at=context.received_at,
            offline=payload.get("offline", False),
            evse_id=number(evse, "id"),
            connector_id=number(evse, "connectorId"),
            charging_state=info.get("chargingState", "")[:MAX_WORD],
            id_token=token["idToken"].strip()[:MAX_NAME] if token is not None else None,
            free=token is not None and token["type"] in FREE_TOKENS,
            reason=info.get("stoppedReason", "Local" if payload["eventType"] == "Ended" else ""),
            reservation_id=context.reservation(payload.get("reservationId", 0)),
            readings=readings(payload.get("meterValue", ()), context),
        )

    return Handler(read, transactionevents.record, transaction_answered, records=True, optional=("timestamp",))


def transaction_answered(result: Authorization | None, context: Context) -> Payload:
    return {"idTokenInfo": id_token_info(result)} if result else {}


def nothing(result: None, context: Context) -> Payload:
    return {}


def security_event(payload: Payload, context: Context) -> SecurityEventReport:
    moment = context.time(payload.get("timestamp"))
    return SecurityEventReport(
        station=context.station,
        type=payload["type"],
        tech_info=payload.get("techInfo", ""),
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
    )


def handlers(version: OcppVersion) -> dict[str, Handler]:
    """Return the handlers that the 2.x versions share."""
    return {
        "Authorize": Handler(authorize, idtags.authorize, authorized),
        "BootNotification": Handler(boot, stations.boot, booted),
        "Heartbeat": Handler(heartbeat, stations.heartbeat, current_time),
        "MeterValues": meter_values_of(version),
        "SecurityEventNotification": Handler(
            security_event, security.record, nothing, records=True, optional=("timestamp",)
        ),
        "StatusNotification": status_of(version),
        "TransactionEvent": transaction_event_of(version),
    }


BEFORE_ACCEPTED = frozenset({"BootNotification", "SecurityEventNotification"})
