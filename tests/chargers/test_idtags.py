"""Id tags: whether a driver may charge."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.transaction import atomic
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionStatus
from chargers.models import ChargePoint, IdTag, Transaction
from chargers.models.idtag import tag_key
from chargers.services import idtags
from chargers.values import Authorization, AuthorizationRequest
from tests.chargers import told
from tests.chargers.told import at, row, start, stop

pytestmark = pytest.mark.django_db

ACCEPTED, BLOCKED, EXPIRED, INVALID, CONCURRENT = (
    AuthorizationStatus.ACCEPTED,
    AuthorizationStatus.BLOCKED,
    AuthorizationStatus.EXPIRED,
    AuthorizationStatus.INVALID,
    AuthorizationStatus.CONCURRENT_TX,
)
# What makes a tag valid, blocked or expired at ten o'clock.
VALID: dict[str, Any] = {"expiry_date": at(60)}
REVOKED: dict[str, Any] = {"revoked": True}
PAST: dict[str, Any] = {"expiry_date": at(-1)}


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station(chargepoint_serial_number="SN1", chargebox_serial_number="BOX1")


def tag(id_token: str = "TAG1", **members: Any) -> IdTag:
    return IdTag.objects.create(id_token=id_token, **members)


def judge(id_token: str = "TAG1", station: str = "CP1") -> Authorization:
    (authorization,) = idtags.authorize([AuthorizationRequest(station, id_token, at(0))], Changes())
    return authorization


# One tag


@pytest.mark.parametrize(
    ("own", "parents", "status", "expiry"),
    [
        ({}, None, ACCEPTED, None),
        (VALID, None, ACCEPTED, 60),
        (REVOKED, None, BLOCKED, None),
        (PAST, None, EXPIRED, -1),
        ({"expiry_date": at(0)}, None, EXPIRED, 0),
        ({**PAST, **REVOKED}, None, BLOCKED, -1),
        ({}, {}, ACCEPTED, None),
        (VALID, {"expiry_date": at(30)}, ACCEPTED, 30),
        (VALID, {"expiry_date": at(90)}, ACCEPTED, 60),
        ({}, REVOKED, BLOCKED, None),
        ({}, PAST, EXPIRED, -1),
        (REVOKED, PAST, BLOCKED, -1),
        (PAST, REVOKED, EXPIRED, -1),
    ],
)
def test_a_tag_is_judged_by_itself_and_by_its_parent(
    own: dict[str, Any], parents: dict[str, Any] | None, status: AuthorizationStatus, expiry: float | None
) -> None:
    parent = tag("FAMILY", **parents) if parents is not None else None
    tag(parent=parent, **own)
    expected = Authorization(status, at(expiry) if expiry is not None else None, "FAMILY" if parent else None)
    assert judge() == expected


@pytest.mark.parametrize(
    ("spelling", "known"),
    [
        ("04A1B2C3", True),
        ("04a1b2c3", True),
        ("04:A1:B2:C3", True),
        ("04-a1-b2-c3", True),
        (" 04A1 B2C3 ", True),
        ("04A1B2C", False),
        ("04A1B2C3D", False),
        ("", False),
    ],
)
def test_a_tag_is_known_in_any_case_and_with_any_separators(spelling: str, known: bool) -> None:
    tag("04:A1:B2:C3")
    assert (judge(spelling).status == ACCEPTED) is known


def test_a_tag_of_20_characters_is_known_by_them_though_more_come_back() -> None:
    tag("12345678901234567890")
    tag("123456789012345678901234")
    assert judge("1234567890123456789012").status == ACCEPTED
    found = idtags.find(["123456789012345678901234", "1234567890123456789012"])
    assert [each.pk for each in found.values() if each] == ["123456789012345678901234", "12345678901234567890"]


@pytest.mark.parametrize("separators", ["::", "-", ". ."])
def test_a_tag_of_separators_alone_is_itself(separators: str) -> None:
    assert tag_key(separators) == separators
    tag(separators)
    assert judge(separators).status == ACCEPTED
    assert judge("").status == INVALID


@pytest.mark.parametrize("spelling", ["tag-1", "TAG1", "T:A:G:1"])
def test_two_tags_that_differ_only_in_spelling_are_refused(spelling: str) -> None:
    tag("TAG-1")
    with pytest.raises(ValidationError, match="the same tag"):
        IdTag(id_token=spelling).clean()


def test_a_tag_cannot_be_its_own_parent() -> None:
    own = tag()
    own.parent = own
    with pytest.raises(ValidationError, match="its own parent"):
        own.clean()


def test_deleting_a_parent_leaves_its_children() -> None:
    parent = tag("FAMILY", **REVOKED)
    tag(parent=parent)
    parent.delete()
    assert judge() == Authorization(ACCEPTED)


def test_many_tags_are_judged_with_a_query_for_them_and_one_for_reservations(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    names = [tag(f"TAG-{number}").pk for number in range(50)]
    for batch in (names[:1], names):
        with django_assert_num_queries(2):
            found = idtags.authorize([AuthorizationRequest("CP1", name, at(0)) for name in batch], Changes())
        assert {each.status for each in found} == {ACCEPTED}


# Nobody's tag


@pytest.mark.parametrize("shown", ["NOBODY", "NoAuthorization", "", "SN1", "box1"])
def test_an_unknown_tag_is_invalid_unless_a_setting_says_otherwise(shown: str) -> None:
    assert judge(shown) == idtags.INVALID
    assert not IdTag.objects.exists()


@pytest.mark.parametrize(
    ("shown", "status"),
    [("", ACCEPTED), ("noauthorization", ACCEPTED), ("sn1", ACCEPTED), ("BOX1", ACCEPTED), ("NOBODY", INVALID)],
)
def test_a_station_that_charges_for_free_is_accepted_where_that_is_allowed(
    settings: Settings, shown: str, status: AuthorizationStatus
) -> None:
    settings.OCPP_ACCEPT_NO_TAG = True
    assert judge(shown).status == status
    assert not IdTag.objects.exists()


def test_the_serial_number_of_another_station_is_no_way_to_charge_for_free(settings: Settings) -> None:
    settings.OCPP_ACCEPT_NO_TAG = True
    told.station("CP2")
    assert judge("SN1", "CP2") == idtags.INVALID


def test_an_unknown_tag_is_registered_where_that_is_allowed(settings: Settings) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    batch = [AuthorizationRequest("CP1", shown, at(0)) for shown in ("New-1", "NEW1", "New-1")]
    assert idtags.authorize(batch, Changes()) == [Authorization(ACCEPTED)] * 3
    assert IdTag.objects.get().pk == "New-1"
    assert judge("") == idtags.INVALID


def test_a_tag_that_is_known_to_be_blocked_stays_so_where_unknown_ones_are_allowed(settings: Settings) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    tag(**REVOKED)
    assert judge().status == BLOCKED


def test_a_start_with_an_unknown_tag_makes_the_tag_its_transactions_own(settings: Settings) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    first = start(id_token="New-1")
    assert first.authorization.status == ACCEPTED
    assert row(first).id_tag == IdTag.objects.get()
    assert start(1, evse_id=2, id_token="new1").authorization.status == CONCURRENT


# Concurrent transactions


@pytest.mark.parametrize(("allowed", "accepted"), [(0, 0), (1, 1), (2, 2), (None, 4)])
def test_a_tag_may_have_as_many_transactions_as_it_is_allowed(allowed: int | None, accepted: int) -> None:
    tag(max_active_transactions=allowed)
    answers = [start(number, evse_id=number).authorization.status for number in range(1, 5)]
    assert answers == [ACCEPTED] * accepted + [CONCURRENT] * (4 - accepted)
    assert Transaction.objects.filter(transaction_status=TransactionStatus.UNAUTHORIZED).count() == 4 - accepted


def test_running_transactions_are_no_matter_when_a_tag_is_only_shown() -> None:
    tag()
    start()
    assert judge().status == ACCEPTED
    told.station("CP2")
    assert start(1, station="CP2").authorization.status == CONCURRENT


def test_a_concurrent_start_is_answered_with_the_rest_of_what_is_known() -> None:
    tag(parent=tag("FAMILY", **VALID))
    start()
    assert start(1, evse_id=2).authorization == Authorization(CONCURRENT, at(60), "FAMILY")


def test_children_of_a_parent_do_not_count_for_each_other() -> None:
    family = tag("FAMILY")
    for number in (1, 2):
        tag(f"TAG{number}", parent=family)
    answers = [start(number, evse_id=number, id_token=f"TAG{number}").authorization.status for number in (1, 2)]
    assert answers == [ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("spelling", ["TAG1", "tag-1"])
def test_a_tag_may_start_again_once_its_transaction_has_ended(spelling: str) -> None:
    tag()
    first = start()
    assert start(1, evse_id=2, id_token=spelling).authorization.status == CONCURRENT
    stop(first.transaction_id, 2)
    assert start(3, evse_id=3, id_token=spelling).authorization.status == ACCEPTED


def test_a_transaction_that_a_start_ends_does_not_count() -> None:
    tag()
    start()
    assert start(10).authorization.status == ACCEPTED


def test_a_refused_transaction_does_not_count() -> None:
    blocked = tag(**REVOKED)
    assert start().authorization.status == BLOCKED
    blocked.revoked = False
    blocked.save()
    assert start(1, evse_id=2).authorization.status == ACCEPTED


def test_what_runs_now_says_nothing_about_a_start_of_yesterday() -> None:
    tag()
    live = start(0)
    yesterday = start(-1440, evse_id=2, told_at=1)
    assert yesterday.authorization.status == ACCEPTED
    assert row(live).is_open


def test_what_a_deleted_station_left_open_does_not_count() -> None:
    tag()
    told.station("CP2")
    start(station="CP2")
    assert start(1).authorization.status == CONCURRENT
    ChargePoint.objects.get(pk="CP2").delete()
    assert start(2, evse_id=2).authorization.status == ACCEPTED


@pytest.mark.django_db(transaction=True)
def test_two_nodes_that_start_at_once_do_not_both_get_the_last_place(short_connections: None) -> None:
    tag()
    told.station("CP2")

    def start_elsewhere() -> AuthorizationStatus:
        try:
            with atomic():
                return start(station="CP2").authorization.status
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other_node:
        with atomic():
            assert start().authorization.status == ACCEPTED
            elsewhere = other_node.submit(start_elsewhere)
            with pytest.raises(TimeoutError):
                elsewhere.result(timeout=0.3)
        assert elsewhere.result(timeout=10) == CONCURRENT


# At the stop


@pytest.mark.parametrize(
    ("shown", "status"), [("TAG1", ACCEPTED), ("FAMILY", BLOCKED), ("NOBODY", INVALID), ("", None)]
)
def test_a_stop_judges_the_tag_it_names(shown: str, status: AuthorizationStatus | None) -> None:
    tag()
    tag("FAMILY", **REVOKED)
    stopped = stop(start().transaction_id, id_token=shown)
    assert (stopped.authorization.status if stopped.authorization else None) == status
    assert row(stopped).stop_id_tag == shown
    assert row(stopped).id_tag_id == "TAG1"
