"""Setting charging profiles, the same in all versions (1.6 section 3.13, 2.0.1 K01).

A station that refuses a profile is asked once more in another way where that says the same, or
less, and what it does not take is remembered. Not so in a strict platform, where a refusal stands.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings

from chargers import profiles
from chargers.choices import LimitationKind
from chargers.services import chargingprofiles
from chargers.values import Facts, Profile
from csms.versions.base import CallFailed, Payload, Step, Talk
from tasks.models import CommandStatus

ACTION = "SetChargingProfile"
# Error codes of a station that understands a profile and does not want it (1.6 errata 3.38).
REFUSALS = frozenset({"PropertyConstraintViolation", "TypeConstraintViolation"})
# Reasons of 2.x that no other way of saying a profile mends.
HOPELESS = frozenset(
    {
        "DuplicateProfile",
        "InvalidMessageSeq",
        "InvalidStackLevel",
        "OutOfMemory",
        "OutOfStorage",
        "TooManyElements",
        "TxNotFound",
        "UnknownEvse",
        "UnknownTxId",
    }
)

# The answer to a CALL, or why it has none.
Outcome = Payload | CallFailed
Dialogue = Generator[Step, Payload, Outcome]


def is_tolerant() -> bool:
    return bool(settings.OCPP_VALIDATION != "strict")


class Way(NamedTuple):
    """Another way to say a profile; `kind` and `subject` name what the station does not take if that works."""

    kind: LimitationKind
    subject: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a version sets a profile: the request for an EVSE, and whether it lets a profile be Relative."""

    request: Callable[[int, Profile], Payload]
    may_be_relative: Callable[[Profile], bool]

    def set(self, asked: Payload, evse_id: int, profile: Profile, talk: Talk) -> Dialogue:
        """Set a profile as the station takes it, as far as that is known or can be found out (SC-04 to SC-06).

        `asked` is the request that says it as it was asked for. Returns the refusal of that where no
        other way helps.
        """
        if len(profile.schedules) > 1:
            # A vehicle chooses one of them, so they must stay what they are (2.0.1 K15).
            return (yield from attempt(Step(ACTION, asked)))
        known = self._as_known(profile, evse_id, talk.facts)
        request = asked if known == profile else self.request(evse_id, known)
        answer = yield from self._set_in_time(request, evse_id, known, talk)
        if not is_refused(answer) or not is_tolerant() or _is_hopeless(answer):
            return answer
        for way in self._other_ways(known, evse_id, talk.facts):
            again = yield from attempt(Step(ACTION, self.request(evse_id, way.profile)))
            if is_refused(again):
                continue
            if isinstance(again, CallFailed):
                break
            talk.cannot(way.kind, way.subject, f"{refusal(answer)}; took it in another way")
            return again
        return answer

    def _as_known(self, profile: Profile, evse_id: int, facts: Facts) -> Profile:
        """Say a profile as the station is known to take it."""
        if facts.cannot(LimitationKind.PAST_SCHEDULE):
            profile = self._timeless(profile) or profile
        unit = profile.schedules[0]["charging_rate_unit"]
        if facts.cannot(LimitationKind.RATE_UNIT, unit):
            profile = _in_other_unit(profile, evse_id, facts) or profile
        return _rounded(profile, facts)

    def _set_in_time(self, request: Payload, evse_id: int, profile: Profile, talk: Talk) -> Dialogue:
        """Set a profile; one that began in the past and is not answered is said without a time (SC-04)."""
        answer = yield from attempt(Step(ACTION, request))
        silent = isinstance(answer, CallFailed) and answer.status == CommandStatus.TIMEOUT
        if not silent or not is_tolerant() or not (timeless := self._timeless(profile)):
            return answer
        again = yield from attempt(Step(ACTION, self.request(evse_id, timeless)))
        if not isinstance(again, CallFailed):
            talk.cannot(LimitationKind.PAST_SCHEDULE, "", f"{refusal(answer)}; answered one without a time")
        return again

    def _timeless(self, profile: Profile) -> Profile | None:
        now = datetime.now(UTC)
        if not self.may_be_relative(profile) or not profiles.began_before(profile, now):
            return None
        return profiles.as_relative(profile, now)

    def _other_ways(self, profile: Profile, evse_id: int, facts: Facts) -> Iterator[Way]:
        if profiles.has_fractions(profile):
            yield Way(LimitationKind.FRACTIONAL_LIMIT, "", profiles.in_whole_numbers(profile))
        if converted := _in_other_unit(profile, evse_id, facts):
            yield Way(LimitationKind.RATE_UNIT, profile.schedules[0]["charging_rate_unit"], converted)


def _rounded(profile: Profile, facts: Facts) -> Profile:
    return profiles.in_whole_numbers(profile) if facts.cannot(LimitationKind.FRACTIONAL_LIMIT) else profile


def _in_other_unit(profile: Profile, evse_id: int, facts: Facts) -> Profile | None:
    """Convert a profile to the other unit; None where the voltage is the vehicle's, or the station rules it out."""
    direct = facts.direct_current
    if evse_id in direct or (not evse_id and direct):
        return None
    converted = profiles.in_other_unit(profile, settings.NOMINAL_VOLTAGE)
    allowed = chargingprofiles.allowed_units(facts)
    if converted is None or (allowed and converted.schedules[0]["charging_rate_unit"] not in allowed):
        return None
    return _rounded(converted, facts)


def attempt(step: Step) -> Dialogue:
    """Make a CALL and return its answer, or why it has none."""
    try:
        return (yield step)
    except CallFailed as failure:
        return failure


def is_refused(answer: Outcome) -> bool:
    if isinstance(answer, CallFailed):
        return answer.code in REFUSALS
    return bool(answer["status"] != "Accepted")


def _is_hopeless(answer: Outcome) -> bool:
    return not isinstance(answer, CallFailed) and answer.get("statusInfo", {}).get("reasonCode") in HOPELESS


def refusal(answer: Outcome) -> str:
    return str(answer) if isinstance(answer, CallFailed) else f"answered {answer['status']}"


def conclude(answer: Outcome) -> Payload:
    """Return an answer. Raises CallFailed where there is none."""
    if isinstance(answer, CallFailed):
        raise answer
    return answer


def shown_by(profile: Profile, at: datetime) -> Iterator[tuple[LimitationKind, str]]:
    """Name what a station can do that has taken a profile at a moment, as kinds of limitations with their subjects."""
    if len(profile.schedules) > 1:
        return
    yield LimitationKind.RATE_UNIT, profile.schedules[0]["charging_rate_unit"]
    if profiles.has_fractions(profile):
        yield LimitationKind.FRACTIONAL_LIMIT, ""
    if profiles.began_before(profile, at):
        yield LimitationKind.PAST_SCHEDULE, ""
