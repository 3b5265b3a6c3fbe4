"""Changes of configuration keys."""

import re

from chargers.secrets import is_station_key
from tasks import credentials
from tasks.action import Draft, Payload
from tasks.schemas import InvalidBody

# 16 to 20 bytes, two digits each (security whitepaper A00.FR.205).
_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)


def is_security_profile(name: str) -> bool:
    """Tell whether a configuration key holds the station's security profile (security whitepaper section 7.6)."""
    return name.casefold() == "securityprofile"


def prepare_change(draft: Draft) -> Payload:
    """Check a new key or security profile for the station before anybody hears of it."""
    if is_station_key(draft.payload["key"]):
        _propose_key(draft)
    elif is_security_profile(draft.payload["key"]):
        _propose_profile(draft)
    return draft.payload


def _propose_key(draft: Draft) -> None:
    value = draft.payload["value"]
    if not _KEY.fullmatch(value):
        raise InvalidBody({"value": ["A station's key is 32 to 40 hexadecimal digits."]})
    credentials.propose_key(draft, value)


def _propose_profile(draft: Draft) -> None:
    """Check what the platform can know of the station's side of A05.FR.01 to .05."""
    value = draft.payload["value"]
    if value not in ("1", "2", "3"):
        raise InvalidBody({"value": ["A security profile is 1, 2 or 3."]})
    profile, current = int(value), draft.station.security_profile
    if profile <= current:
        raise InvalidBody({"value": [f"The station's security profile is {current}, and OCPP can only raise it."]})
    if reason := credentials.propose_profile(draft, profile):
        raise InvalidBody({"value": [reason]})
