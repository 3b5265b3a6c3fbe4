"""How the members that many payloads of OCPP 1.6 have in common are read and written."""

from typing import Any

from chargers.choices import STATUSES_16, AuthorizationStatus, OcppVersion
from chargers.services import idtags
from chargers.values import Authorization
from csms import times
from csms.errors import ErrorCode, RpcError
from csms.repairs import clean
from csms.versions.base import Context, Payload
from csms.versions.members import text

NAME = OcppVersion.V16

MAX_CONNECTOR_ID = 10_000

# What stations write into a text they have nothing to say in (BO-10).
NOTHINGS = frozenset({"null", "(null)", "none", "n/a"})


def remark(payload: Payload, member: str) -> str:
    """Read a text meant for people; one that only fills a field is left out (BO-10)."""
    found = text(payload, member)
    return "" if found.casefold() in NOTHINGS else found


def connector_id(payload: Payload) -> int:
    number = payload["connectorId"]
    if not isinstance(number, int):
        raise RpcError(ErrorCode.TYPE_CONSTRAINT, f"connectorId: {number} is no integer")
    if not 0 <= number <= MAX_CONNECTOR_ID:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"connectorId: {number} is no connector")
    return number


def evse_and_connector(payload: Payload) -> tuple[int, int]:
    number = connector_id(payload)
    return number, 1 if number else 0


def id_tag(payload: Payload, context: Context) -> str:
    """Read a tag without what readers add to it (ID-01)."""
    raw = payload.get("idTag", "")
    tag = clean(raw).strip()[:255]
    if tag != raw:
        context.note("id-tag-padded", raw)
    return tag


def id_tag_info(authorization: Authorization) -> Payload:
    info: Payload = {}
    if authorization.expiry_date:
        info["expiryDate"] = times.write(authorization.expiry_date)
    if authorization.parent and len(authorization.parent) <= idtags.TAG_LENGTH_16:
        info["parentIdTag"] = authorization.parent
    told = authorization.status if authorization.status in STATUSES_16 else AuthorizationStatus.BLOCKED
    info["status"] = told.value
    return info


def nothing(result: Any, context: Context) -> Payload:
    return {}
