"""Times as stations send them.

RFC 3339 in UTC is what the specification asks for (1.6 section 3.10 of the errata, 2.0.1 part 2
section 2.5). Real clocks lack zones, run ahead, count from 1970 or are not there at all (BO-09).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

# Before OCPP 1.2 nothing can have happened; such a clock was never set.
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)
# A clock this much ahead of ours is wrong: an event cannot be reported before it happens.
AHEAD = timedelta(minutes=5)
# No text of a station's is kept longer than any time is.
MAX_RAW = 100


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
        return _placed(at, text, received, zone, "time-without-zone")
    # The common case pays for one comparison only; -> _placed judges the rest.
    if EARLIEST <= at <= received + AHEAD:
        return Moment(at.astimezone(UTC))
    return _placed(at, text, received, zone, "")


def _read_number(value: Any, received: datetime) -> Moment:
    """Read seconds or milliseconds since 1970."""
    if value is None:
        return Moment(received, reliable=False, deviation="time-missing")
    raw = str(value)[:MAX_RAW] if isinstance(value, int | float) else ""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e15:
        return Moment(received, raw, False, "time-unreadable")
    seconds = value / 1000 if value > 1e11 else value
    if not EARLIEST.timestamp() <= seconds <= received.timestamp() + AHEAD.total_seconds():
        return Moment(received, raw, False, "time-absurd")
    return Moment(datetime.fromtimestamp(seconds, UTC), raw, True, "time-as-number")


# Any order of magnitude first, with whatever stands between the parts.
_ODD = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T\s_]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?"
    r"\s*(?:(Z|UTC|GMT)|([+-]\d{1,2}):?(\d{2})?)?",
    re.ASCII | re.IGNORECASE,
)


def _read_odd(text: str, received: datetime, zone: str) -> Moment:
    trimmed = text.strip()
    if not trimmed:
        return Moment(received, "", False, "time-missing")
    if re.fullmatch(r"\d{1,13}(\.\d{1,9})?", trimmed, re.ASCII):
        return _read_number(float(trimmed), received)._replace(raw=trimmed)
    match = _ODD.fullmatch(trimmed)
    try:
        at = _build(match) if match else datetime.fromisoformat(trimmed.upper())
    except ValueError:
        return Moment(received, text[:MAX_RAW], False, "time-unreadable")
    return _placed(at, text, received, zone, "time-format")


def _build(match: re.Match[str]) -> datetime:
    """Put a time together; a leap second counts as the one before. Raises ValueError."""
    year, month, day, hour, minute = map(int, match.groups()[:5])
    second, fraction, utc, offset_hours, offset_minutes = match.groups()[5:]
    zone = None
    if utc:
        zone = UTC
    elif offset_hours:
        offset = timedelta(hours=abs(int(offset_hours)), minutes=int(offset_minutes or 0))
        zone = timezone(-offset if offset_hours[0] == "-" else offset)
    micros = int((fraction or "")[:6].ljust(6, "0"))
    return datetime(year, month, day, hour, minute, min(int(second or 0), 59), micros, zone)


def _placed(at: datetime, text: str, received: datetime, zone: str, deviation: str) -> Moment:
    raw = text[:MAX_RAW]
    # Years are compared first: at either end of the calendar no zone can be reckoned with.
    if at.year < EARLIEST.year - 1:
        return Moment(received, raw, False, "time-absurd")
    if at.year > received.year + 1:
        return Moment(received, raw, True, "clock-ahead")
    at = (at if at.tzinfo else _in_zone(at, received, zone)).astimezone(UTC)
    if at < EARLIEST:
        return Moment(received, raw, False, "time-absurd")
    if at > received + AHEAD:
        return Moment(received, raw, True, "clock-ahead")
    return Moment(at, raw, True, deviation)


def _in_zone(at: datetime, received: datetime, zone: str) -> datetime:
    """Read a time without a zone as UTC or as local, whichever is nearer to now."""
    candidates = [at.replace(tzinfo=UTC)]
    if zone:
        candidates.append(at.replace(tzinfo=ZoneInfo(zone)))
    return min(candidates, key=lambda candidate: abs(candidate - received))


def write(at: datetime) -> str:
    """Spell a time the plainest way there is: whole seconds and Z, which every station reads (BO-16)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
