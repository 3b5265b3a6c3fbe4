"""Local authorisation lists (sections 5.10 and 5.15)."""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import Any

from chargers.choices import LimitationKind
from chargers.models.locallist import MAX_VERSION
from chargers.services import locallists
from chargers.values import ListChange, ListRefusal, ListUpdate, ListVersion, ListWish
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload, Question, Script, Step, Talk, limitation
from tasks.v16.locallists import entries, request

# What a station answers to changes of a list that is not the one it holds (section 5.15).
OUT_OF_STEP = frozenset({"Failed", "VersionMismatch"})


def keep_list(asked: Payload, answer: Payload, context: Context) -> list[Work]:
    status = answer.get("status", "")
    if status == "Accepted":
        update = ListUpdate(
            context.station, asked["listVersion"], asked["updateType"] == "Full", entries(asked), context.received_at
        )
        return [(locallists.keep, update), _able(context)]
    work: list[Work] = [(locallists.refuse, ListRefusal(context.station, status))]
    return [*work, _unable(context, "answered NotSupported")] if status == "NotSupported" else work


def keep_version(asked: Payload, answer: Payload, context: Context) -> list[Work]:
    version = int(answer["listVersion"])
    if not -1 <= version <= MAX_VERSION:
        return []
    told: Work = (locallists.keep_version, ListVersion(context.station, version, context.received_at))
    return [told, _unable(context, "told the list version -1") if version < 0 else _able(context)]


def _able(context: Context) -> Work:
    return limitation(context, LimitationKind.LOCAL_LIST, "")


def _unable(context: Context, reason: str) -> Work:
    return limitation(context, LimitationKind.LOCAL_LIST, "", reason, certain=True)


def send_local_list(asked: Payload, talk: Talk) -> Generator[Step | Question, Any, Payload]:
    """Send a list in parts that the station takes, and all of it where it does not take changes (section 5.15)."""
    answer, version = yield from _in_parts(asked, talk)
    if asked["updateType"] == "Full" or answer["status"] not in OUT_OF_STEP:
        return answer
    wanted = yield Question(locallists.wanted_by, ListWish(talk.station, datetime.now(UTC)))
    changed = locallists.changed(wanted, entries(asked))
    answer, _ = yield from _in_parts(request(ListChange(version, True, changed)), talk)
    return answer


def _in_parts(asked: Payload, talk: Talk) -> Generator[Step, Payload, tuple[Payload, int]]:
    """Send a request, the first part as it is and the rest as changes to that; return the last answer and its version.

    The first part that is not taken is the last one.
    """
    whole, version = asked.get("localAuthorizationList", []), asked["listVersion"]
    size = talk.facts.number("SendLocalListMaxLength") or max(len(whole), 1)
    if len(whole) <= size:
        return (yield Step("SendLocalList", asked)), version
    update = asked["updateType"]
    for start in range(0, len(whole), size):
        part = {"listVersion": version, "localAuthorizationList": whole[start : start + size], "updateType": update}
        answer = yield Step("SendLocalList", part)
        if answer["status"] != "Accepted" or start + size >= len(whole):
            break
        version, update = version + 1, "Differential"
    return answer, version


EFFECTS: Mapping[str, Effect] = {"GetLocalListVersion": keep_version, "SendLocalList": keep_list}
SCRIPTS: Mapping[str, Script] = {"SendLocalList": send_local_list}
