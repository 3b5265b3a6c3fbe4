"""Times as stations send them (BO-09)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms import times

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

dates = st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC)).map(datetime.isoformat)
digits = st.lists(st.sampled_from("0123456789-:./T Z+,"), max_size=30).map("".join)
anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | dates | digits | st.lists(st.none())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=anything, received=st.sampled_from([NOW, datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)]))
def test_any_time_is_read_as_one_in_utc_that_is_not_in_the_future(text: Any, received: datetime) -> None:
    for zone in ("", "Europe/Athens", "Pacific/Kiritimati"):
        moment = times.read(text, received, zone)
        assert moment.at.tzinfo is UTC
        assert times.EARLIEST <= moment.at <= received + times.AHEAD
        assert moment.reliable or moment.at == received
        assert len(moment.raw) <= times.MAX_RAW
        assert times.write(moment.at).endswith("Z")


@pytest.mark.parametrize(
    ("text", "at", "deviation"),
    [
        ("2026-11-22T08:00:00Z", "08:00:00", ""),
        ("2026-11-22T08:00:00.123Z", "08:00:00.123", ""),
        ("2026-11-22T08:00:00.123456789Z", "08:00:00.123456", ""),
        ("2026-11-22T10:00:00+02:00", "08:00:00", ""),
        ("2026-11-22T10:00:00+02", "08:00:00", ""),
        ("2026-11-22T10:00:00+0200", "08:00:00", ""),
        ("20261122T080000Z", "08:00:00", ""),
        ("2026-11-22T08:00:00", "08:00:00", "time-without-zone"),
        ("2026-11-22 08:00:00", "08:00:00", "time-without-zone"),
        (" 2026-11-22T08:00:00z ", "08:00:00", "time-format"),
        ("2026-11-22T08:00:00 UTC", "08:00:00", "time-format"),
        ("2026/11/22 08:00:00", "08:00:00", "time-format"),
        ("2026.11.22 8:0:0", "08:00:00", "time-format"),
        ("2026-11-22T9:30:00 +1:30", "08:00:00", "time-format"),
        ("2026-11-22T08:00:60Z", "08:00:59", "time-format"),
        ("1795334400", "08:00:00", "time-as-number"),
        ("1795334400000", "08:00:00", "time-as-number"),
        (1795334400.5, "08:00:00.5", "time-as-number"),
    ],
)
def test_a_time_is_read_however_it_is_spelt(text: Any, at: str, deviation: str) -> None:
    moment = times.read(text, NOW)
    assert moment.at == datetime.fromisoformat(f"2026-11-22T{at}Z")
    assert moment.deviation == deviation
    assert moment.reliable
    assert moment.raw == (str(text) if deviation else "")


@pytest.mark.parametrize(
    ("text", "deviation", "reliable"),
    [
        (None, "time-missing", False),
        ("", "time-missing", False),
        (" ", "time-missing", False),
        ("now", "time-unreadable", False),
        ("2022-02-29T00:00:00Z", "time-unreadable", False),
        ("2026-13-01 25:00", "time-unreadable", False),
        (True, "time-unreadable", False),
        ("0", "time-absurd", False),
        (0, "time-absurd", False),
        ("1970-01-01T00:01:10.932Z", "time-absurd", False),
        ("0001-01-01T00:00:00Z", "time-absurd", False),
        ("0001-01-01T00:00:00+14:00", "time-absurd", False),
        ("0001-01-01T00:00:00", "time-absurd", False),
        ("9999-12-31T23:59:59-14:00", "clock-ahead", True),
        ("2026-11-22T11:00:00Z", "clock-ahead", True),
    ],
)
def test_the_time_of_receipt_stands_in_for_an_absent_or_absurd_one(text: Any, deviation: str, reliable: bool) -> None:
    moment = times.read(text, NOW, "Europe/Athens")
    assert (moment.at, moment.deviation, moment.reliable) == (NOW, deviation, reliable)


def test_a_time_without_a_zone_is_local_where_that_is_nearer_to_now() -> None:
    local = times.read("2026-11-22T11:00:00", NOW, "Europe/Athens")
    assert local.at == NOW
    as_utc = times.read("2026-11-22T09:00:00", NOW, "Europe/Athens")
    assert as_utc.at == NOW


def test_a_clock_may_be_a_little_ahead() -> None:
    at = NOW + timedelta(minutes=4)
    assert times.read(at.isoformat(), NOW) == times.Moment(at)
