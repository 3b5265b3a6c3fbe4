"""The Core profile: boot, status, authorisation, transactions, meter values, availability."""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from decimal import Decimal
from math import isfinite

from django.conf import settings

from chargers.choices import LimitationKind
from chargers.services import connectors, idtags, metervalues, stations, statuses, transactionstarts, transactionstops
from chargers.values import (
    NO_TRANSACTION,
    Authorization,
    AuthorizationRequest,
    AvailabilityChange,
    Boot,
    Booted,
    Heartbeat,
    MeterReport,
    Reading,
    Sample,
    Started,
    StatusReport,
    Stopped,
    TransactionRef,
    TransactionStart,
    TransactionStop,
)
from csms import times
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload, Script, Step, Talk
from csms.versions.members import text
from csms.versions.v16 import charging
from csms.versions.v16.members import (
    MAX_CONNECTOR_ID,
    NAME,
    evse_and_connector,
    id_tag,
    id_tag_info,
    nothing,
    remark,
)

# The largest numbers of their kind, which stations send for "none" (TX-03).
NO_TRANSACTION_IDS = frozenset({2**31 - 1, 2**32 - 1, 2**53 - 1})
MAX_TRANSACTION_ID = 2**63 - 1

REASONS = frozenset(
    {
        "DeAuthorized",
        "EmergencyStop",
        "EVDisconnected",
        "HardReset",
        "Local",
        "Other",
        "PowerLoss",
        "Reboot",
        "Remote",
        "SoftReset",
        "UnlockCommand",
    }
)
ERROR_CODES = frozenset(
    {
        "ConnectorLockFailure",
        "EVCommunicationError",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "LocalListConflict",
        "NoError",
        "OtherError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "ReaderFailure",
        "ResetFailure",
        "UnderVoltage",
        "WeakSignal",
    }
)

# The words for units, and other spellings of them in lower case (MV-04). "Celcius" and "Hertz" are the schema's own.
UNITS = frozenset(
    {
        "A",
        "Celsius",
        "Fahrenheit",
        "Hz",
        "K",
        "Percent",
        "RPM",
        "V",
        "VA",
        "W",
        "Wh",
        "kVA",
        "kW",
        "kWh",
        "kvar",
        "kvarh",
        "var",
        "varh",
    }
)
UNIT_ALIASES = {unit.casefold(): unit for unit in UNITS} | {
    "%": "Percent",
    "amp": "A",
    "ampere": "A",
    "amps": "A",
    "c": "Celsius",
    "celcius": "Celsius",
    "deg c": "Celsius",
    "f": "Fahrenheit",
    "hertz": "Hz",
    "rpm": "RPM",
    "volt": "V",
    "volts": "V",
    "watt": "W",
    "watts": "W",
    "\N{DEGREE SIGN}c": "Celsius",
    "\N{DEGREE SIGN}f": "Fahrenheit",
}
# What a sample without a measurand measures, told by its unit (MV-10).
MEASURAND_OF_UNIT = {
    "A": "Current.Import",
    "V": "Voltage",
    "W": "Power.Active.Import",
    "kW": "Power.Active.Import",
    "VA": "Power.Active.Import",
    "kVA": "Power.Active.Import",
    "var": "Power.Reactive.Import",
    "kvar": "Power.Reactive.Import",
    "varh": "Energy.Reactive.Import.Register",
    "kvarh": "Energy.Reactive.Import.Register",
    "Percent": "SoC",
    "Celsius": "Temperature",
    "Fahrenheit": "Temperature",
    "K": "Temperature",
    "Hz": "Frequency",
}
# What a sample without a unit is measured in, told by its measurand (MV-04); energy is in Wh.
UNIT_OF_MEASURAND = {
    "Current.Export": "A",
    "Current.Import": "A",
    "Current.Offered": "A",
    "Frequency": "Hz",
    "Power.Active.Export": "W",
    "Power.Active.Import": "W",
    "Power.Offered": "W",
    "Power.Reactive.Export": "var",
    "Power.Reactive.Import": "var",
    "RPM": "RPM",
    "SoC": "Percent",
    "Temperature": "Celsius",
    "Voltage": "V",
}
ENERGY = "Energy.Active.Import.Register"


def register(payload: Payload, member: str, context: Context) -> Decimal | None:
    """Read a meter register in Wh; None where the station does not know it, which it says with -1 (TX-10)."""
    raw = payload.get(member)
    value = metervalues.decimal(str(raw)) if raw is not None else None
    if value is None or value < 0:
        context.note("meter-unknown", f"{member}: {raw}")
        return None
    return value


def fingerprint(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def boot(payload: Payload, context: Context) -> Boot:
    return Boot(
        station=context.station,
        at=context.received_at,
        vendor=text(payload, "chargePointVendor"),
        model=text(payload, "chargePointModel"),
        serial_number=text(payload, "chargePointSerialNumber"),
        box_serial_number=text(payload, "chargeBoxSerialNumber"),
        firmware_version=text(payload, "firmwareVersion"),
        iccid=text(payload, "iccid"),
        imsi=text(payload, "imsi"),
        meter_type=text(payload, "meterType"),
        meter_serial_number=text(payload, "meterSerialNumber"),
        triggered=context.triggered,
    )


def booted(result: Booted, context: Context) -> Payload:
    return {
        "status": result.registration.value,
        "currentTime": times.write(context.received_at),
        "interval": settings.OCPP_HEARTBEAT_INTERVAL,
    }


def heartbeat(payload: Payload, context: Context) -> Heartbeat:
    return Heartbeat(context.station, context.received_at)


def current_time(result: None, context: Context) -> Payload:
    return {"currentTime": times.write(context.received_at)}


def status(payload: Payload, context: Context) -> StatusReport:
    """Read a status; what only fills a field and says nothing is left out (BO-10)."""
    evse, connector = evse_and_connector(payload)
    moment = context.time(payload["timestamp"]) if "timestamp" in payload else times.Moment(context.received_at)
    vendor_code = remark(payload, "vendorErrorCode")
    error_code = remark(payload, "errorCode") or "NoError"
    if error_code not in ERROR_CODES:
        # The word is kept where a vendor's own code belongs (BO-07).
        vendor_code = vendor_code or error_code
        error_code = "OtherError"
    if error_code == "NoError" and not vendor_code.casefold().removeprefix("0x").strip("0"):
        vendor_code = ""
    return StatusReport(
        station=context.station,
        ocpp_version=NAME,
        evse_id=evse,
        connector_id=connector,
        status=text(payload, "status"),
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
        error_code=error_code,
        info=remark(payload, "info"),
        vendor_id=remark(payload, "vendorId"),
        vendor_error_code=vendor_code,
    )


def authorize(payload: Payload, context: Context) -> AuthorizationRequest:
    return AuthorizationRequest(context.station, id_tag(payload, context), context.received_at)


def authorized(result: Authorization, context: Context) -> Payload:
    return {"idTagInfo": id_tag_info(result)}


def start(payload: Payload, context: Context) -> TransactionStart:
    evse, connector = evse_and_connector(payload)
    moment = context.time(payload.get("timestamp"))
    tag = id_tag(payload, context)
    meter_start = register(payload, "meterStart", context)
    identity = fingerprint("start", evse, tag, payload.get("timestamp"), payload.get("meterStart"))
    return TransactionStart(
        station=context.station,
        ocpp_version=NAME,
        evse_id=evse,
        connector_id=connector,
        id_token=tag,
        meter_start=meter_start,
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
        fingerprint=identity if moment.reliable else "",
        reservation_id=context.reservation(payload.get("reservationId", 0)),
    )


def started(result: Started, context: Context) -> Payload:
    return {"idTagInfo": id_tag_info(result.authorization), "transactionId": result.transaction_id}


def transaction_ref(payload: Payload) -> TransactionRef:
    """Read which transaction a message is about.

    Without an id it is about none (MV-14); with 0 or less the station knows that it charges but
    not under which id (TX-02); the largest number of its kind means none again (TX-03).
    """
    number = payload.get("transactionId")
    if not isinstance(number, int) or number in NO_TRANSACTION_IDS or number >= MAX_TRANSACTION_ID:
        return NO_TRANSACTION
    return TransactionRef(number=number) if number > 0 else TransactionRef(by_connector=True)


def stop(payload: Payload, context: Context) -> TransactionStop:
    moment = context.time(payload.get("timestamp"))
    tag = id_tag(payload, context) if "idTag" in payload else ""
    reason = text(payload, "reason") or "Local"
    if reason not in REASONS:
        context.note("unknown-reason", f"transaction {payload.get('transactionId')}: {reason}")
        reason = "Other"
    return TransactionStop(
        station=context.station,
        ocpp_version=NAME,
        ref=transaction_ref(payload),
        id_token=tag,
        meter_stop=register(payload, "meterStop", context),
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
        fingerprint=fingerprint(
            "stop", payload.get("transactionId"), tag, payload.get("timestamp"), payload.get("meterStop")
        ),
        reason=reason,
        readings=readings(payload.get("transactionData", ()), context),
    )


def stopped(result: Stopped, context: Context) -> Payload:
    return {"idTagInfo": id_tag_info(result.authorization)} if result.authorization else {}


def readings(elements: Sequence[Payload], context: Context) -> tuple[Reading, ...]:
    """Read the elements of a MeterValues; those of one moment are one reading (MV-12)."""
    found: dict[times.Moment, list[Sample]] = {}
    for element in elements:
        samples = [read for each in element.get("sampledValue", ()) if (read := sample(each, context)) is not None]
        if samples:
            found.setdefault(context.time(element.get("timestamp")), []).extend(samples)
    return tuple(Reading(moment.at, samples, moment.raw) for moment, samples in found.items())


def sample(sent: Payload, context: Context) -> Sample | None:
    """Read one sampled value; None for an empty one, which is no zero (MV-02).

    A sample that says all it should is taken as it is.
    """
    if sent.get("format") == "SignedData":
        # Signatures cover every byte (MV-16).
        return sent  # type: ignore[return-value]
    value = sent.get("value", "")
    measurand, unit = sent.get("measurand"), sent.get("unit")
    if value != value.strip() or not is_number(value):
        value = odd_value(value, context)
        if not value:
            return None
        sent = {**sent, "value": value}
    if unit is not None and unit not in UNITS:
        unit = UNIT_ALIASES.get(unit.strip().casefold(), unit)
        sent = {**sent, "unit": unit}
    if measurand is None:
        measurand = MEASURAND_OF_UNIT.get(unit or "", ENERGY)
        sent = {**sent, "measurand": measurand}
    if unit is None and (unit := unit_of(measurand)):
        sent = {**sent, "unit": unit}
    phase = sent.get("phase", "")
    if phase[-2:] == "-N" and measurand != "Voltage":
        # Only a voltage lies between a phase and neutral; stations mean the phase (MV-13).
        sent = {**sent, "phase": phase[:-2]}
    return sent  # type: ignore[return-value]


def unit_of(measurand: str) -> str:
    """Tell the unit a measurand has when nothing is said; Wh is the default of energy only (MV-04)."""
    if measurand.startswith("Energy."):
        return "varh" if "Reactive" in measurand else "Wh"
    return UNIT_OF_MEASURAND.get(measurand, "")


def is_number(value: str) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False


def odd_value(value: str, context: Context) -> str:
    """Read a value that is not plainly a number; one that is none is kept as it is (MV-03, MV-05)."""
    trimmed = value.strip()
    if not trimmed:
        context.note("empty-value", value)
    elif metervalues.decimal(trimmed) is None:
        context.note("value-not-a-number", value)
        return value
    elif "," in trimmed:
        context.note("decimal-comma", value)
    else:
        context.note("value-padded", value)
    return trimmed


def meter_values(payload: Payload, context: Context) -> MeterReport:
    evse, connector = evse_and_connector(payload)
    return MeterReport(
        station=context.station,
        ocpp_version=NAME,
        evse_id=evse,
        connector_id=connector,
        ref=transaction_ref(payload),
        readings=readings(payload.get("meterValue", ()), context),
        received_at=context.received_at,
    )


def keep_availability(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer.get("status") not in ("Accepted", "Scheduled") or request["connectorId"] > MAX_CONNECTOR_ID:
        return []
    operative = request["type"] == "Operative"
    change = AvailabilityChange(context.station, request["connectorId"], operative, context.received_at)
    return [(connectors.set_availability, change)]


def change_availability(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Change a connector, or all of them one by one where the station refuses all at once (CF-09)."""
    evses = () if request["connectorId"] else talk.facts.evses
    if not (evses and talk.facts.cannot(LimitationKind.STATION_AVAILABILITY)):
        answer = yield Step("ChangeAvailability", request)
        if answer["status"] != "Rejected" or not evses:
            return answer
        talk.cannot(LimitationKind.STATION_AVAILABILITY, "", "Rejected for connector 0")
    statuses = []
    for evse in evses:
        statuses.append((yield Step("ChangeAvailability", {**request, "connectorId": evse}))["status"])
    # The least that any of them does.
    return {"status": next(status for status in ("Rejected", "Scheduled", "Accepted") if status in statuses)}


HANDLERS: Mapping[str, Handler] = {
    "Authorize": Handler(authorize, idtags.authorize, authorized, optional=("idTag",)),
    "BootNotification": Handler(boot, stations.boot, booted, optional=("chargePointVendor", "chargePointModel")),
    "Heartbeat": Handler(heartbeat, stations.heartbeat, current_time),
    "MeterValues": Handler(
        meter_values,
        metervalues.record,
        nothing,
        records=True,
        optional=("meterValue", "sampledValue", "timestamp", "value"),
    ),
    "StartTransaction": Handler(
        start,
        transactionstarts.record,
        started,
        records=True,
        optional=("idTag", "meterStart", "timestamp"),
        then=charging.set_due_profile,
    ),
    "StatusNotification": Handler(status, statuses.record, nothing, records=True, optional=("errorCode", "timestamp")),
    "StopTransaction": Handler(
        stop,
        transactionstops.record,
        stopped,
        records=True,
        optional=("meterStop", "sampledValue", "timestamp", "transactionId", "value"),
    ),
}
EFFECTS: Mapping[str, Effect] = {"ChangeAvailability": keep_availability}
SCRIPTS: Mapping[str, Script] = {"ChangeAvailability": change_availability}
