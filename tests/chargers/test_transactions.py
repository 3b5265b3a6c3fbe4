"""Transactions: whatever order and shape they come in, what stands in the end is what the station meant."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db.transaction import atomic, set_rollback
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionFlag, TransactionStatus
from chargers.models import ChargePoint, Connector, IdTag, MeterValue, Transaction
from chargers.services import metervalues, transactionstops
from chargers.values import Reading, TransactionRef
from tests.chargers import told
from tests.chargers.told import abandoned, at, boot, energy, event, meter, power, reading, row, start, status, stop

pytestmark = pytest.mark.django_db

Flag = TransactionFlag
# What an abandoned transaction is closed after; OCPP_TRANSACTION_GRACE in minutes.
GRACE = 5


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


@pytest.fixture(autouse=True)
def tag1(db: None) -> IdTag:
    return IdTag.objects.create(id_token="TAG1")


# What is flagged


def ordinary() -> int:
    number = start().transaction_id
    meter(number, 10, 1500, power(3000))
    stop(number)
    return number


def booted_during() -> int:
    number = start().transaction_id
    boot(10)
    return number


def booted_because_we_asked() -> int:
    number = start().transaction_id
    boot(10, triggered=True)
    return number


def booted_after() -> int:
    number = ordinary()
    boot(40)
    return number


def started_without_a_clock() -> int:
    return start(fingerprint="").transaction_id


def started_with_an_absurd_clock() -> int:
    return start(at_raw="2090-01-01T00:00:00Z", received_at=at(0)).transaction_id


def stopped_with_an_absurd_clock() -> int:
    number = start().transaction_id
    return stop(number, 30, at_raw="1970-01-01T00:00:00Z", received_at=at(30)).transaction_id


def stopped_without_a_clock() -> int:
    number = start().transaction_id
    return stop(number, 30, received_at=at(30)).transaction_id


def stopped_without_a_clock_again_and_again() -> int:
    number = start().transaction_id
    for minute in (30, 31, 32):
        stop(number, minute, received_at=at(minute), fingerprint="the same")
    return number


def foreign() -> int:
    meter(4711, 10, 1500)
    return Transaction.objects.get().pk


def left_open_and_closed() -> int:
    number = start().transaction_id
    meter(number, 10, 1500)
    status("Available", 20)
    assert abandoned(20 + GRACE + 1) == 1
    return number


def stopped_late() -> int:
    return stop(left_open_and_closed(), 30).transaction_id


def stopped_late_and_repeated() -> int:
    return stop(stopped_late(), 30).transaction_id


def metered_too_fast() -> int:
    number = start().transaction_id
    meter(number, 1, 10_000_000)
    return number


def metered_as_fast_as_a_truck() -> int:
    number = start().transaction_id
    meter(number, 60, 1_001_000)
    return number


def metered_backwards() -> int:
    number = start().transaction_id
    meter(number, 10, 1500)
    meter(number, 20, 1400)
    return number


def metered_backwards_by_an_old_reading() -> int:
    number = start().transaction_id
    meter(number, 20, 1500)
    meter(number, 10, 1400)
    return number


def started_without_a_meter() -> int:
    return start(meter=None).transaction_id


def stopped_without_a_meter() -> int:
    return stop(start().transaction_id, meter=None).transaction_id


def started_long_ago() -> int:
    return start(0, told_at=6).transaction_id


def stopped_long_ago() -> int:
    return stop(start().transaction_id, told_at=36).transaction_id


def slow_to_tell() -> int:
    return stop(start(0, told_at=4).transaction_id, told_at=34).transaction_id


def stopped_without_a_start() -> int:
    return stop(4711).transaction_id


def stopped_without_a_number() -> int:
    return stop(None).transaction_id


def metered_from_the_start_of_the_session() -> int:
    number = start(meter=100_000).transaction_id
    meter(number, 10, 500)
    meter(number, 20, 900)
    return number


def stopped_before_its_start() -> int:
    return stop(start().transaction_id, -10, told_at=1).transaction_id


def stopped_below_its_start() -> int:
    return stop(start().transaction_id, meter=999).transaction_id


def stopped_twice_alike() -> int:
    number = ordinary()
    stop(number)
    return number


def stopped_twice_otherwise() -> int:
    number = ordinary()
    stop(number, meter=2001)
    return number


def superseded() -> int:
    number = start().transaction_id
    start(20, meter=1500)
    return number


def superseded_elsewhere() -> int:
    number = start().transaction_id
    start(20, evse_id=2)
    return number


def metered_in_the_wrong_unit() -> int:
    number = start(meter=1).transaction_id
    meter(number, 60, 12, power(11_000))
    return number


def told_with_a_gap() -> int:
    event("Started", 0, 0, 1000)
    event("Ended", 2, 30, 2000)
    return Transaction.objects.get().pk


STORIES: list[tuple[Callable[[], int], set[TransactionFlag]]] = [
    (ordinary, set()),
    (booted_during, {Flag.BOOTED_DURING}),
    (booted_because_we_asked, set()),
    (booted_after, set()),
    (started_without_a_clock, {Flag.CLOCK_UNRELIABLE}),
    (started_with_an_absurd_clock, {Flag.CLOCK_UNRELIABLE}),
    (stopped_with_an_absurd_clock, {Flag.CLOCK_UNRELIABLE}),
    (stopped_without_a_clock, {Flag.CLOCK_UNRELIABLE}),
    (stopped_without_a_clock_again_and_again, {Flag.CLOCK_UNRELIABLE}),
    (told_with_a_gap, {Flag.EVENTS_MISSING}),
    (foreign, {Flag.FOREIGN}),
    (left_open_and_closed, {Flag.NO_STOP}),
    (stopped_late, {Flag.NO_STOP, Flag.LATE_STOP}),
    (stopped_late_and_repeated, {Flag.NO_STOP, Flag.LATE_STOP}),
    (metered_too_fast, {Flag.METER_IMPLAUSIBLE}),
    (metered_as_fast_as_a_truck, set()),
    (metered_backwards, {Flag.METER_JUMPED_BACK}),
    (metered_backwards_by_an_old_reading, set()),
    (started_without_a_meter, {Flag.METER_UNKNOWN}),
    (stopped_without_a_meter, {Flag.METER_UNKNOWN}),
    (started_long_ago, {Flag.OFFLINE}),
    (stopped_long_ago, {Flag.OFFLINE}),
    (slow_to_tell, set()),
    (stopped_without_a_start, {Flag.ORPHAN_STOP}),
    (stopped_without_a_number, {Flag.ORPHAN_STOP}),
    (metered_from_the_start_of_the_session, {Flag.SESSION_METER}),
    (stopped_before_its_start, {Flag.STOP_BEFORE_START, Flag.OFFLINE}),
    (stopped_below_its_start, {Flag.STOP_BELOW_START}),
    (stopped_twice_alike, set()),
    (stopped_twice_otherwise, {Flag.STOP_DIFFERS}),
    (superseded, {Flag.SUPERSEDED}),
    (superseded_elsewhere, set()),
    (metered_in_the_wrong_unit, {Flag.UNIT_SUSPECT}),
]


@pytest.mark.parametrize(("story", "flags"), STORIES, ids=[story.__name__ for story, _ in STORIES])
def test_a_transaction_is_flagged_for_what_is_wrong_with_it_and_for_nothing_else(
    story: Callable[[], int], flags: set[TransactionFlag]
) -> None:
    IdTag.objects.update(max_active_transactions=None)
    transaction = Transaction.objects.get(pk=story())
    assert transaction.flags == sorted(flags)


def test_every_flag_has_a_story() -> None:
    assert set().union(*(flags for _, flags in STORIES)) == set(TransactionFlag)


# What a session amounts to


@pytest.mark.parametrize(
    ("begin", "last", "end", "wh"),
    [
        (1000, None, None, 0),
        (1000, 1400, None, 400),
        (1000, 1400, 2000, 1000),
        (1000, 1400, 999, 400),
        (1000, None, 999, 0),
        (1000, 999, 999, 0),
        (1000, 1400, 1000, 0),
        (None, None, 2000, None),
        (0, None, 0.25, 0.25),
    ],
)
def test_energy_is_counted_from_what_is_known_and_is_never_negative(
    begin: float | None, last: float | None, end: float | None, wh: float | None
) -> None:
    transaction = Transaction(wh_meter_start=told.wh(begin), wh_meter_last=told.wh(last), wh_meter_stop=told.wh(end))
    assert transaction.energy_wh == told.wh(wh)


def test_a_session_metered_from_zero_is_counted_on_the_meters_scale() -> None:
    number = metered_from_the_start_of_the_session()
    transaction = Transaction.objects.get(pk=number)
    assert (transaction.wh_meter_last, transaction.energy_wh) == (100_900, 900)
    stop(number, meter=101_000)
    assert Transaction.objects.get(pk=number).energy_wh == 1000


def test_a_stop_without_a_meter_counts_with_the_last_reading_even_one_that_comes_after() -> None:
    number = start().transaction_id
    meter(number, 10, 1500)
    stop(number, meter=None)
    meter(number, 20, 1800)
    transaction = Transaction.objects.get(pk=number)
    assert (transaction.wh_meter_stop, transaction.energy_wh) == (None, 800)


def test_a_reading_after_the_stop_is_kept_and_moves_nothing() -> None:
    number = ordinary()
    meter(number, 31, 2002)
    transaction = Transaction.objects.get(pk=number)
    assert (transaction.wh_meter_stop, transaction.wh_meter_last, transaction.is_open) == (2000, 1500, False)
    assert MeterValue.objects.filter(transaction=number).count() == 2


def test_a_start_without_a_meter_begins_with_the_first_reading() -> None:
    number = start(meter=None).transaction_id
    assert Transaction.objects.get(pk=number).energy_wh is None
    meter(number, 1, 1200)
    meter(number, 10, 1500)
    stop(number)
    assert Transaction.objects.get(pk=number).energy_wh == 800


# Repeats


@pytest.mark.parametrize("known_clock", [True, False])
def test_a_repeated_start_is_the_same_transaction_and_not_concurrent(known_clock: bool) -> None:
    members = {} if known_clock else {"fingerprint": ""}
    changes = Changes()
    first, *again = [start(changes=changes, **members) for _ in range(3)]
    assert again == [first, first]
    assert first.authorization.status == AuthorizationStatus.ACCEPTED
    assert Transaction.objects.count() == 1
    assert changes.rows["transaction"] == {first.transaction_id: "created"}


def test_a_start_repeated_after_its_stop_is_the_same_transaction_and_stays_stopped() -> None:
    number = ordinary()
    again = start()
    assert (again.transaction_id, again.authorization.status) == (number, AuthorizationStatus.ACCEPTED)
    assert not Transaction.objects.get().is_open


def test_a_start_repeated_when_another_has_begun_ends_nothing_and_is_answered_as_before() -> None:
    first = start(0)
    stop(first.transaction_id, 1)
    second = start(2, evse_id=2)
    assert start(0, told_at=3) == first
    assert row(second).is_open


def test_a_start_that_was_concurrent_is_so_when_it_is_repeated() -> None:
    running = start(0)
    refused = start(1, evse_id=2)
    stop(running.transaction_id, 2)
    assert refused.authorization.status == AuthorizationStatus.CONCURRENT_TX
    assert start(1, evse_id=2, told_at=3) == refused


def test_a_start_without_a_clock_is_a_new_one_once_the_last_has_ended() -> None:
    first = start(fingerprint="")
    stop(first.transaction_id)
    assert start(40, fingerprint="").transaction_id != first.transaction_id


@pytest.mark.parametrize("number", [4711, None], ids=["unknown number", "no number"])
def test_a_repeated_stop_without_a_start_is_one_orphan(number: int | None) -> None:
    first, *again = [stop(number) for _ in range(3)]
    assert again == [first, first]
    assert Transaction.objects.count() == 1


def test_a_stop_repeated_without_a_number_is_the_one_it_ended() -> None:
    number = start().transaction_id
    assert [stop(None).transaction_id for _ in range(3)] == [number] * 3
    assert Transaction.objects.get().flags == []


def test_a_second_stop_changes_nothing_but_adds_its_readings() -> None:
    number = start().transaction_id
    begin, middle, end = (reading(minute, energy(1000 + 10 * minute)) for minute in (0, 15, 30))
    stop(number, meter=1300, readings=[begin, end])
    stop(number, 31, meter=1400, readings=[begin, middle, end])
    transaction = Transaction.objects.get()
    assert (transaction.stop_transaction_timestamp, transaction.wh_meter_stop) == (at(30), 1300)
    assert sorted(MeterValue.objects.values_list("timestamp", flat=True)) == [at(0), at(15), at(30)]


# Order


def test_a_start_told_late_does_not_end_what_began_since() -> None:
    live = start(60)
    old = start(0, told_at=61, id_token="TAG2")
    assert row(live).is_open
    assert row(old).flags == [Flag.OFFLINE]
    stop(old.transaction_id, 30, told_at=61, id_token="TAG2")
    assert row(live).is_open


def test_a_start_ends_what_is_open_on_its_evse_with_the_last_reading() -> None:
    first = start()
    meter(first.transaction_id, 10, 1500)
    changes = Changes()
    second = start(20, changes, meter=1600)
    ended = row(first)
    assert (ended.stop_transaction_timestamp, ended.wh_meter_stop, ended.reason_stopped) == (at(20), 1500, "Other")
    assert ended.transaction_status == TransactionStatus.FINISHED
    assert second.authorization.status == AuthorizationStatus.ACCEPTED
    assert changes.rows["transaction"] == {first.transaction_id: "updated", second.transaction_id: "created"}


def test_the_stop_of_what_a_start_has_ended_still_counts() -> None:
    first = start()
    start(20, meter=1600)
    stop(first.transaction_id, 19, meter=1590, told_at=21)
    ended = row(first)
    assert (ended.stop_transaction_timestamp, ended.energy_wh) == (at(19), 590)
    assert ended.flags == [Flag.LATE_STOP, Flag.SUPERSEDED]


@pytest.mark.parametrize(("spelling", "found"), [("TAG1", True), ("ta:g1", True), ("", True), ("TAG2", False)], ids=str)
def test_a_stop_without_a_number_ends_the_one_of_its_tag_or_the_only_one(spelling: str, found: bool) -> None:
    number = start().transaction_id
    assert (stop(None, id_token=spelling).transaction_id == number) is found
    assert Transaction.objects.get(pk=number).is_open is not found


def test_a_stop_without_number_and_tag_ends_none_of_two() -> None:
    running = [start().transaction_id, start(1, evse_id=2, id_token="TAG2").transaction_id]
    assert stop(None, id_token="").transaction_id not in running
    assert Transaction.objects.filter(pk__in=running, stop_transaction_timestamp__isnull=True).count() == 2


def test_a_stop_without_a_number_told_late_does_not_end_what_began_since() -> None:
    number = start(60).transaction_id
    orphan = row(stop(None, 30, told_at=61))
    assert orphan.pk != number
    assert orphan.flags == [Flag.OFFLINE, Flag.ORPHAN_STOP]


def test_the_number_of_another_stations_transaction_is_unknown() -> None:
    number = start().transaction_id
    told.station("CP2")
    orphan = row(stop(number, station="CP2"))
    assert (orphan.chargepoint_id, orphan.uuid, orphan.flags) == ("CP2", str(number), [Flag.ORPHAN_STOP])
    meter(number, 10, 1500, station="CP2")
    assert Transaction.objects.get(pk=number).wh_meter_last is None
    assert Transaction.objects.get(pk=number).is_open


def test_an_orphan_tells_what_its_readings_know() -> None:
    begin = Reading(at(0), [energy(1000, context="Transaction.Begin")])
    end = Reading(at(30), [energy(2000, context="Transaction.End")])
    orphan = row(stop(4711, readings=[begin, end]))
    assert (orphan.start_transaction_timestamp, orphan.wh_meter_start, orphan.energy_wh) == (at(0), 1000, 1000)
    assert (orphan.id_tag_id, orphan.uuid, orphan.transaction_status) == ("TAG1", "4711", "Finished")


def test_a_foreign_transaction_is_adopted_once_and_ended_by_its_stop() -> None:
    meter(4711, 10, 1500)
    meter(4711, 20, 1700)
    stop(4711, meter=2000)
    transaction = Transaction.objects.select_related("connector").get()
    assert (transaction.uuid, transaction.start_transaction_timestamp) == ("4711", at(10))
    assert (transaction.connector.evse_id, transaction.energy_wh) == (1, 500)


def test_starts_on_connector_0_belong_to_no_connector_and_end_nothing() -> None:
    running = [start(), start(10, evse_id=0, id_token="TAG2"), start(20, evse_id=0, id_token="TAG3")]
    assert all(row(each).is_open for each in running)
    assert [row(each).connector is None for each in running] == [False, True, True]


# Abandoned


def test_an_abandoned_transaction_is_closed_when_its_connector_became_available() -> None:
    number = start().transaction_id
    meter(number, 10, 1500)
    status("Available", 20)
    assert abandoned(20 + GRACE) == 0
    changes = Changes()
    assert abandoned(20 + GRACE + 0.1, changes) == 1
    assert changes.rows["transaction"] == {number: "updated"}
    transaction = Transaction.objects.get()
    assert (transaction.stop_transaction_timestamp, transaction.wh_meter_stop) == (at(20), 1500)
    assert (transaction.transaction_status, transaction.reason_stopped) == ("Finished", "Other")
    assert abandoned(60) == 0


@pytest.mark.parametrize("state", ["Charging", "Finishing", "SuspendedEV", "Unavailable", "Faulted"])
def test_a_transaction_on_a_connector_that_is_not_available_stays_open(state: str) -> None:
    start()
    status(state, 20)
    assert abandoned(10_000) == 0


def test_a_connector_that_was_available_before_the_start_says_nothing() -> None:
    status("Available", -1)
    start()
    assert abandoned(10_000) == 0


def test_how_long_a_transaction_may_be_abandoned_is_a_setting(settings: Settings) -> None:
    settings.OCPP_TRANSACTION_GRACE = 3600
    start()
    status("Available", 20)
    assert abandoned(79) == 0
    assert abandoned(81) == 1


def test_readings_and_the_stop_that_come_late_replace_what_the_platform_assumed() -> None:
    number = left_open_and_closed()
    meter(number, 25, 1800)
    assert Transaction.objects.get().wh_meter_stop == 1800
    stop(number, 30, reason="EVDisconnected")
    transaction = Transaction.objects.get()
    assert (transaction.stop_transaction_timestamp, transaction.wh_meter_stop) == (at(30), 2000)
    assert (transaction.reason_stopped, transaction.energy_wh) == ("EVDisconnected", 1000)
    stop(number, 31, meter=3000)
    assert Transaction.objects.get().wh_meter_stop == 2000


def test_an_unauthorized_transaction_stays_so_when_it_is_closed() -> None:
    start(id_token="NOBODY")
    status("Available", 20)
    abandoned(60)
    assert Transaction.objects.get().transaction_status == TransactionStatus.UNAUTHORIZED


# History


def test_deleting_a_station_or_a_tag_keeps_its_transactions_and_their_readings(cp1: ChargePoint, tag1: IdTag) -> None:
    number = ordinary()
    cp1.delete()
    tag1.delete()
    transaction = Transaction.objects.select_related("chargepoint", "id_tag", "connector").get()
    assert (transaction.pk, transaction.chargepoint_id, transaction.id_tag_id) == (number, "CP1", "TAG1")
    assert transaction.connector is None
    assert (transaction.evse_id, transaction.connectorid) == (1, 1)
    value = MeterValue.objects.get()
    assert (value.chargepoint_id, value.transaction_id) == ("CP1", number)
    assert not Connector.objects.exists()


def test_the_stop_of_a_tag_deleted_meanwhile_ends_its_transaction(tag1: IdTag) -> None:
    number = start().transaction_id
    tag1.delete()
    stopped = stop(number)
    assert stopped.authorization is not None
    assert stopped.authorization.status == AuthorizationStatus.INVALID
    assert row(stopped).energy_wh == 1000


# Whatever order

MINUTES = st.integers(-3000, 120)
METERS = st.none() | st.integers(0, 5000) | st.sampled_from([10**7, 10**12])
EVSES = st.integers(0, 2)
NUMBERS = st.integers(0, 3)
TAGS = st.sampled_from(["TAG1", "TAG2", "tag-1", "NOBODY", ""])
EVENTS = st.one_of(
    st.tuples(st.just("start"), MINUTES, METERS, EVSES, TAGS, st.booleans()),
    st.tuples(st.just("stop"), MINUTES, METERS, NUMBERS, TAGS, st.booleans()),
    st.tuples(st.just("values"), MINUTES, METERS, NUMBERS, EVSES, st.booleans()),
    st.tuples(st.just("status"), MINUTES, EVSES),
    st.tuples(st.just("boot"), MINUTES),
    st.tuples(st.just("sweep"), MINUTES),
)


class Story:
    """What a station tells, one event after the other, and what must hold whatever it tells."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.readings = 0
        self.ended: dict[int, tuple[Any, Any]] = {}

    def number(self, index: int) -> int | None:
        """Name a transaction it was told of, one it makes up, or none."""
        if index == 0:
            return None
        return self.numbers[-index] if index <= len(self.numbers) else 4711

    def tell(self, event: tuple[Any, ...]) -> None:
        match event:
            case "start", minute, value, evse_id, tag, clock:
                print_of_it = f"{event}" if clock else ""
                told_now = start(
                    minute, meter=value, evse_id=evse_id, id_token=tag, told_at=121, fingerprint=print_of_it
                )
                assert told_now.transaction_id > 0
                self.numbers.append(told_now.transaction_id)
            case "stop", minute, value, index, tag, data:
                readings = [reading(minute - 1, energy(value or 0))] if data else []
                told_then = stop(self.number(index), minute, meter=value, id_token=tag, told_at=121, readings=readings)
                assert not row(told_then).is_open
            case "values", minute, value, index, evse_id, by_connector:
                members = {"ref": TransactionRef(by_connector=True)} if by_connector else {}
                self.readings += 1
                # No two readings say the same: that would be one told again.
                meter(self.number(index), minute, value or 0, power(self.readings), evse_id=evse_id, **members)
            case "status", minute, evse_id:
                status("Available", minute, evse_id=evse_id, told_at=121)
            case "boot", minute:
                boot(minute)
            case "sweep", minute:
                abandoned(minute)

    def check(self) -> None:
        assert MeterValue.objects.count() >= self.readings
        for transaction in Transaction.objects.all():
            assert transaction.energy_wh is None or transaction.energy_wh >= 0
            assert set(transaction.flags) <= set(TransactionFlag.values)
            assert transaction.is_open == (transaction.transaction_status == "Started") or (
                transaction.transaction_status == "Unauthorized"
            )
            end = (transaction.stop_transaction_timestamp, transaction.wh_meter_stop)
            if not transaction.is_open and not transaction.closed_by_platform:
                # The first stop counts, whatever follows.
                assert self.ended.setdefault(transaction.pk, end) == end


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, max_size=12), again=st.lists(st.integers(0, 11), max_size=6))
def test_whatever_a_station_tells_in_whatever_order_is_taken(events: list[tuple[Any, ...]], again: list[int]) -> None:
    story = Story()
    with atomic():
        for event in [*events, *(events[index] for index in again if index < len(events))]:
            story.tell(event)
            story.check()
        set_rollback(True)


MESSAGES = st.lists(st.integers(0, 5), max_size=10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)), repeats=MESSAGES, meter_stop=st.sampled_from([2000, None]))
def test_values_and_stop_in_any_order_and_repetition_leave_one_transaction_with_the_same_values(
    order: list[int], repeats: list[int], meter_stop: float | None
) -> None:
    with atomic():
        number = start().transaction_id
        values = [told.a_report(number, [reading(minute, energy(1000 + 10 * minute))]) for minute in (5, 10, 15, 20)]
        the_stop = told.a_stop(number, meter=meter_stop, readings=[reading(29, energy(1990))])
        for index in (*order, *repeats):
            if index == 0:
                assert start(told_at=1).transaction_id == number
            elif index == 1:
                transactionstops.record([replace(the_stop, received_at=at(31 + index))], Changes())
            else:
                metervalues.record([values[index - 2]], Changes())
        transaction = Transaction.objects.get()
        assert transaction.pk == number
        assert transaction.flags == ([] if meter_stop else [Flag.METER_UNKNOWN])
        assert (transaction.start_transaction_timestamp, transaction.stop_transaction_timestamp) == (at(0), at(30))
        assert (transaction.wh_meter_start, transaction.wh_meter_stop) == (1000, told.wh(meter_stop))
        assert transaction.energy_wh == Decimal(1000 if meter_stop else 990)
        assert transaction.transaction_status == TransactionStatus.FINISHED
        assert set(MeterValue.objects.values_list("timestamp", flat=True)) == {at(m) for m in (5, 10, 15, 20, 29)}
        set_rollback(True)


def test_a_stop_that_names_the_stations_own_id_finds_it() -> None:
    meter(4711, 10, 1500)
    ended = row(stop(1, ref=TransactionRef(uuid="4711")))
    assert ended.flags == [Flag.FOREIGN]
    assert not ended.is_open
