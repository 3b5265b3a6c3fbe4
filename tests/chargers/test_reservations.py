"""Reservations: what stations are believed to keep, and who may charge meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection
from django.db.transaction import atomic
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, OcppVersion, ReservationStatus
from chargers.models import ChargePoint, Connector, IdTag, Reservation, Transaction
from chargers.services import idtags, reservations, statuses, transactionevents, transactionstarts
from chargers.values import (
    Authorization,
    AuthorizationRequest,
    CancellationAnswer,
    ReservationAnswer,
    TransactionEvent,
)
from tests.chargers import told
from tests.chargers.told import a_start, a_status, at, row, start, status

pytestmark = pytest.mark.django_db

ACCEPTED, RESERVED, BLOCKED = (
    AuthorizationStatus.ACCEPTED,
    AuthorizationStatus.RESERVED,
    AuthorizationStatus.BLOCKED,
)
# Reservations are asked for and answered at -10, and last until 60, where a test says nothing else.
MADE, UNTIL = -10, 60


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    """CP1 with two connectors, and a tag with its group and two strangers."""
    family = IdTag.objects.create(id_token="FAMILY")
    for name, parent in {"TAG1": family, "TAG2": family, "OTHER": None, "STRANGER": None}.items():
        IdTag.objects.create(id_token=name, parent=parent)
    station = told.station()
    for number in (1, 2):
        Connector.objects.create(chargepoint=station, evse_id=number)
    return station


def ask(evse_id: int = 1, id_tag: str = "TAG1", parent: str = "FAMILY", **members: Any) -> Reservation:
    """Ask CP1 for a reservation, whose answer is still out."""
    defaults: dict[str, Any] = {"number": None, "expiry_date": at(UNTIL), "command_id": uuid4(), "now": at(MADE)}
    return reservations.request(
        station=ChargePoint.objects.get(pk=members.pop("station", "CP1")),
        evse_id=evse_id,
        id_tag=id_tag,
        parent=parent,
        changes=Changes(),
        **{**defaults, **members},
    )


def answer(asked: Reservation, word: str = "", minute: float = MADE, changes: Changes | None = None) -> Reservation:
    assert asked.command_id is not None
    told = ReservationAnswer(asked.chargepoint_id or "", asked.command_id, word, at(minute))
    reservations.settle([told], changes if changes is not None else Changes())
    asked.refresh_from_db()
    return asked


def reserve(evse_id: int = 1, id_tag: str = "TAG1", parent: str = "FAMILY", **members: Any) -> Reservation:
    return answer(ask(evse_id, id_tag, parent, **members))


def cancel(number: int, *, accepted: bool = True) -> None:
    reservations.settle_cancellation([CancellationAnswer("CP1", number, accepted, at(5))], Changes())


def state(reservation: Reservation) -> tuple[str, str]:
    reservation.refresh_from_db()
    return reservation.status, reservation.reason


def authorize(id_token: str = "STRANGER", minute: float = 0) -> Authorization:
    (authorization,) = idtags.authorize([AuthorizationRequest("CP1", id_token, at(minute))], Changes())
    return authorization


# Asking


def test_numbers_count_up_for_each_station_and_are_never_given_twice() -> None:
    told.station("CP2")
    first, second = ask(), ask()
    answer(first, "Rejected")
    assert (first.reservation_id, second.reservation_id, ask().reservation_id) == (1, 2, 3)
    ask(number=40)
    assert ask().reservation_id == 41
    assert ask(station="CP2").reservation_id == 1


def test_a_number_that_is_free_is_found_when_the_highest_is_taken() -> None:
    reserve(number=reservations.MAX_RESERVATION_ID)
    answer(ask(2, number=1), "Occupied")
    reserve(2, number=2)
    assert ask().reservation_id == 1


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_get_two_numbers(short_connections: None) -> None:
    def ask_elsewhere() -> int:
        try:
            return ask().reservation_id
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other_request:
        with atomic():
            first = ask().reservation_id
            elsewhere = other_request.submit(ask_elsewhere)
            with pytest.raises(TimeoutError):
                elsewhere.result(timeout=0.3)
        assert {first, elsewhere.result(timeout=10)} == {1, 2}


def test_a_request_knows_the_connector_that_is_there_and_learns_it_from_the_answer() -> None:
    known, unknown, anywhere = ask(1), ask(7), ask(0)
    assert known.connector is not None
    assert known.connector.evse_id == 1
    assert unknown.connector is None
    learnt = answer(unknown).connector
    assert learnt is not None
    assert learnt.evse_id == 7
    assert answer(anywhere).connector is None


def test_a_station_holds_one_reservation_under_a_number() -> None:
    reserve(number=7)
    other = ask(2, number=7)
    with pytest.raises(IntegrityError), atomic():
        Reservation.objects.filter(pk=other.pk).update(status=ReservationStatus.ACCEPTED)


# Answers


@pytest.mark.parametrize("word", ["Faulted", "Occupied", "Unavailable", "Rejected"])
def test_a_refused_reservation_tells_why_and_refuses_nobody(word: str) -> None:
    changes = Changes()
    reservation = answer(ask(0), word, changes=changes)
    assert state(reservation) == ("Rejected", word)
    assert (reservation.answered_at, reservation.ended_at) == (at(MADE), at(MADE))
    assert changes.rows == {"reservation": {reservation.pk: "updated"}}
    assert authorize() == Authorization(ACCEPTED)


def test_an_answer_that_is_given_twice_counts_once() -> None:
    accepted, rejected = reserve(), answer(ask(2), "Occupied")
    assert state(answer(accepted, "Occupied", 1)) == ("Accepted", "")
    assert state(answer(rejected, "", 1)) == ("Rejected", "Occupied")
    assert accepted.answered_at == at(MADE)


def test_a_request_without_an_answer_has_failed_and_refuses_nobody_until_the_answer_comes_after_all() -> None:
    reservation = ask(0)
    assert reservation.command_id is not None
    reservations.fail({reservation.command_id: "timeout"}, now=at(1), changes=Changes())
    assert state(reservation) == ("Failed", "timeout")
    assert authorize().status == ACCEPTED
    answer(reservation, "", 2)
    assert (reservation.status, reservation.reason, reservation.ended_at) == ("Accepted", "", None)
    assert authorize(minute=1).status == ACCEPTED
    reserve(2)
    assert authorize(minute=3).status == RESERVED


def test_an_end_without_an_answer_changes_nothing_that_is_known() -> None:
    reservation = reserve()
    assert reservation.command_id is not None
    reservations.fail({reservation.command_id: "timeout", uuid4(): "offline"}, now=at(1), changes=Changes())
    assert state(reservation) == ("Accepted", "")


@pytest.mark.parametrize(
    ("word", "before", "after"), [("", "Replaced", "Accepted"), ("Occupied", "Accepted", "Rejected")]
)
def test_a_request_under_the_same_number_replaces_what_is_held_if_it_is_accepted(
    word: str, before: str, after: str
) -> None:
    first = reserve(1, number=7)
    second = answer(ask(2, number=7), word, 1)
    assert (state(first)[0], state(second)[0]) == (before, after)


def test_a_late_answer_does_not_bring_back_what_was_replaced_or_cancelled_since() -> None:
    first, second = ask(1, number=7), reserve(2, number=7)
    assert state(answer(first, "", 1)) == ("Replaced", "")
    assert state(second) == ("Accepted", "")
    third = ask(1, number=8)
    reservations.fail({UUID(str(third.command_id)): "timeout"}, now=at(1), changes=Changes())
    cancel(8)
    assert state(answer(third, "", 3))[0] == "Cancelled"


# Giving up


def test_a_cancelled_reservation_is_over_and_the_others_stand() -> None:
    gone, stays = reserve(1), reserve(2)
    cancel(gone.reservation_id)
    assert (state(gone), state(stays)) == (("Cancelled", ""), ("Accepted", ""))
    assert gone.ended_at == at(5)


def test_a_station_that_does_not_know_a_reservation_no_longer_has_it() -> None:
    reservation, asked = reserve(1, number=7), ask(2, number=7)
    cancel(7, accepted=False)
    assert state(reservation) == ("Removed", "unknown to the station")
    assert state(asked) == ("Requested", "")
    cancel(4711)
    cancel(2**40)


@pytest.mark.parametrize(
    ("evse_id", "word", "left"),
    [
        (1, "Faulted", [2, 0]),
        (1, "Unavailable", [2, 0]),
        (0, "Faulted", []),
        (0, "Unavailable", []),
        (1, "Available", [1, 2, 0]),
        (1, "Reserved", [1, 2, 0]),
        (3, "Faulted", [1, 2, 0]),
    ],
)
def test_a_connector_that_is_out_of_order_is_reserved_no_more(evse_id: int, word: str, left: list[int]) -> None:
    rows = [reserve(1), reserve(2), reserve(0)]
    changes = Changes()
    status(word, 1, changes, evse_id=evse_id)
    held = [each for each in rows if state(each)[0] == "Accepted"]
    assert [each.evse_id for each in held] == left
    lost = [each for each in rows if each not in held]
    assert [state(each) for each in lost] == [("Removed", word)] * len(lost)
    assert set(changes.rows.get("reservation", {})) == {each.pk for each in lost}


def test_a_fault_of_before_that_is_told_only_now_ends_nothing() -> None:
    reservation = reserve()
    status("Faulted", MADE - 5, told_at=5)
    assert state(reservation)[0] == "Accepted"
    status("Faulted", MADE + 5, told_at=5)
    assert state(reservation)[0] == "Removed"


def test_statuses_cost_nothing_more_unless_something_is_out_of_order(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        reservations.lose([a_status("Charging", 0)], Changes())
    with django_assert_num_queries(1):
        reservations.lose([a_status("Faulted", 0), a_status("Unavailable", 0, evse_id=2)], Changes())
    rows = [reserve(1), reserve(2)]
    statuses.record([a_status("Faulted", 0), a_status("Unavailable", 0, evse_id=2)], Changes())
    assert [state(each)[1] for each in rows] == ["Faulted", "Unavailable"]


def test_a_reservation_whose_time_is_over_expires() -> None:
    over, running = reserve(1, expiry_date=at(5)), reserve(2)
    changes = Changes()
    assert reservations.expire(now=at(5), changes=changes) == 1
    assert [state(each)[0] for each in (over, running)] == ["Expired", "Accepted"]
    assert over.ended_at == at(5)
    assert changes.rows == {"reservation": {over.pk: "updated"}}
    assert reservations.expire(now=at(5), changes=Changes()) == 0


def test_a_request_whose_time_is_over_has_failed_and_a_late_answer_still_counts() -> None:
    over, running = ask(1, expiry_date=at(5)), ask(2)
    changes = Changes()
    assert reservations.expire(now=at(5), changes=changes) == 1
    assert [state(each) for each in (over, running)] == [("Failed", "expired"), ("Requested", "")]
    assert over.ended_at == at(5)
    assert changes.rows == {"reservation": {over.pk: "updated"}}
    assert reservations.expire(now=at(6), changes=Changes()) == 0
    answer(over, minute=4)
    assert reservations.expire(now=at(6), changes=Changes()) == 1
    assert state(over) == ("Expired", "")


# Who may charge


@pytest.mark.parametrize(
    ("id_token", "expected"),
    [
        ("TAG1", ACCEPTED),
        ("tag-1", ACCEPTED),
        ("TAG2", ACCEPTED),
        ("FAMILY", ACCEPTED),
        ("STRANGER", RESERVED),
        ("NOBODY", AuthorizationStatus.INVALID),
    ],
)
def test_a_reserved_connector_is_for_the_tag_and_its_group(id_token: str, expected: AuthorizationStatus) -> None:
    reserve(1)
    started = start(id_token=id_token)
    assert started.authorization.status == expected
    assert row(started).authorization_status == expected
    assert row(started).transaction_status == ("Started" if expected == ACCEPTED else "Unauthorized")
    assert start(1, evse_id=2, id_token="OTHER").authorization.status == ACCEPTED


def test_without_a_group_a_connector_is_for_the_tag_alone() -> None:
    reserve(1, parent="")
    assert start(id_token="TAG2").authorization.status == RESERVED


def test_a_refusal_tells_how_long_it_lasts_and_keeps_what_else_is_known() -> None:
    reserve(1, "OTHER", "", expiry_date=at(30))
    assert start(id_token="TAG1").authorization == Authorization(RESERVED, at(30), "FAMILY")
    IdTag.objects.filter(pk="TAG1").update(expiry_date=at(20))
    assert start(1, id_token="TAG1").authorization == Authorization(RESERVED, at(20), "FAMILY")


def test_a_tag_that_may_not_charge_at_all_is_told_why() -> None:
    reserve(1)
    IdTag.objects.filter(pk="STRANGER").update(revoked=True)
    assert start(id_token="STRANGER").authorization.status == BLOCKED


@pytest.mark.parametrize("state", [each for each in ReservationStatus if each != ReservationStatus.ACCEPTED])
def test_only_what_is_accepted_refuses_anybody(state: ReservationStatus) -> None:
    for number in (1, 2):
        reserve(number)
    Reservation.objects.update(status=state)
    assert authorize().status == ACCEPTED
    assert start(id_token="STRANGER").authorization.status == ACCEPTED


def test_what_has_expired_refuses_nobody_though_it_is_not_swept_yet() -> None:
    for number in (1, 2):
        reserve(number)
    assert authorize(minute=UNTIL - 1).status == RESERVED
    assert authorize(minute=UNTIL).status == ACCEPTED
    assert start(UNTIL, id_token="STRANGER").authorization.status == ACCEPTED


@pytest.mark.parametrize(
    ("reserved", "stranger", "starts"),
    [
        # What is reserved for another; whether a stranger is authorised, and may start at 1 and at 2.
        ([], ACCEPTED, {1: ACCEPTED, 2: ACCEPTED}),
        ([1], ACCEPTED, {1: RESERVED, 2: ACCEPTED}),
        ([1, 2], RESERVED, {1: RESERVED, 2: RESERVED}),
        ([0], ACCEPTED, {1: ACCEPTED, 2: ACCEPTED}),
        ([0, 0], RESERVED, {1: RESERVED, 2: RESERVED}),
        ([1, 0], RESERVED, {1: RESERVED, 2: RESERVED}),
        ([7], ACCEPTED, {1: ACCEPTED, 2: ACCEPTED}),
        ([7, 1, 2], RESERVED, {1: RESERVED, 2: RESERVED}),
    ],
)
def test_a_stranger_is_refused_where_nothing_is_left(
    reserved: list[int], stranger: AuthorizationStatus, starts: dict[int, AuthorizationStatus]
) -> None:
    for evse_id in reserved:
        reserve(evse_id)
    assert authorize().status == stranger
    for number, expected in starts.items():
        assert start(number, evse_id=number, id_token="STRANGER").authorization.status == expected
        Transaction.objects.update(stop_transaction_timestamp=at(number))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        # What TAG1 has reserved beside connector 1 and any connector of another.
        ([2], {1: RESERVED, 2: ACCEPTED}),
        ([0], {1: RESERVED, 2: ACCEPTED}),
        ([1], {1: ACCEPTED, 2: ACCEPTED}),
    ],
)
def test_whoever_has_reserved_is_authorised_and_may_start_there(
    own: list[int], expected: dict[int, AuthorizationStatus]
) -> None:
    reserve(1, "OTHER", "")
    reserve(0, "OTHER", "")
    for evse_id in own:
        reserve(evse_id)
    assert authorize("TAG1").status == ACCEPTED
    held = reservations.held_by(["CP1"])["CP1"]
    granted = Authorization(ACCEPTED, parent="FAMILY")
    found = {number: reservations.guard(granted, held, "TAG1", at(0), evse_id=number).status for number in (1, 2)}
    assert found == expected


def test_a_station_whose_connectors_nobody_knows_refuses_nobody() -> None:
    reserve(0)
    Connector.objects.all().delete()
    assert authorize().status == ACCEPTED
    assert start(id_token="STRANGER").authorization.status == ACCEPTED


def test_reservations_of_another_station_are_no_matter() -> None:
    told.station("CP2")
    reserve(0, station="CP2")
    assert authorize().status == ACCEPTED
    assert start(id_token="STRANGER").authorization.status == ACCEPTED


def test_a_start_of_before_the_reservation_that_is_told_only_now_is_accepted() -> None:
    reservation = reserve(1)
    assert start(MADE - 30, id_token="STRANGER", told_at=0).authorization.status == ACCEPTED
    assert start(MADE - 20, id_token="TAG1", told_at=1).authorization.status == ACCEPTED
    assert state(reservation)[0] == "Accepted"
    assert start(MADE + 1, id_token="STRANGER", told_at=2).authorization.status == RESERVED


def test_a_repeated_start_is_answered_as_the_first_time_though_the_reservation_is_over() -> None:
    reservation = reserve(1)
    first = start(id_token="STRANGER")
    cancel(reservation.reservation_id)
    again = start(id_token="STRANGER")
    assert (again.transaction_id, again.authorization.status) == (first.transaction_id, RESERVED)


def test_a_batch_costs_one_statement_for_all_its_stations(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    stations = [told.station(f"S{number}").pk for number in range(20)]
    for batch in (stations[:1], stations):
        with django_assert_num_queries(2):
            idtags.authorize([AuthorizationRequest(each, "STRANGER", at(0)) for each in batch], Changes())
        with django_assert_num_queries(1):
            held = reservations.held_by(batch)
    # Where nothing is held, nothing more is read.
    begun = Transaction(chargepoint_id="CP1", evse_id=1)
    with django_assert_num_queries(0):
        reservations.guard(Authorization(ACCEPTED), held.get("CP1", ()), "TAG1", at(0), evse_id=1)
        reservations.use(begun, (), number=None, id_tag="TAG1", parent=None, at=at(0), changes=Changes())


# Use


@pytest.mark.parametrize(
    ("reserved", "evse_id", "id_token", "used"),
    [
        ([(1, "TAG1", "FAMILY")], 1, "TAG1", 0),
        ([(1, "TAG1", "FAMILY")], 1, "tag-1", 0),
        ([(1, "TAG1", "FAMILY")], 1, "TAG2", 0),
        ([(1, "TAG1", "FAMILY")], 1, "STRANGER", None),
        ([(1, "TAG1", "FAMILY")], 2, "TAG1", None),
        ([(0, "TAG1", "FAMILY")], 2, "TAG1", 0),
        ([(0, "TAG1", "FAMILY"), (1, "TAG1", "FAMILY")], 1, "TAG1", 1),
        ([(0, "TAG1", "FAMILY"), (1, "TAG1", "FAMILY")], 2, "TAG1", 0),
        ([(0, "TAG1", "FAMILY"), (0, "TAG2", "FAMILY")], 2, "TAG2", 1),
        ([(0, "TAG2", "FAMILY"), (0, "TAG1", "FAMILY")], 2, "TAG2", 0),
    ],
)
def test_a_start_uses_the_reservation_of_its_tag_or_group(
    reserved: list[tuple[int, str, str]], evse_id: int, id_token: str, used: int | None
) -> None:
    rows = [reserve(*each) for each in reserved]
    changes = Changes()
    started = start(0, changes, evse_id=evse_id, id_token=id_token)
    for number, each in enumerate(rows):
        assert state(each)[0] == ("Used" if number == used else "Accepted")
        assert each.transaction_id == (started.transaction_id if number == used else None)
    assert ("reservation" in changes.rows) == (used is not None)


def test_a_start_that_names_a_reservation_uses_that_one_whoever_starts() -> None:
    named, own = reserve(2, "OTHER", ""), reserve(1)
    started = start(reservation_id=named.reservation_id)
    assert (state(named)[0], state(own)[0]) == ("Used", "Accepted")
    assert named.transaction_id == started.transaction_id
    assert start(1, id_token="STRANGER", reservation_id=own.reservation_id).authorization.status == RESERVED
    assert state(own)[0] == "Used"


def test_a_start_that_names_what_nobody_knows_uses_the_one_of_its_tag() -> None:
    reservation = reserve(1)
    start(reservation_id=4711)
    assert state(reservation)[0] == "Used"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Accepted", "Used"),
        ("Requested", "Used"),
        ("Failed", "Used"),
        ("Expired", "Used"),
        ("Removed", "Used"),
        ("Cancelled", "Cancelled"),
        ("Rejected", "Rejected"),
        ("Replaced", "Replaced"),
    ],
)
def test_a_station_that_used_a_reservation_had_it(before: str, after: str) -> None:
    reservation = reserve(1)
    Reservation.objects.update(status=before)
    started = start(reservation_id=reservation.reservation_id)
    assert state(reservation)[0] == after
    assert reservation.transaction_id == (started.transaction_id if after == "Used" else None)


def test_a_start_uses_what_is_held_while_its_replacement_is_on_the_way() -> None:
    held, asked = reserve(1, number=7), ask(2, number=7)
    start(reservation_id=7)
    assert (state(held)[0], state(asked)[0]) == ("Used", "Requested")


def test_a_number_that_was_used_before_does_not_bring_back_an_older_one() -> None:
    old = reserve(1, number=7, expiry_date=at(1))
    reservations.expire(now=at(1), changes=Changes())
    new = reserve(1, number=7)
    start(2, reservation_id=7)
    start(3, id_token="OTHER", reservation_id=7)
    assert (state(old)[0], state(new)[0]) == ("Expired", "Used")


def test_a_repeated_start_uses_nothing_more() -> None:
    first, second = reserve(1), reserve(0)
    for _ in range(2):
        start()
    assert (state(first)[0], state(second)[0]) == ("Used", "Accepted")


def test_a_used_reservation_refuses_nobody_any_more() -> None:
    reserve(1)
    start()
    assert start(5, id_token="STRANGER").authorization.status == ACCEPTED


def test_deleting_the_station_the_tag_or_the_connector_keeps_its_reservations() -> None:
    reservation = reserve(1)
    Connector.objects.all().delete()
    IdTag.objects.all().delete()
    ChargePoint.objects.all().delete()
    reservation.refresh_from_db()
    assert (reservation.chargepoint_id, reservation.id_tag_id, reservation.connector) == ("CP1", "TAG1", None)


# The 2.x way


def event(uuid: str = "t1", id_token: str | None = "TAG1", seq_no: int = 0, **members: Any) -> Authorization | None:
    defaults: dict[str, Any] = {
        "ocpp_version": OcppVersion.V201,
        "kind": "Started",
        "trigger": "Authorized",
        "at": at(0),
        "received_at": at(0),
        "evse_id": 1,
        "connector_id": 1,
    }
    value = TransactionEvent("CP1", uuid=uuid, id_token=id_token, seq_no=seq_no, **{**defaults, **members})
    (answer,) = transactionevents.record([value], Changes())
    return answer.authorization


def test_a_transaction_of_a_later_version_respects_and_uses_reservations_too() -> None:
    reservation = reserve(1)
    refused = event("t0", "STRANGER")
    assert refused is not None
    assert refused.status == RESERVED
    assert Transaction.objects.get(uuid="t0").transaction_status == "Unauthorized"

    event("t1", None)
    accepted = event("t1", "TAG2", 1, kind="Updated", evse_id=0)
    assert accepted is not None
    assert accepted.status == ACCEPTED
    assert state(reservation)[0] == "Used"
    assert reservation.transaction == Transaction.objects.get(uuid="t1")


def test_a_transaction_of_a_later_version_uses_the_reservation_it_names() -> None:
    reservation = reserve(2, "OTHER", "")
    event("t1", "TAG1", reservation_id=reservation.reservation_id)
    assert state(reservation)[0] == "Used"


def test_starts_of_a_batch_read_what_is_held_once() -> None:
    stations = ["CP1", *(told.station(f"S{number}").pk for number in range(20))]
    with CaptureQueriesContext(connection) as statements:
        transactionstarts.record([a_start(station=each) for each in stations], Changes())
    assert sum("chargers_reservation" in each["sql"] for each in statements) == 1
