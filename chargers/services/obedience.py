"""Whether stations do what they have accepted: their meters against the limits they took (SC-02).

This is looked at from time to time, and not with each reading: most stations have no limits.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Subquery

from chargers import profiles
from chargers.changes import Changes
from chargers.choices import ChargingProfilePurpose, ChargingRateUnit, ProfileState
from chargers.models import InstalledProfile, MeterValue, Transaction
from chargers.services import installedprofiles, stations
from chargers.services.metervalues import KILO, decimal
from chargers.values import DeviationNote

WITHOUT_EFFECT = "limit-without-effect"

# How long vehicles take to follow a limit, and meters to show it.
SETTLING = timedelta(seconds=60)
# What a meter may show above a limit: by its own error, and by a vehicle's idle needs.
TOLERANCE = 1.1
SLACK = {ChargingRateUnit.A.value: 1.0, ChargingRateUnit.W.value: 500.0}
OFFERED = {ChargingRateUnit.A.value: "Current.Offered", ChargingRateUnit.W.value: "Power.Offered"}


def judge(*, now: datetime, changes: Changes) -> int:
    """Note stations that charge with more than a profile allows that they have accepted; return how many profiles.

    What is offered counts, else what is measured; each profile is found out once.
    """
    unjudged = InstalledProfile.objects.filter(
        state=ProfileState.INSTALLED, without_effect=False, since__lt=now - SETTLING
    )
    newest = MeterValue.objects.filter(transaction=OuterRef("pk")).order_by("-timestamp").values("pk")[:1]
    running = (
        Transaction.objects.filter(chargepoint__in=unjudged.values("chargepoint"), stop_transaction_timestamp=None)
        .annotate(reading=Subquery(newest))
        .exclude(reading=None)
    )
    transactions = list(running)
    readings = MeterValue.objects.in_bulk([row.reading for row in transactions])
    installed: dict[str, list[InstalledProfile]] = {}
    for profile in InstalledProfile.objects.filter(
        state=ProfileState.INSTALLED, chargepoint__in={row.chargepoint_id for row in transactions}
    ):
        installed.setdefault(profile.chargepoint_id, []).append(profile)
    found = 0
    for row in transactions:
        reading = readings.get(row.reading)
        if reading is not None:
            found += _judge(row, reading, installed.get(row.chargepoint_id or "", ()), now, changes)
    return found


def _judge(
    row: Transaction, reading: MeterValue, installed: Iterable[InstalledProfile], now: datetime, changes: Changes
) -> int:
    broken = 0
    for profile in _prevailing(row, installed, reading.timestamp):
        limit = _settled_limit(profile, row, reading.timestamp)
        shown = _shown(reading, limit.unit) if limit else None
        if limit is None or shown is None or profile.without_effect:
            continue
        if shown > limit.limit * TOLERANCE + SLACK[limit.unit]:
            broken += 1
            InstalledProfile.objects.filter(pk=profile.pk).update(without_effect=True)
            # It may limit several transactions.
            profile.without_effect = True
            changes.note(installedprofiles.TOPIC, profile.pk)
            example = f"transaction {row.pk}: {shown:g} {limit.unit} against {limit.limit:g} of {profile.purpose}"
            stations.note_deviations(
                [DeviationNote(profile.chargepoint_id, WITHOUT_EFFECT, f"{example} {profile.chargingprofile_id}", now)],
                changes,
            )
    return broken


def _prevailing(row: Transaction, installed: Iterable[InstalledProfile], at: datetime) -> list[InstalledProfile]:
    """Pick the profiles that rule a transaction at a moment: one for the station, one for itself (section 3.13)."""
    valid = [
        each
        for each in installed
        if _concerns(each, row) and profiles.limit_at(each.profile(), at, row.start_transaction_timestamp)
    ]

    def highest(purpose: str) -> InstalledProfile | None:
        # Of two on a level, that for one connector comes before that for all.
        mine = [each for each in valid if each.purpose == purpose]
        return max(mine, key=lambda each: (each.stack_level, each.evse_id), default=None)

    own = highest(ChargingProfilePurpose.TX) or highest(ChargingProfilePurpose.TX_DEFAULT)
    return [each for each in (highest(ChargingProfilePurpose.STATION_MAX), own) if each is not None]


def _concerns(profile: InstalledProfile, row: Transaction) -> bool:
    if profile.purpose == ChargingProfilePurpose.TX:
        return profile.transaction_id == row.pk
    return profile.evse_id in (0, row.evse_id)


def _settled_limit(profile: InstalledProfile, row: Transaction, at: datetime) -> profiles.Limit | None:
    """Return what a profile has allowed for some time; the higher of two where it changed meanwhile."""
    if at < profile.since + SETTLING:
        return None
    began = row.start_transaction_timestamp
    before, after = (profiles.limit_at(profile.profile(), each, began) for each in (at - SETTLING, at))
    return max(before, after) if before and after else None


def _shown(reading: MeterValue, unit: str) -> float | None:
    """Return what a reading shows in A, on the highest phase, or in W."""
    offered = [value for sample in reading.samples if (value := _offered(sample, OFFERED[unit])) is not None]
    if offered:
        return max(offered)
    return reading.current_a if unit == ChargingRateUnit.A else reading.power_w


def _offered(sample: Any, measurand: str) -> float | None:
    if sample.get("measurand") != measurand or (value := decimal(sample.get("value", ""))) is None:
        return None
    return float(value * KILO if sample.get("unit", "")[:1] == "k" else value)
