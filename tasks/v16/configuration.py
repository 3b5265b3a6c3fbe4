"""Changes of configuration keys."""

import re
from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.secrets import is_station_key
from chargers.services import stations
from tasks.action import Draft, Payload
from tasks.errors import KeyChangeInDoubt
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody

# 16 to 20 bytes, two digits each (security whitepaper A00.FR.205).
_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)


def is_security_profile(name: str) -> bool:
    """Tell whether a configuration key holds the station's security profile (security whitepaper section 7.6)."""
    return name.casefold() == "securityprofile"


def prepare_change(draft: Draft) -> Payload:
    """Check a new key or security profile for the station before anybody hears of it.

    It is good from now on beside the old one: the station may take it and be cut off before its
    answer arrives.
    """
    if is_station_key(draft.payload["key"]):
        _propose_key(draft)
    elif is_security_profile(draft.payload["key"]):
        _propose_profile(draft)
    return draft.payload


def _propose_key(draft: Draft) -> None:
    value = draft.payload["value"]
    if not _KEY.fullmatch(value):
        raise InvalidBody({"value": ["A station's key is 32 to 40 hexadecimal digits."]})
    if not stations.propose_key(draft.station, value.encode(), draft.command_id, instead=draft.force):
        raise KeyChangeInDoubt(
            f"It is not known whether {draft.station} uses the key of the change before this one. It tells by "
            "connecting with that key: wait for it, or ask for a Reset. With `force` that key is given up, "
            "and if the station uses it and does not take the new one, it is locked out."
        )


def _propose_profile(draft: Draft) -> None:
    """Check what the platform can know of the station's side of A05.FR.01 to .05."""
    value = draft.payload["value"]
    if value not in ("1", "2", "3"):
        raise InvalidBody({"value": ["A security profile is 1, 2 or 3."]})
    profile, current = int(value), draft.station.security_profile
    if profile <= current:
        raise InvalidBody({"value": [f"The station's security profile is {current}, and OCPP can only raise it."]})
    if reason := draft.station.why_unable_to_use(profile):
        raise InvalidBody({"value": [reason]})
    stations.propose_profile(draft.station, profile, draft.command_id)


def change_unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """Drop the keys and profiles that stations never got, or that they answered with an error.

    What was sent and not answered may be in force: the next connection tells.
    """
    dropped = [each.pk for each in commands if each.sent_at is None or each.status == CommandStatus.ERROR]
    for change_id in dropped:
        stations.drop_proposed_key(change_id)
    stations.drop_proposed_profiles(dropped, changes)
