"""Sending local lists, the same in all versions (1.6 sections 5.10 and 5.15, 2.0.1 D01 and D02)."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from chargers.choices import LimitationKind
from chargers.models.locallist import MAX_VERSION
from chargers.services import locallists
from chargers.values import ListChange, ListEntry, ListLimits, ListRefusal, ListUpdate, ListVersion, ListWish
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload, Question, Script, Step, Talk, limitation

# What a station answers to changes of a list that is not the one it holds.
OUT_OF_STEP = frozenset({"Failed", "VersionMismatch"})
# What a message has around its entries: the frame, the names of the members.
ENVELOPE = 200

# By token, a set of types.
Types = Mapping[str, frozenset[str]]
Dialogue = Generator[Step | Question, Any, Any]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a version spells lists: the member with the version of a list, requests and their entries.

    `limits` finds out how much goes into one message. `types` reads by token, folded, as which types a
    request puts it in and takes it out.
    """

    version: str
    request: Callable[[ListChange], Payload]
    entries: Callable[[Payload], Mapping[str, ListEntry | None]]
    limits: Callable[[Talk], Generator[Question, ListLimits, ListLimits]]
    types: Callable[[Payload], tuple[Types, Types]] = lambda payload: ({}, {})

    def effects(self) -> Mapping[str, Effect]:
        return {"GetLocalListVersion": self.keep_version, "SendLocalList": self.keep_list}

    def scripts(self) -> Mapping[str, Script]:
        return {"SendLocalList": self.send}

    def keep_list(self, asked: Payload, answer: Payload, context: Context) -> list[Work]:
        status = answer.get("status", "")
        if status == "Accepted":
            full = asked["updateType"] == "Full"
            put, out = self.types(asked)
            update = ListUpdate(
                context.station, asked[self.version], full, self.entries(asked), context.received_at, put, out
            )
            return [(locallists.keep, update), _able(context)]
        work: list[Work] = [(locallists.refuse, ListRefusal(context.station, status))]
        return [*work, _unable(context, "answered NotSupported")] if status == "NotSupported" else work

    def keep_version(self, asked: Payload, answer: Payload, context: Context) -> list[Work]:
        version = int(answer[self.version])
        if not -1 <= version <= MAX_VERSION:
            return []
        told: Work = (locallists.keep_version, ListVersion(context.station, version, context.received_at))
        return [told, _unable(context, "told the list version -1") if version < 0 else _able(context)]

    def send(self, asked: Payload, talk: Talk) -> Dialogue:
        """Send a list in parts that the station takes, and all of it where it does not take changes (D01.FR.03)."""
        limits = yield from self.limits(talk)
        answer, version = yield from self._in_parts(asked, limits)
        if asked["updateType"] == "Full" or answer["status"] not in OUT_OF_STEP:
            return answer
        wanted = yield Question(locallists.wanted_by, ListWish(talk.station, datetime.now(UTC)))
        changed = locallists.changed(wanted, self.entries(asked))
        answer, _ = yield from self._in_parts(self.request(ListChange(version, True, changed)), limits)
        return answer

    def _in_parts(self, asked: Payload, limits: ListLimits) -> Dialogue:
        """Send a request, the first part as it is and the rest as changes to that; return the last answer and version.

        The first part that is not taken is the last one.
        """
        version, update = asked[self.version], asked["updateType"]
        parts = _parts(asked.get("localAuthorizationList", []), limits)
        if len(parts) <= 1:
            return (yield Step("SendLocalList", asked)), version
        for number, part in enumerate(parts, 1):
            sent = {**asked, self.version: version, "localAuthorizationList": part, "updateType": update}
            answer = yield Step("SendLocalList", sent)
            if answer["status"] != "Accepted" or number == len(parts):
                break
            version, update = version + 1, "Differential"
        return answer, version


def _parts(whole: list[Payload], limits: ListLimits) -> list[list[Payload]]:
    """Cut entries into parts that fit; one that is too large by itself goes alone."""
    parts: list[list[Payload]] = []
    room = 0
    for each in whole:
        size = len(orjson.dumps(each)) + 1
        full = not parts or (limits.entries is not None and len(parts[-1]) >= limits.entries)
        if full or (limits.size is not None and size > room):
            parts.append([])
            room = (limits.size or 0) - ENVELOPE
        parts[-1].append(each)
        room -= size
    return parts


def _able(context: Context) -> Work:
    return limitation(context, LimitationKind.LOCAL_LIST, "")


def _unable(context: Context, reason: str) -> Work:
    return limitation(context, LimitationKind.LOCAL_LIST, "", reason, certain=True)
