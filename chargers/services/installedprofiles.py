"""Charging profiles that stations are believed to have, by what they answered.

A profile comes with an accepted SetChargingProfile or remote start, and goes when it is cleared or
replaced, or when its transaction ends (OCPP 1.6 sections 3.13.1, 5.5 and 5.16). A station that
refuses, or answers nothing, changes nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from chargers import profiles, representation
from chargers.changes import Changes
from chargers.choices import ChargingProfilePurpose, ProfileState
from chargers.models import ChargePoint, InstalledProfile, Transaction
from chargers.services import idtags, removals, room
from chargers.values import (
    PlacedProfile,
    Profile,
    ProfileExpected,
    ProfileInstalled,
    ProfilesCleared,
    ProfilesListed,
    ProfilesTold,
    Started,
    TransactionStart,
)

TOPIC = "chargingprofile"

# A start that happened longer before a profile was sent for one cannot be the one.
CLOCK_SLACK = timedelta(minutes=5)


def install(values: Sequence[ProfileInstalled], changes: Changes) -> list[None]:
    """Keep profiles that stations took, in place of those that they replace."""
    for value in values:
        if not ChargePoint.objects.filter(pk=value.station).exists():
            continue
        transaction = _transaction_of(value.station, value.profile)
        if transaction is None or transaction.is_open:
            _install(value, transaction, changes)
    return [None] * len(values)


def _transaction_of(station: str, profile: Profile) -> Transaction | None:
    """Find the transaction that a profile names, by our number or by the station's own id (TX-18)."""
    told = profile.transaction_id
    if told is None:
        return None
    named = Q(uuid=str(told)) if isinstance(told, str) else Q(pk=told) | Q(uuid=str(told))
    mine = Transaction.objects.filter(named, chargepoint=station)
    return next(iter(sorted(mine, key=lambda row: row.pk != told)), None)


def _install(value: ProfileInstalled, transaction: Transaction | None, changes: Changes) -> None:
    replaced = _replaced(value.profile, value.station, value.evse_id)
    _remove([row for row in replaced if not value.stands_beside or _is_in_the_way(row, value.profile)], changes)
    _keep(value, changes, transaction=transaction)


def _is_in_the_way(row: InstalledProfile, profile: Profile) -> bool:
    same = row.chargingprofile_id == profile.chargingprofile_id
    return same or profiles.overlap(row.profile(), profile)


def _keep(value: ProfileInstalled | ProfileExpected, changes: Changes, **more: Any) -> None:
    row = InstalledProfile(
        chargepoint_id=value.station,
        evse_id=value.evse_id,
        chargingprofile_id=value.profile.chargingprofile_id,
        command_id=value.command_id,
        since=value.at,
        **more,
    )
    row.say(value.profile)
    row.save()
    changes.note(TOPIC, row.pk, "created")


def _held(station: str) -> QuerySet[InstalledProfile]:
    """Read what a station has: what is due for it is not there yet."""
    return InstalledProfile.objects.filter(chargepoint=station).exclude(state=ProfileState.DUE)


def _replaced(profile: Profile, station: str, evse_id: int) -> QuerySet[InstalledProfile]:
    """Read what a profile takes the place of: the same id, or the same purpose and level there (section 5.16.3)."""
    same_place = Q(
        state=ProfileState.INSTALLED, evse_id=evse_id, purpose=profile.purpose, stack_level=profile.stack_level
    )
    mine = InstalledProfile.objects.filter(chargepoint=station)
    return mine.filter(same_place | Q(chargingprofile_id=profile.chargingprofile_id))


def in_the_way(profile: Profile, station: str, evse_id: int) -> InstalledProfile | None:
    """Return what has the level of a profile at its place, and is valid at the same time (2.0.1 K01.FR.06, K01.FR.39).

    For a TxProfile its place is its transaction. One of the same id is replaced, so it is not in the way.
    """
    others = _held(station).filter(purpose=profile.purpose, stack_level=profile.stack_level)
    if profile.purpose == ChargingProfilePurpose.TX:
        transaction = _transaction_of(station, profile)
        others = others.filter(transaction=transaction) if transaction else others.none()
    elif profile.purpose == ChargingProfilePurpose.TX_DEFAULT and evse_id:
        # One at EVSE 0 holds for all, and excludes others there (K01.FR.52, K01.FR.53).
        others = others.filter(evse_id__in=(0, evse_id))
    elif profile.purpose != ChargingProfilePurpose.TX_DEFAULT:
        others = others.filter(evse_id=evse_id)
    others = others.exclude(chargingprofile_id=profile.chargingprofile_id)
    return next((row for row in others if profiles.overlap(row.profile(), profile)), None)


def left_beside(profile: Profile, station: str, evse_id: int) -> int:
    """Count what a station would have besides a new profile."""
    replaced = _replaced(profile, station, evse_id).values("pk")
    return _held(station).exclude(pk__in=replaced).count()


def _remove(rows: Iterable[InstalledProfile], changes: Changes) -> list[int]:
    return removals.remove(rows, TOPIC, representation.installedprofile, changes)


def clear(values: Sequence[ProfilesCleared], changes: Changes) -> list[None]:
    """Forget profiles that stations have cleared: by id, else those that match all that was told (errata 3.25, 3.26).

    One that answers that it knows none such has none either.
    """
    for value in values:
        # Those of others are not the platform's to clear (2.0.1 K10.FR.04, K10.FR.09).
        rows = _held(value.station).exclude(purpose=ChargingProfilePurpose.STATION_EXTERNAL)
        if value.chargingprofile_id is not None:
            rows = rows.filter(chargingprofile_id=value.chargingprofile_id)
        else:
            wanted = {"evse_id": value.evse_id, "purpose": value.purpose, "stack_level": value.stack_level}
            rows = rows.filter(**{name: each for name, each in wanted.items() if each is not None})
            if value.evse_id == 0:
                # What waits for a transaction anywhere is not at the station as a whole.
                rows = rows.exclude(state=ProfileState.PENDING)
        _remove(rows, changes)
    return [None] * len(values)


# What stations say that they have (2.0.1 K09).


def report(values: Sequence[ProfilesTold], changes: Changes) -> list[None]:
    """Believe what stations list; what they do not list is the matter of `conclude`."""
    for value in values:
        if ChargePoint.objects.filter(pk=value.station).exists():
            for profile in value.profiles:
                _believe(profile, value, changes)
    return [None] * len(values)


def _believe(profile: Profile, value: ProfilesTold, changes: Changes) -> None:
    rows = _held(value.station).filter(chargingprofile_id=profile.chargingprofile_id)
    row = rows.order_by("state").first() or InstalledProfile(
        chargepoint_id=value.station, chargingprofile_id=profile.chargingprofile_id, since=value.at
    )
    created = row.pk is None
    if created and not room.fitting([row], settings.OCPP_MAX_RECORDS, changes):
        return
    before = None if created else representation.installedprofile(row)
    if row.state == ProfileState.INSTALLED:
        row.evse_id = value.evse_id
        # Stations may leave out which transaction it was.
        row.transaction = _transaction_of(value.station, profile) or row.transaction
    row.say(profile)
    row.source, row.told_at = value.source, value.at
    row.save()
    if representation.installedprofile(row) != before:
        changes.note(TOPIC, row.pk, "created" if created else "updated")


def conclude(values: Sequence[ProfilesListed], changes: Changes) -> list[None]:
    """Forget what stations have not listed although it matches what they were asked for.

    What they were given meanwhile stays, and so does what waits for a transaction.
    """
    for value in values:
        rows = InstalledProfile.objects.filter(
            Q(told_at=None) | Q(told_at__lt=value.since),
            chargepoint=value.station,
            state=ProfileState.INSTALLED,
            since__lt=value.since,
        )
        asked = value.criteria
        wanted = {
            "chargingprofile_id__in": asked.chargingprofile_ids,
            "evse_id": asked.evse_id,
            "purpose": asked.purpose,
            "stack_level": asked.stack_level,
            "source__in": asked.sources,
        }
        _remove(rows.filter(**{name: each for name, each in wanted.items() if each is not None}), changes)
    return [None] * len(values)


def forget_external(station: str, source: str, evse_id: int | None, changes: Changes) -> None:
    """Forget the external constraints of a source that limits no more, at one EVSE or everywhere."""
    rows = InstalledProfile.objects.filter(
        chargepoint=station, purpose=ChargingProfilePurpose.STATION_EXTERNAL, source=source
    )
    _remove(rows if evse_id is None else rows.filter(evse_id=evse_id), changes)


# Profiles of transactions that are about to begin.


def expect(values: Sequence[ProfileExpected], changes: Changes) -> list[None]:
    """Keep profiles that belong to transactions which remote starts are to begin."""
    for value in values:
        if ChargePoint.objects.filter(pk=value.station).exists():
            _expect(value, changes)
    return [None] * len(values)


def _expect(value: ProfileExpected, changes: Changes) -> None:
    waiting = InstalledProfile.objects.filter(chargepoint=value.station, evse_id=value.evse_id, transaction=None)
    earlier = waiting.exclude(state=ProfileState.INSTALLED)
    _remove([row for row in earlier if idtags.same(row.id_token, value.id_token)], changes)
    if not value.due and (begun := _just_begun(value)):
        installed = ProfileInstalled(value.station, begun.evse_id, value.profile, value.at, value.command_id)
        _install(installed, begun, changes)
    else:
        state = ProfileState.DUE if value.due else ProfileState.PENDING
        _keep(value, changes, state=state, id_token=value.id_token, remote_start_id=value.remote_start_id)


def _just_begun(value: ProfileExpected) -> Transaction | None:
    """Find the transaction where its start overtook the answer to the remote start."""
    recent = Transaction.objects.filter(
        chargepoint=value.station,
        stop_transaction_timestamp__isnull=True,
        received_at__gte=value.at - timedelta(seconds=settings.OCPP_TIMEOUT),
    )
    if value.evse_id:
        recent = recent.filter(evse_id=value.evse_id)
    if value.remote_start_id is not None and (named := recent.filter(remote_start_id=value.remote_start_id).first()):
        return named
    return next((row for row in recent if idtags.echoes(row.id_tag_id or "", value.id_token)), None)


def forget_expected(values: Sequence[UUID], changes: Changes) -> list[None]:
    """Forget what waits for the transaction of a remote start that came to nothing, by its command."""
    _remove(InstalledProfile.objects.filter(command_id__in=values, state=ProfileState.DUE), changes)
    return [None] * len(values)


def begin(values: Sequence[TransactionStart], started: Sequence[Started], changes: Changes) -> list[Started]:
    """Give transactions that have begun the profiles that waited for them; say what is due to be set.

    Costs one query a batch where nothing waits.
    """
    waiting = InstalledProfile.objects.select_for_update().filter(
        Q(transaction__isnull=True) | Q(state=ProfileState.DUE),
        chargepoint__in={value.station for value in values},
        purpose=ChargingProfilePurpose.TX,
    )
    rows = {row.pk: row for row in waiting.order_by("pk")}
    if not rows:
        return list(started)
    return [_begin(value, each, rows, changes) for value, each in zip(values, started, strict=True)]


def _begin(value: TransactionStart, started: Started, rows: dict[int, InstalledProfile], changes: Changes) -> Started:
    if started.repeated:
        # The answer to the first was lost, and perhaps what was to follow it.
        row = next((each for each in rows.values() if each.transaction_id == started.transaction_id), None)
        return _with_due(started, row) if row else started
    for key in _remove([each for each in rows.values() if _is_left_over(each, value)], changes):
        del rows[key]
    row = next((each for each in reversed(rows.values()) if _waits_for(each, value)), None)
    if row is None:
        return started
    row.evse_id, row.transaction_id, row.since = value.evse_id, started.transaction_id, value.received_at
    if row.state == ProfileState.PENDING:
        row.state = ProfileState.INSTALLED
        del rows[row.pk]
        for key in _remove(_replaced(row.profile(), value.station, value.evse_id).exclude(pk=row.pk), changes):
            rows.pop(key, None)
    row.save()
    changes.note(TOPIC, row.pk)
    return _with_due(started, row) if row.state == ProfileState.DUE else started


def _with_due(started: Started, row: InstalledProfile) -> Started:
    return replace(started, due=PlacedProfile(row.evse_id, row.profile()))


def _is_left_over(row: InstalledProfile, value: TransactionStart) -> bool:
    """Tell whether a profile is of a transaction that nobody knew, and that has ended: another begins there."""
    here = row.chargepoint_id == value.station and row.evse_id == value.evse_id
    return here and row.state == ProfileState.INSTALLED and value.at > row.since


def _waits_for(row: InstalledProfile, value: TransactionStart) -> bool:
    """Tell whether a profile was meant for this transaction: the same tag, the same connector if one was named.

    A 2.x station names the remote start by its id (F02.FR.21).
    """
    here = row.chargepoint_id == value.station and row.evse_id in (0, value.evse_id) and value.evse_id > 0
    in_time = row.since - CLOCK_SLACK <= value.at and value.received_at <= row.since + _grace()
    waits = row.state != ProfileState.INSTALLED and row.transaction_id is None
    if None not in (row.remote_start_id, value.remote_start_id):
        return waits and here and row.remote_start_id == value.remote_start_id
    return waits and here and in_time and idtags.echoes(value.id_token, row.id_token)


def _grace() -> timedelta:
    return timedelta(seconds=settings.OCPP_REMOTE_START_GRACE)


def end(transactions: Collection[int], changes: Changes) -> None:
    """Forget the profiles of transactions that have ended (section 3.13.1)."""
    _remove(InstalledProfile.objects.filter(transaction__in=transactions), changes)


def sweep(*, now: datetime, changes: Changes) -> None:
    """Forget what waits for transactions that never began."""
    waiting = InstalledProfile.objects.exclude(state=ProfileState.INSTALLED)
    _remove(waiting.filter(since__lt=now - _grace()), changes)
