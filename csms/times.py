"""Times as stations send them.

RFC 3339 in UTC is what the specification asks for (1.6 section 3.10 of the errata, 2.0.1 part 2
section 2.5). Real clocks lack zones, run ahead, count from 1970 or are not there at all (BO-09).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

# Before OCPP 1.2 nothing can have happened; such a clock was never set.
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)
# A clock this much ahead of ours is wrong: an event cannot be reported before it happens.
AHEAD = timedelta(minutes=5)


class Moment(NamedTuple):
    """When something happened: `at` in UTC, `raw` what the station sent if that says otherwise.

    `reliable` tells whether the station's text can tell two moments apart. `deviation` names
    what was wrong with it, if anything.
    """

    at: datetime
    raw: str = ""
    reliable: bool = True
    deviation: str = ""


def read(text: Any, received: datetime, zone: str = "") -> Moment:
    """Read a station's time; the time of receipt stands in where it is absent or absurd.

    `zone` is the IANA name of the time zone at the station's place, a candidate for times
    without a zone: whichever reading lies nearer to now is taken.
    """
    if not isinstance(text, str):
        return _read_number(text, received)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _read_odd(text, received, zone)
    if at.tzinfo is None:
        return _placed(_in_zone(at, received, zone), text, received, "time-without-zone")
    # The common case pays for one comparison only; -> _placed judges the rest.
    at = at.astimezone(UTC)
    if EARLIEST <= at <= received + AHEAD:
        return Moment(at)
    return _placed(at, text, received, "")


def _read_number(value: Any, received: datetime) -> Moment:
    if value is None:
        return Moment(received, reliable=False, deviation="time-missing")
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value > 1e11 else value
        if EARLIEST.timestamp() <= seconds <= received.timestamp() + AHEAD.total_seconds():
            return Moment(datetime.fromtimestamp(seconds, UTC), str(value), True, "time-as-number")
    return Moment(received, str(value), False, "time-unreadable")


def _read_odd(text: str, received: datetime, zone: str) -> Moment:
    trimmed = text.strip().upper().replace("/", "-")
    if not trimmed:
        return Moment(received, text, False, "time-missing")
    if trimmed.isdecimal() and len(trimmed) <= 15:
        return _read_number(int(trimmed), received)._replace(raw=text)
    try:
        at = datetime.fromisoformat(trimmed)
    except ValueError:
        return Moment(received, text, False, "time-unreadable")
    if at.tzinfo is None:
        at = _in_zone(at, received, zone)
    return _placed(at, text, received, "time-format")


def _in_zone(at: datetime, received: datetime, zone: str) -> datetime:
    """Read a time without a zone as UTC or as local, whichever is nearer to now."""
    candidates = [at.replace(tzinfo=UTC)]
    if zone:
        candidates.append(at.replace(tzinfo=ZoneInfo(zone)))
    return min(candidates, key=lambda candidate: abs(candidate - received)).astimezone(UTC)


def _placed(at: datetime, text: str, received: datetime, deviation: str) -> Moment:
    at = at.astimezone(UTC)
    if at < EARLIEST:
        return Moment(received, text, False, "time-absurd")
    if at > received + AHEAD:
        return Moment(received, text, True, "clock-ahead")
    return Moment(at, text, True, deviation)


def write(at: datetime) -> str:
    """Spell a time the plainest way there is: whole seconds and Z, which every station reads (BO-16)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
