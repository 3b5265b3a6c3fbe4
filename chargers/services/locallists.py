"""Local authorisation lists: what stations should hold, and what they are believed to (1.6 section 3.5.2).

Entries are spelt in the domain's words, times in whole seconds, so that what was sent and what
should be held compare.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet
from django.db.transaction import atomic

from chargers import representation
from chargers.changes import Changes
from chargers.choices import STATUSES_16, AuthorizationStatus, LimitationKind, OcppVersion, RegistrationStatus
from chargers.models import ChargePoint, IdTag, Limitation, LocalList, Variable
from chargers.models.idtag import tag_key
from chargers.models.locallist import digest_of, paired
from chargers.services import idtags
from chargers.values import (
    Authorization,
    AuthorizationRequest,
    Facts,
    Forgotten,
    ListChange,
    ListEntry,
    ListLimits,
    ListRefusal,
    ListUpdate,
    ListVersion,
    ListWish,
)

OUTCOME_LENGTH = 60
# The configuration key with the number of tags that a station keeps (1.6 section 9.2.2).
MAX_LENGTH_KEY = "LocalAuthListMaxLength"
# The component that tells it in 2.x, as the most that its variable Entries can be.
COMPONENT = "LocalAuthListCtrlr"

Entries = Mapping[str, ListEntry]


# What stations should hold.


class Terms(NamedTuple):
    """What decides what a station's list may hold: its version, how many tags it keeps, if it said so, and whom it forgets."""

    version: str = OcppVersion.V16
    most: int | None = None
    withheld: frozenset[str] = frozenset()


class Wanted:
    """What the lists of stations should hold at a moment, read once for any number of stations.

    These are all tags as Authorize would judge them. A station that keeps no more than so many
    gets those that may charge first.
    """

    def __init__(self, now: datetime) -> None:
        judged = [
            (tag, idtags.judge(AuthorizationRequest("", tag.id_token, now), tag))
            for tag in IdTag.objects.select_related("parent").order_by("id_token")
        ]
        self._judged = sorted(judged, key=lambda each: each[1].status != AuthorizationStatus.ACCEPTED)
        # By whether it is told in the words of 1.6.
        self._entries: dict[bool, Entries] = {}
        self._digests: dict[tuple[bool, int, frozenset[str]], str] = {}

    def entries(self, terms: Terms) -> Entries:
        """Return what a station should hold."""
        every = self._all(terms)
        if terms.withheld:
            every = {token: each for token, each in every.items() if tag_key(token) not in terms.withheld}
        if terms.most is None or terms.most >= len(every):
            return every
        return dict(list(every.items())[: terms.most])

    def digest(self, terms: Terms) -> str:
        every = self._all(terms)
        most = len(every) if terms.most is None else min(terms.most, len(every))
        key = (terms.version == OcppVersion.V16, most, terms.withheld)
        if key not in self._digests:
            self._digests[key] = digest_of(self.entries(terms))
        return self._digests[key]

    def _all(self, terms: Terms) -> Entries:
        is_16 = terms.version == OcppVersion.V16
        if is_16 not in self._entries:
            length = idtags.TAG_LENGTH_16 if is_16 else idtags.TAG_LENGTH_2
            self._entries[is_16] = {
                tag.id_token: entry(authorization, "" if is_16 else tag.spoken_type, length)
                for tag, authorization in self._judged
                if len(tag.id_token) <= length
            }
        return self._entries[is_16]


def entry(authorization: Authorization, token_type: str, length: int) -> ListEntry:
    """Spell what a list tells of a tag, in the words of 1.6 where no type is told.

    A parent that is longer than `length`, the version's longest token, cannot be told.
    """
    status = authorization.status
    if not token_type and status not in STATUSES_16:
        status = AuthorizationStatus.BLOCKED
    spelt: ListEntry = {"status": status.value}
    if authorization.expiry_date:
        spelt["expiry_date"] = representation.time(authorization.expiry_date.replace(microsecond=0)) or ""
    if authorization.parent and len(authorization.parent) <= length:
        spelt["parent"] = authorization.parent
    if token_type:
        spelt["token_type"] = token_type
    return spelt


def terms_of(stations: Iterable[str]) -> dict[str, Terms]:
    """Tell what decides what stations' lists may hold, in one statement for all of them."""
    key = Q(variables__component="", variables__variable__iexact=MAX_LENGTH_KEY)
    entries = Q(variables__component__iexact=COMPONENT, variables__variable__iexact="Entries")
    rows = (
        ChargePoint.objects.filter(pk__in=list(stations))
        .annotate(told=FilteredRelation("variables", condition=key | entries))
        .order_by()
        .values_list(
            "pk",
            "ocpp_version",
            "local_list__withheld",
            "told__component",
            "told__value",
            "told__characteristics",
        )
    )
    found: dict[str, Terms] = {}
    for station, version, withheld, component, value, characteristics in rows:
        keys = frozenset(tag_key(token) for token in withheld or ())
        known = found.setdefault(station, Terms(version or OcppVersion.V16, withheld=keys))
        is_16 = known.version == OcppVersion.V16
        # A station that was updated from 1.6 may have both.
        if is_16 and component == "":
            most = _whole_number(value)
        elif not is_16 and component:
            most = _whole_number((characteristics or {}).get("max_limit"))
        else:
            continue
        found[station] = known._replace(most=most)
    return found


def message_limits(values: Sequence[str], changes: Changes) -> list[ListLimits]:
    """Tell how much of a list stations take in one message (2.0.1 D01.FR.11)."""
    told = Variable.objects.filter(chargepoint__in=values, component__iexact=COMPONENT, attribute="Actual")
    known = {
        (station, variable.casefold()): _whole_number(value)
        for station, variable, value in told.values_list("chargepoint_id", "variable", "value")
    }
    return [
        ListLimits(known.get((station, "itemspermessage")), known.get((station, "bytespermessage")))
        for station in values
    ]


def _whole_number(told: object) -> int | None:
    """Read a number above 0; None where a station tells none."""
    text = str(int(told)) if isinstance(told, float) else str(told if told is not None else "")
    return Facts({"it": text}, frozenset()).number("it")


def wanted_by(values: Sequence[ListWish], changes: Changes) -> list[Entries]:
    """Tell what the lists of stations should hold."""
    wanted = Wanted(max(value.at for value in values))
    terms = terms_of(value.station for value in values)
    return [wanted.entries(terms.get(value.station, Terms())) for value in values]


# How that compares.


def compare(rows: Sequence[LocalList], *, now: datetime) -> Sequence[LocalList]:
    """Set ``wanted`` and ``in_sync`` on rows, in two statements for all of them."""
    wanted = Wanted(now)
    terms = terms_of(row.chargepoint_id for row in rows)
    for row in rows:
        its = terms.get(row.chargepoint_id, Terms())
        row.wanted = wanted.entries(its)
        row.in_sync = row.is_known and row.digest == wanted.digest(its)
    return rows


def change(row: LocalList, wanted: Entries) -> ListChange | None:
    """Return what makes a station hold what it should; None where it does. Unknown ones get all of it."""
    if not row.is_known:
        return ListChange(row.next_version, True, wanted)
    different = {token: (should, held) for token, should, held in paired(wanted, row.entries or {}) if should != held}
    if not different:
        return None
    types = {token: held["token_type"] for token, (_, held) in different.items() if held and "token_type" in held}
    return ListChange(row.next_version, False, {token: should for token, (should, _) in different.items()}, types)


def removal(row: LocalList) -> ListChange | None:
    """Return what takes out of a list that is known whom its station was told to forget; None where it holds none."""
    gone = row.withheld_entries
    types = {token: held["token_type"] for token, held in gone.items() if "token_type" in held}
    return ListChange(row.next_version, False, dict.fromkeys(gone), types) if gone else None


def changed(held: Entries, changes: Mapping[str, ListEntry | None]) -> Entries:
    """Return what a list holds after changes, of which None takes a tag out."""
    touched = {token.casefold() for token in changes}
    kept = {token: each for token, each in held.items() if token.casefold() not in touched}
    return kept | {token: each for token, each in changes.items() if each is not None}


def candidates(versions: Iterable[str], now: datetime) -> QuerySet[LocalList]:
    """Find the lists that are kept up to date by themselves, of `reachable` stations."""
    return reachable(versions, now).filter(automatic=True)


def reachable(versions: Iterable[str], now: datetime) -> QuerySet[LocalList]:
    """Find the lists of stations that can be reached and speak one of `versions`, without their entries.

    Those that were not tried for longest come first.
    """
    unable = Limitation.objects.certain().filter(
        Q(kind=LimitationKind.LOCAL_LIST) | Q(kind=LimitationKind.ACTION, subject="SendLocalList"),
        chargepoint=OuterRef("chargepoint"),
    )
    return (
        LocalList.objects.filter(
            ~Exists(unable),
            chargepoint__ocpp_version__in=list(versions),
            chargepoint__registration_status=RegistrationStatus.ACCEPTED,
            chargepoint__node__lease_until__gt=now,
        )
        .order_by(F("last_attempt").asc(nulls_first=True), "pk")
        .defer("entries")
    )


# What stations are sent, and what they answer.


def row_of(station: ChargePoint) -> LocalList:
    """Return the station's list, locked, made if need be."""
    row, _ = LocalList.objects.select_for_update().get_or_create(chargepoint=station)
    return row


def begin(station: ChargePoint, now: datetime) -> LocalList:
    """Note that the station is about to be sent something."""
    with atomic():
        row = row_of(station)
        row.last_attempt, row.last_outcome = now, ""
        row.save(update_fields=["last_attempt", "last_outcome"])
    return row


def keep(values: Sequence[ListUpdate], changes: Changes) -> list[None]:
    """Keep what stations took: all of a list, or changes of it."""
    for value in values:
        row = _row(value.station)
        if row is not None:
            row.hold(value.version, _held(row, value), value.at)
            row.last_outcome, row.failures = "Accepted", 0
            row.save(
                update_fields=["version", "entries", "digest", "updated_at", "last_outcome", "failures", "forgets"]
            )
    return [None] * len(values)


def _held(row: LocalList, value: ListUpdate) -> Entries | None:
    """Return what a station holds after an update; None where that is not known.

    One that takes changes under a version that is not above its own held another list than we knew.
    One that holds a text under two types, which are two tokens in 2.x, holds what cannot be told here.
    """
    if not value.full and (not row.is_known or value.version <= (row.version or 0)):
        return None
    held = {} if value.full else row.entries or {}
    entries = dict(value.entries)
    known = {token.casefold(): entry.get("token_type") for token, entry in held.items()}
    for token, entry in value.entries.items() if value.put or value.out else ():
        key = token.casefold()
        before = frozenset(filter(None, [known.get(key)]))
        after = (before - value.out.get(key, frozenset())) | value.put.get(key, frozenset())
        if len(after) > 1 or (entry is None and key in value.put):
            return None
        if entry is None and after:
            # It was taken out as a type that the station does not hold it as.
            del entries[token]
    return changed(held, entries)


def refuse(values: Sequence[ListRefusal], changes: Changes) -> list[None]:
    """Note updates that were refused, or not answered; what is held stays as it was."""
    for value in values:
        LocalList.objects.filter(pk=value.station).update(
            last_outcome=value.reason[:OUTCOME_LENGTH], failures=F("failures") + 1
        )
    return [None] * len(values)


def keep_version(values: Sequence[ListVersion], changes: Changes) -> list[None]:
    """Keep the versions that stations told; 0 tells what they hold as well."""
    for value in values:
        row = _row(value.station)
        if row is None:
            continue
        row.reported_version, row.reported_at = value.version, value.at
        if value.version == 0:
            # It may be empty because it was sent so, and still count from there.
            row.hold(row.version or 0, {}, value.at)
        row.save(
            update_fields=["reported_version", "reported_at", "version", "entries", "digest", "updated_at", "forgets"]
        )
    return [None] * len(values)


def forget(values: Sequence[Forgotten], changes: Changes) -> list[None]:
    """Withhold customers from the lists of stations that were told to forget them (2.0.1 N10.FR.02).

    A station leaves its list alone then: only the platform may change it.
    """
    for value in values:
        row = LocalList.objects.select_for_update().filter(pk=value.station).first()
        if row is None or not _may_hold(row, value):
            continue
        if not any(idtags.same(value.id_token, token) for token in row.withheld):
            row.withheld = [*row.withheld, value.id_token]
        row.forgets = not row.is_known or bool(row.withheld_entries)
        row.save(update_fields=["withheld", "forgets"])
    return [None] * len(values)


def _may_hold(row: LocalList, value: Forgotten) -> bool:
    """Tell whether a list holds a customer, or would be sent it by itself; one that nobody knows may hold anybody."""
    if not row.is_known:
        return row.automatic or max(row.version or 0, row.reported_version or 0) > 0
    for token, held in (row.entries or {}).items():
        if idtags.same(value.id_token, token) and _is_type(held.get("token_type"), value.token_type):
            return True
    tag = idtags.find([value.id_token])[value.id_token] if row.automatic else None
    return tag is not None and _is_type(tag.spoken_type, value.token_type)


def _is_type(known: str | None, told: str) -> bool:
    return known is None or known.casefold() == told.casefold()


def allow(row: LocalList, tokens: Iterable[str]) -> None:
    """Withhold tags no longer that somebody wants the station to have."""
    wanted = {tag_key(token) for token in tokens}
    kept = [token for token in row.withheld if tag_key(token) not in wanted]
    if kept != row.withheld:
        row.withheld = kept
        row.forgets = row.forgets and bool(kept)
        row.save(update_fields=["withheld", "forgets"])


def _row(station: str) -> LocalList | None:
    """Return the list of a station, which may have been deleted meanwhile."""
    found = ChargePoint.objects.filter(pk=station).first()
    return row_of(found) if found is not None else None
