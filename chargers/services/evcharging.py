"""Vehicles that speak ISO 15118: what they need, what they are given, and how they say they will charge.

A vehicle's needs are answered with a schedule of the scheduler's (2.0.1 K15, K17). The schedule it
then tells is held against that, and one that exceeds it is answered with a new one (K16).
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from chargers import profiles, scheduling
from chargers.changes import Changes
from chargers.choices import ChargingNeedsStatus, ChargingProfileKind, ChargingProfilePurpose, ProfileState
from chargers.models import ChargePoint, ChargingLimit, ChargingNeeds, EVSchedule, InstalledProfile, Transaction
from chargers.profiles import Limit
from chargers.scheduling import DIRECT_CURRENT, Later, Session
from chargers.services import chargingprofiles, limitations
from chargers.values import (
    EVScheduleReport,
    Facts,
    Needs,
    NeedsReport,
    Negotiated,
    PlacedProfile,
    Profile,
    Schedule,
)

logger = logging.getLogger(__name__)

NEEDS_TOPIC = "chargingneeds"
SCHEDULE_TOPIC = "evschedule"

ACCEPTED, REJECTED = "Accepted", "Rejected"
# The reason codes of OCPP (2.0.1 appendix 5).
NO_TRANSACTION = "TxNotFound"
# A vehicle that goes on to exceed what it is given is told so, and gets nothing new, until it tells its needs again.
MOST_RENEGOTIATIONS = 3
# Vehicles reckon in whole watts, and in tenths of amperes.
SLACK = {"A": 0.1, "W": 1.0}
# How far ahead a schedule without an end is looked at.
HORIZON = timedelta(hours=24)


def negotiate(values: Sequence[NeedsReport], changes: Changes) -> list[Negotiated]:
    """Keep what vehicles need, and make each a schedule."""
    return [_negotiate(value, changes) for value in values]


def _negotiate(value: NeedsReport, changes: Changes) -> Negotiated:
    if not ChargePoint.objects.filter(pk=value.station).exists():
        return Negotiated(REJECTED)
    transaction = _transaction_at(value.station, value.evse_id)
    needs = value.needs
    row = ChargingNeeds(
        chargepoint_id=value.station,
        evse_id=value.evse_id,
        transaction=transaction,
        requested_energy_transfer=needs.requested_energy_transfer,
        departure_time=needs.departure_time,
        max_schedule_tuples=needs.max_schedule_tuples,
        parameters=dict(needs.parameters),
        status=ChargingNeedsStatus.REJECTED,
        received_at=value.at,
    )
    planned = _plan(row, needs, value.at) if transaction else Negotiated(REJECTED, NO_TRANSACTION)
    row.status = planned.status
    row.save()
    changes.note(NEEDS_TOPIC, row.pk, "created")
    return planned


def _transaction_at(station: str, evse_id: int) -> Transaction | None:
    """Return what runs at an EVSE, the newest where several do; only the station's own id names it to the station."""
    running = Transaction.objects.filter(
        chargepoint=station, evse_id=evse_id, stop_transaction_timestamp=None, uuid__isnull=False
    )
    return running.order_by("-pk").first()


def _plan(row: ChargingNeeds, needs: Needs, at: datetime) -> Negotiated:
    """Have a schedule made and say how it is set; the row then knows the profile again."""
    transaction = row.transaction
    if transaction is None:
        return Negotiated(REJECTED, NO_TRANSACTION)
    station = transaction.chargepoint_id or ""
    others = [each for each in _installed_for(transaction) if not _is_ours(each, transaction)]
    facts = limitations.facts([station], Changes())[0]
    try:
        schedules = scheduling.ask(_session(row, transaction, needs, at, others, facts))
    except Later:
        return Negotiated(ChargingNeedsStatus.PROCESSING.value)
    if not schedules:
        return Negotiated(REJECTED)
    profile = Profile(
        chargingprofile_id=_number(transaction, others) or chargingprofiles.choose_id(station),
        stack_level=_free_level(others),
        purpose=ChargingProfilePurpose.TX.value,
        kind=_kind(schedules),
        schedules=schedules,
        transaction_id=transaction.uuid,
    )
    problems = chargingprofiles.problems_of_setting(profile, station=station, evse_id=row.evse_id, facts=facts)
    if problems:
        logger.error("%s: what the scheduler made for EVSE %d cannot be sent: %s", station, row.evse_id, problems)
        return Negotiated(REJECTED)
    if row.schedules:
        row.replaced = [*row.replaced, row.schedules]
    row.chargingprofile_id, row.schedules = profile.chargingprofile_id, list(schedules)
    return Negotiated(ACCEPTED, profile=PlacedProfile(row.evse_id, profile))


def _kind(schedules: Sequence[Schedule]) -> str:
    absolute = all(each.get("start_schedule") for each in schedules)
    return ChargingProfileKind.ABSOLUTE.value if absolute else ChargingProfileKind.RELATIVE.value


def _session(
    row: ChargingNeeds,
    transaction: Transaction,
    needs: Needs,
    at: datetime,
    others: Sequence[InstalledProfile],
    facts: Facts,
) -> Session:
    external = ChargingLimit.objects.filter(chargepoint=row.chargepoint_id, evse_id__in=(0, row.evse_id))
    most = [each for each in (needs.max_schedule_tuples, chargingprofiles.max_periods(facts)) if each]
    return Session(
        station=row.chargepoint_id,
        evse_id=row.evse_id,
        transaction_id=transaction.pk,
        id_token=transaction.id_tag_id,
        began=transaction.start_transaction_timestamp,
        needs=needs,
        at=at,
        units=chargingprofiles.allowed_units(facts),
        max_periods=min(most, default=None),
        limits=_stacks(others, list(external)),
    )


def _installed_for(transaction: Transaction) -> list[InstalledProfile]:
    """Read the profiles that a transaction is subject to."""
    at_place = Q(evse_id__in=(0, transaction.evse_id)) & ~Q(purpose=ChargingProfilePurpose.TX)
    return list(
        InstalledProfile.objects.filter(
            at_place | Q(transaction=transaction), chargepoint=transaction.chargepoint_id, state=ProfileState.INSTALLED
        )
    )


def _stacks(others: Sequence[InstalledProfile], external: Sequence[ChargingLimit]) -> list[list[Profile]]:
    """Sort limits into stacks: what rules the transaction, what rules the station, and each limit of others."""
    ordered = sorted(others, key=lambda each: (each.stack_level, each.evse_id), reverse=True)

    def of(purpose: str) -> list[Profile]:
        return [each.profile() for each in ordered if each.purpose == purpose]

    # A TxProfile overrules the default (K02.FR.04).
    own = [*of(ChargingProfilePurpose.TX), *of(ChargingProfilePurpose.TX_DEFAULT)]
    alone = [*of(ChargingProfilePurpose.STATION_EXTERNAL), *(one for each in external for one in each.profiles())]
    return [own, of(ChargingProfilePurpose.STATION_MAX), *([each] for each in alone)]


def _is_ours(row: InstalledProfile, transaction: Transaction) -> bool:
    """Tell whether a profile is one that a vehicle was given, and not an operator's."""
    given = ChargingNeeds.objects.filter(transaction=transaction, chargingprofile_id=row.chargingprofile_id)
    return any(row.schedules in (each.schedules, *each.replaced) for each in given)


def _number(transaction: Transaction, others: Sequence[InstalledProfile]) -> int | None:
    """Return the number of the profile that the vehicle was given before, unless somebody else has taken it."""
    newest = (
        ChargingNeeds.objects.filter(transaction=transaction).exclude(chargingprofile_id=None).order_by("-pk").first()
    )
    number = newest.chargingprofile_id if newest else None
    return None if number in {each.chargingprofile_id for each in others} else number


def _free_level(others: Sequence[InstalledProfile]) -> int:
    """Return the lowest level that no other TxProfile of the transaction has (K01.FR.39)."""
    taken = {each.stack_level for each in others if each.purpose == ChargingProfilePurpose.TX}
    return next(level for level in range(len(taken) + 1) if level not in taken)


# What vehicles say that they will do.


def judge(values: Sequence[EVScheduleReport], changes: Changes) -> list[Negotiated]:
    """Keep the schedules that vehicles tell, and hold each against what the vehicle was given."""
    return [_judge(value, changes) for value in values]


def _judge(value: EVScheduleReport, changes: Changes) -> Negotiated:
    if not ChargePoint.objects.filter(pk=value.station).exists():
        return Negotiated(REJECTED)
    transaction = _transaction_at(value.station, value.evse_id)
    within = transaction is None or _keeps_to_limits(value, transaction)
    row = EVSchedule.objects.create(
        chargepoint_id=value.station,
        evse_id=value.evse_id,
        transaction=transaction,
        time_base=value.time_base,
        schedule=value.schedule,
        within_limits=within,
        received_at=value.at,
    )
    changes.note(SCHEDULE_TOPIC, row.pk, "created")
    if within or transaction is None:
        return Negotiated(ACCEPTED)
    return Negotiated(REJECTED, profile=_renegotiate(transaction, value.at, changes))


def _keeps_to_limits(value: EVScheduleReport, transaction: Transaction) -> bool:
    """Tell whether a vehicle keeps to its TxProfiles; where it names one of several schedules, that one counts."""
    stack = [_chosen(each, value.schedule.get("id")) for each in _given(transaction)]
    began, direct = transaction.start_transaction_timestamp, _is_direct(transaction)
    told = _as_profile(value)
    end = value.time_base + HORIZON
    points = {value.time_base, *profiles.turning_points(told, value.time_base, end, None)}
    for each in stack:
        points |= profiles.turning_points(each, value.time_base, end, began)
    for point in points:
        wanted, allowed = profiles.limit_at(told, point, None), profiles.prevailing(stack, point, began)
        if wanted and allowed and not _fits(wanted, allowed, direct=direct):
            return False
    return True


def _given(transaction: Transaction) -> list[Profile]:
    """Return the TxProfiles of a transaction, the highest level first.

    The one that was sent last counts although its answer may not be stored yet: vehicles are quick.
    """
    rows = [each for each in _installed_for(transaction) if each.purpose == ChargingProfilePurpose.TX]
    rows.sort(key=lambda each: each.stack_level, reverse=True)
    newest = ChargingNeeds.objects.filter(transaction=transaction).exclude(schedules=[]).order_by("-pk").first()
    if newest is None:
        return [each.profile() for each in rows]
    sent = _tx_profile(_kind(newest.schedules), newest.schedules)
    return [sent if _is_ours(each, transaction) else each.profile() for each in rows] or [sent]


def _tx_profile(kind: str, schedules: Sequence[Schedule]) -> Profile:
    return Profile(0, 0, ChargingProfilePurpose.TX.value, kind, schedules)


def _chosen(profile: Profile, number: int | None) -> Profile:
    mine = [each for each in profile.schedules if number is not None and each.get("id") == number]
    return replace(profile, schedules=mine) if mine else profile


def _as_profile(value: EVScheduleReport) -> Profile:
    """Say a vehicle's schedule as a profile, whose periods count from the time base."""
    schedule: Schedule = {**value.schedule, "start_schedule": value.time_base.isoformat()}
    return _tx_profile(ChargingProfileKind.ABSOLUTE.value, [schedule])


def _is_direct(transaction: Transaction) -> bool:
    newest = ChargingNeeds.objects.filter(transaction=transaction).order_by("-pk").first()
    return newest is not None and newest.requested_energy_transfer == DIRECT_CURRENT


def _fits(wanted: Limit, allowed: Limit, *, direct: bool) -> bool:
    if wanted.unit != allowed.unit and direct:
        # The voltage between the two is the vehicle's, and changes.
        return True
    most = profiles.converted(allowed, wanted.unit, settings.NOMINAL_VOLTAGE)
    return wanted.limit <= most + SLACK[wanted.unit]


def _renegotiate(transaction: Transaction, at: datetime, changes: Changes) -> PlacedProfile | None:
    """Make a vehicle that exceeds its limits a new schedule (K15.FR.13, K16), but not without end."""
    row = ChargingNeeds.objects.filter(transaction=transaction).order_by("-pk").first()
    if row is None:
        return None
    exceeding = EVSchedule.objects.filter(transaction=transaction, within_limits=False)
    if exceeding.filter(received_at__gte=row.received_at).count() > MOST_RENEGOTIATIONS:
        return None
    needs = Needs(row.requested_energy_transfer, row.departure_time, row.max_schedule_tuples, row.parameters)
    planned = _plan(row, needs, at)
    row.save()
    changes.note(NEEDS_TOPIC, row.pk)
    return planned.profile
