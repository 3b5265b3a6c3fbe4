"""How id tags are spelt in OCPP 2.x, in either direction."""

from collections.abc import Mapping
from typing import Any

from chargers.choices import AuthorizationStatus, TokenType
from chargers.services import idtags

Payload = dict[str, Any]

MAX_TOKEN = idtags.TAG_LENGTH_2

# The domain's words in those of AuthorizationStatusEnumType.
STATUS_WORDS: Mapping[AuthorizationStatus, str] = {
    AuthorizationStatus.ACCEPTED: "Accepted",
    AuthorizationStatus.BLOCKED: "Blocked",
    AuthorizationStatus.CONCURRENT_TX: "ConcurrentTx",
    AuthorizationStatus.EXPIRED: "Expired",
    AuthorizationStatus.INVALID: "Unknown",
    AuthorizationStatus.NO_CREDIT: "NoCredit",
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE: "NotAllowedTypeEVSE",
    AuthorizationStatus.NOT_AT_THIS_LOCATION: "NotAtThisLocation",
    AuthorizationStatus.NOT_AT_THIS_TIME: "NotAtThisTime",
    AuthorizationStatus.RESERVED: "NotAtThisLocation",
}


def group(parent: str) -> Payload:
    """Spell the group of a token (C09); what stands for it is ours."""
    return {"idToken": parent, "type": TokenType.CENTRAL.value}


def group_of(id_token: str) -> Payload | None:
    """Spell the group that a token belongs to, if it has one that can be told."""
    tag = idtags.find([id_token])[id_token]
    return group(tag.parent_id) if tag and tag.parent_id and len(tag.parent_id) <= MAX_TOKEN else None
