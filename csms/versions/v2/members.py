"""How the members that many payloads of OCPP 2.x have in common are read and written."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from chargers.services import metervalues
from chargers.values import Authorization, Reading, Sample
from csms import times
from csms.errors import ErrorCode, RpcError
from csms.versions.base import Context, Payload
from csms.versions.members import whole
from tasks.v2.tokens import MAX_TOKEN, STATUS_WORDS, group

MAX_NAME = 255
# What an unknown word is cut to.
MAX_WORD = 40
# No meter scales its values further than this.
MAX_MULTIPLIER = 12

# The type of a token that stands for no driver: a start button (C02.FR.02).
NO_AUTHORIZATION = "NoAuthorization"


def number(payload: Payload, member: str, default: int = 0) -> int:
    told = payload.get(member, default)
    value = whole(told)
    if value is None or value < 0:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"{member}: {told} is out of range")
    return value


def aside(payload: Payload, member: str, context: Context) -> int | None:
    """Read a number that a message can do without: one that no database takes is noted and left out."""
    told = payload.get(member)
    kept = whole(told)
    if kept is None and told is not None:
        context.note("number-out-of-range", f"{member}: {told}")
    return kept


def name(payload: Payload, member: str) -> str:
    """Read a text that names something; one beyond any key's length names nothing."""
    found = str(payload[member]).strip()
    if not 0 < len(found) <= MAX_NAME:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"{member}: {found[:50]} is no name")
    return found


def token(payload: Payload) -> str:
    """Read who an idToken names."""
    return str(payload["idToken"]).strip()[:MAX_NAME]


def id_token_info(authorization: Authorization) -> Payload:
    info: Payload = {"status": STATUS_WORDS[authorization.status]}
    expiries = [each for each in (authorization.expiry_date, authorization.evses_until) if each]
    if expiries:
        info["cacheExpiryDateTime"] = times.write(min(expiries))
    if authorization.evses:
        # C01.FR.20.
        info["evseId"] = list(authorization.evses)
    if authorization.parent and len(authorization.parent) <= MAX_TOKEN:
        # A longer one cannot be told.
        info["groupIdToken"] = group(authorization.parent)
    return info


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


def nothing(result: Any, context: Context) -> Payload:
    return {}
