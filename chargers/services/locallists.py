"""Local authorisation lists: what stations should hold, and what they are believed to (1.6 section 3.5.2).

Entries are spelt in the domain's words, times in whole seconds, so that what was sent and what
should be held compare.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.transaction import atomic

from chargers import representation
from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, LimitationKind, OcppVersion, RegistrationStatus
from chargers.models import ChargePoint, IdTag, Limitation, LocalList, Variable
from chargers.models.locallist import digest_of, paired
from chargers.services import idtags
from chargers.values import (
    Authorization,
    AuthorizationRequest,
    Facts,
    ListChange,
    ListEntry,
    ListRefusal,
    ListUpdate,
    ListVersion,
    ListWish,
)

OUTCOME_LENGTH = 60
# The configuration key with the number of tags that a station keeps (1.6 section 9.2.2).
MAX_LENGTH_KEY = "LocalAuthListMaxLength"

Entries = Mapping[str, ListEntry]


# What stations should hold.


class Wanted:
    """What the lists of stations should hold at a moment, read once for any number of stations.

    These are all tags as Authorize would judge them. A station that keeps no more than so many
    gets those that may charge first.
    """

    def __init__(self, now: datetime) -> None:
        judged = {
            tag.id_token: idtags.judge(AuthorizationRequest("", tag.id_token, now), tag)
            for tag in IdTag.objects.select_related("parent").order_by("id_token")
            if len(tag.id_token) <= idtags.TAG_LENGTH_16
        }
        first = sorted(judged, key=lambda token: judged[token].status != AuthorizationStatus.ACCEPTED)
        self._entries = {token: entry(judged[token]) for token in first}
        self._digests: dict[int, str] = {}

    def entries(self, most: int | None) -> Entries:
        """Return what a station should hold that keeps no more than `most` tags, if it said so."""
        if most is None or most >= len(self._entries):
            return self._entries
        return dict(list(self._entries.items())[:most])

    def digest(self, most: int | None) -> str:
        length = len(self._entries) if most is None else min(most, len(self._entries))
        if length not in self._digests:
            self._digests[length] = digest_of(self.entries(length))
        return self._digests[length]


def entry(authorization: Authorization) -> ListEntry:
    """Spell what a list tells of a tag; a parent that is too long for OCPP 1.6 cannot be told."""
    spelt: ListEntry = {"status": authorization.status.value}
    if authorization.expiry_date:
        spelt["expiry_date"] = representation.time(authorization.expiry_date.replace(microsecond=0)) or ""
    if authorization.parent and len(authorization.parent) <= idtags.TAG_LENGTH_16:
        spelt["parent"] = authorization.parent
    return spelt


def max_lengths(stations: Iterable[str]) -> dict[str, int | None]:
    """Tell how many tags stations keep; those that never said so are left out."""
    told = Variable.objects.filter(chargepoint__in=list(stations), component="", variable__iexact=MAX_LENGTH_KEY)
    return {
        station: Facts({MAX_LENGTH_KEY.casefold(): value or ""}, frozenset()).number(MAX_LENGTH_KEY)
        for station, value in told.values_list("chargepoint_id", "value")
    }


def wanted_by(values: Sequence[ListWish], changes: Changes) -> list[Entries]:
    """Tell what the lists of stations should hold."""
    wanted = Wanted(max(value.at for value in values))
    most = max_lengths(value.station for value in values)
    return [wanted.entries(most.get(value.station)) for value in values]


# How that compares.


def compare(rows: Sequence[LocalList], *, now: datetime) -> Sequence[LocalList]:
    """Set ``wanted`` and ``in_sync`` on rows, in two statements for all of them."""
    wanted = Wanted(now)
    most = max_lengths(row.chargepoint_id for row in rows)
    for row in rows:
        limit = most.get(row.chargepoint_id)
        row.wanted = wanted.entries(limit)
        row.in_sync = row.is_known and row.digest == wanted.digest(limit)
    return rows


def change(row: LocalList, wanted: Entries) -> ListChange | None:
    """Return what makes a station hold what it should; None where it does. Unknown ones get all of it."""
    if not row.is_known:
        return ListChange(row.next_version, True, wanted)
    different = {token: should for token, should, held in paired(wanted, row.entries or {}) if should != held}
    return ListChange(row.next_version, False, different) if different else None


def changed(held: Entries, changes: Mapping[str, ListEntry | None]) -> Entries:
    """Return what a list holds after changes, of which None takes a tag out."""
    touched = {token.casefold() for token in changes}
    kept = {token: each for token, each in held.items() if token.casefold() not in touched}
    return kept | {token: each for token, each in changes.items() if each is not None}


def candidates(now: datetime) -> QuerySet[LocalList]:
    """Find the lists that are kept up to date by themselves and whose stations can be reached, without their entries.

    Those that were not tried for longest come first.
    """
    unable = Limitation.objects.certain().filter(
        Q(kind=LimitationKind.LOCAL_LIST) | Q(kind=LimitationKind.ACTION, subject="SendLocalList"),
        chargepoint=OuterRef("chargepoint"),
    )
    return (
        LocalList.objects.filter(
            ~Exists(unable),
            automatic=True,
            chargepoint__ocpp_version=OcppVersion.V16,
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
            row.save(update_fields=["version", "entries", "digest", "updated_at", "last_outcome", "failures"])
    return [None] * len(values)


def _held(row: LocalList, value: ListUpdate) -> Entries | None:
    """Return what a station holds after an update; None where that is not known.

    One that takes changes under a version that is not above its own held another list than we knew.
    """
    if value.full:
        return changed({}, value.entries)
    if not row.is_known or value.version <= (row.version or 0):
        return None
    return changed(row.entries or {}, value.entries)


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
        row.save(update_fields=["reported_version", "reported_at", "version", "entries", "digest", "updated_at"])
    return [None] * len(values)


def _row(station: str) -> LocalList | None:
    """Return the list of a station, which may have been deleted meanwhile."""
    found = ChargePoint.objects.filter(pk=station).first()
    return row_of(found) if found is not None else None
