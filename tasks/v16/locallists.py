"""Requests that change local lists, and how their entries are spelt on the wire (section 7.1)."""

from collections.abc import Mapping

from chargers.values import ListChange, ListEntry
from tasks import listupdates
from tasks.action import Draft, Payload
from tasks.listupdates import told, whole_seconds


def prepare(draft: Draft) -> Payload:
    """Check that what is sent can be a list, and give it the next version where it was told none."""
    row = listupdates.begin(draft, "listVersion", "idTag", "idTagInfo")
    return {"listVersion": row.next_version, **draft.payload}


def request(change: ListChange) -> Payload:
    """Make the request that brings a change about; what is taken out comes first, to make room."""
    entries = sorted(change.entries.items(), key=lambda each: each[1] is not None)
    sent = {"localAuthorizationList": [_data(*each) for each in entries]} if entries else {}
    return {"listVersion": change.version, **sent, "updateType": "Full" if change.full else "Differential"}


def _data(id_tag: str, entry: ListEntry | None) -> Payload:
    if entry is None:
        return {"idTag": id_tag}
    info = {"expiryDate": entry.get("expiry_date"), "parentIdTag": entry.get("parent"), "status": entry["status"]}
    return {"idTag": id_tag, "idTagInfo": told(info)}


def entries(payload: Payload) -> Mapping[str, ListEntry | None]:
    """Read the entries of a request; None stands for a tag that it takes out."""
    return {each["idTag"]: _entry(each.get("idTagInfo")) for each in payload.get("localAuthorizationList", ())}


def _entry(info: Payload | None) -> ListEntry | None:
    if info is None:
        return None
    read: ListEntry = {"status": info["status"]}
    if "expiryDate" in info:
        read["expiry_date"] = whole_seconds(info["expiryDate"])
    if "parentIdTag" in info:
        read["parent"] = info["parentIdTag"]
    return read
