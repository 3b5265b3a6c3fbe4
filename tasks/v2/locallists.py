"""Requests that change local lists, and how their entries are spelt on the wire (block D)."""

from collections.abc import Mapping

from chargers.choices import AuthorizationStatus, TokenType
from chargers.values import ListChange, ListEntry
from tasks import listupdates
from tasks.action import Draft, Payload
from tasks.listupdates import told, whole_seconds
from tasks.v2.tokens import STATUS_WORDS, group

CARD = TokenType.ISO14443.value

STATUSES: Mapping[str, AuthorizationStatus] = {
    **{word: status for status, word in STATUS_WORDS.items() if status != AuthorizationStatus.RESERVED},
    "Invalid": AuthorizationStatus.INVALID,
}


def prepare(draft: Draft) -> Payload:
    """Check that what is sent can be a list, and give it the next version where it was told none."""
    row = listupdates.begin(draft, "versionNumber", "idToken", "idTokenInfo")
    return {"versionNumber": row.next_version, **draft.payload}


def request(change: ListChange) -> Payload:
    """Make the request that brings a change about; what is taken out comes first, to make room."""
    out = [
        {"idToken": {"idToken": token, "type": change.types.get(token, CARD)}}
        for token, entry in change.entries.items()
        if entry is None or entry.get("token_type") != change.types.get(token, entry.get("token_type"))
    ]
    data = [*out, *(_data(token, entry) for token, entry in change.entries.items() if entry is not None)]
    sent = {"localAuthorizationList": data} if data else {}
    return {**sent, "versionNumber": change.version, "updateType": "Full" if change.full else "Differential"}


def _data(id_token: str, entry: ListEntry) -> Payload:
    parent = entry.get("parent")
    info = {
        "status": STATUS_WORDS[AuthorizationStatus(entry["status"])],
        "cacheExpiryDateTime": entry.get("expiry_date"),
        "groupIdToken": group(parent) if parent else None,
    }
    named = {"idToken": id_token, "type": entry.get("token_type", CARD)}
    return {"idToken": named, "idTokenInfo": told(info)}


def entries(payload: Payload) -> Mapping[str, ListEntry | None]:
    """Read the entries of a request; None stands for a tag that it takes out."""
    return {
        each["idToken"]["idToken"]: _entry(each["idToken"]["type"], each.get("idTokenInfo"))
        for each in payload.get("localAuthorizationList", ())
    }


def _entry(kind: str, info: Payload | None) -> ListEntry | None:
    if info is None:
        return None
    read: ListEntry = {"status": STATUSES[info["status"]].value, "token_type": kind}
    if "cacheExpiryDateTime" in info:
        read["expiry_date"] = whole_seconds(info["cacheExpiryDateTime"])
    if "groupIdToken" in info:
        read["parent"] = info["groupIdToken"]["idToken"]
    return read


def types(payload: Payload) -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
    """Read by token, folded, the types that a request puts it in as, and those that it takes it out as."""
    put: dict[str, frozenset[str]] = {}
    out: dict[str, frozenset[str]] = {}
    for each in payload.get("localAuthorizationList", ()):
        named = each["idToken"]
        key, which = named["idToken"].casefold(), put if "idTokenInfo" in each else out
        which[key] = which.get(key, frozenset()) | {named["type"]}
    return put, out
