"""What all lists have in common: pages, order, picked fields, and no query per row."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from tasks.roles import Role
from tests.api import rows

pytestmark = pytest.mark.django_db


def add_station(number: int) -> None:
    station = rows.station(f"S{number:02}", connected=True, location=rows.location())
    rows.deviation(station, "one")
    rows.deviation(station, "two")


def add_connector(number: int) -> None:
    rows.connector(rows.station(f"S{number:02}"))


def add_tag(number: int) -> None:
    owner = User.objects.create(username=f"owner{number}")
    rows.tag(f"TAG{number:02}", user=owner, parent=rows.tag(f"PARENT{number:02}"))


def add_transaction(number: int) -> None:
    station = rows.station(f"S{number:02}")
    rows.transaction(station, connector=rows.connector(station), id_tag=rows.tag(f"TAG{number:02}"))


def add_reservation(number: int) -> None:
    station = rows.station(f"S{number:02}")
    rows.reservation(station, connector=rows.connector(station), id_tag=rows.tag(f"TAG{number:02}"))


def add_reservation_of_one_station(number: int) -> None:
    station = rows.station() if number == 0 else rows.ChargePoint.objects.get()
    rows.reservation(station, number, connector=rows.connector(station, number + 1))


def add_samples(number: int) -> None:
    station = rows.station() if number == 0 else rows.ChargePoint.objects.get()
    transaction = rows.transaction(station, pk=1) if number == 0 else rows.Transaction.objects.get()
    rows.reading(transaction, [{"value": str(number)}], minute=number)


def add_status(number: int) -> None:
    rows.status(rows.station() if number == 0 else rows.ChargePoint.objects.get())


def add_local_list(number: int) -> None:
    rows.tag(f"TAG{number:02}", parent=rows.tag(f"PARENT{number:02}"))
    station = rows.station(f"S{number:02}")
    rows.variable(station, "LocalAuthListMaxLength", "10")
    rows.local_list(station, {"TAG00": {"status": "Accepted"}})


def add_location(number: int) -> None:
    rows.station(f"S{number:02}", location=rows.location(f"L{number:02}"))


def add_variable(number: int) -> None:
    rows.variable(rows.station(f"S{number:02}"))


def add_certificate(number: int) -> None:
    rows.certificate(rows.station(f"S{number:02}"))


def add_charging_profile(number: int) -> None:
    rows.charging_profile(stack_level=number)


def add_installed_profile(number: int) -> None:
    station = rows.station(f"S{number:02}")
    rows.installed_profile(station, evse_id=1, purpose="TxProfile", transaction=rows.transaction(station))


def add_composite_schedule(number: int) -> None:
    rows.composite_schedule(rows.station(f"S{number:02}"))


def add_command(number: int) -> None:
    rows.command(rows.station(f"S{number:02}"), requested_by=User.objects.create(username=f"user{number}"))


def add_firmware_publication(number: int) -> None:
    rows.firmware_publication(rows.station(f"S{number:02}"), asked_by=User.objects.create(username=f"user{number}"))


def add_firmware_update(number: int) -> None:
    rows.firmware_update(rows.station(f"S{number:02}"), asked_by=User.objects.create(username=f"user{number}"))


def add_log_upload(number: int) -> None:
    rows.log_upload(rows.station(f"S{number:02}"), asked_by=User.objects.create(username=f"user{number}"))


def add_user(number: int) -> None:
    User.objects.create(username=f"user{number:02}").groups.add(Group.objects.get(name=Role.VIEWER))


LISTS: dict[str, Callable[[int], None]] = {
    "/api/chargepoint/": add_station,
    "/api/connector/": add_connector,
    "/api/idtag/": add_tag,
    "/api/transaction/": add_transaction,
    "/api/reservation/": add_reservation,
    "/api/reservation/CP001/": add_reservation_of_one_station,
    "/api/sampledvalue/1/": add_samples,
    "/api/statusnotification/CP001/": add_status,
    "/api/locallist/": add_local_list,
    "/api/location/": add_location,
    "/api/variable/": add_variable,
    "/api/firmwarepublication/": add_firmware_publication,
    "/api/firmwareupdate/": add_firmware_update,
    "/api/logupload/": add_log_upload,
    "/api/certificate/": add_certificate,
    "/api/chargingprofile16/": add_charging_profile,
    "/api/installedprofile/": add_installed_profile,
    "/api/compositeschedule/": add_composite_schedule,
    "/api/task/": add_command,
    "/api/user/": add_user,
}


@pytest.fixture
def get(administrator: APIClient) -> Callable[..., Any]:
    """Return a function that gets a path with a query and answers the body, or the status of a refusal."""

    def get(path: str, **query: Any) -> Any:
        response = administrator.get(path, query)
        assert response.status_code == 200, response.content
        return response.json()

    return get


@pytest.mark.parametrize("path", LISTS)
def test_list_costs_the_same_queries_for_one_row_and_for_twenty(
    path: str, administrator: APIClient, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    LISTS[path](0)
    with django_assert_max_num_queries(8) as one:
        administrator.get(path)
    for number in range(1, 20):
        LISTS[path](number)
    with django_assert_num_queries(len(one)):
        answer = administrator.get(path).json()
    assert answer["count"] >= 20


@pytest.mark.parametrize("path", LISTS)
def test_pages_follow_each_other_without_gap_or_repeat(path: str, get: Callable[..., Any]) -> None:
    for number in range(5):
        LISTS[path](number)
    whole = get(path)
    assert list(whole) == ["count", "next", "previous", "results"]
    assert (whole["next"], whole["previous"]) == (None, None)

    page = get(path, limit=2)
    seen = page["results"]
    assert len(seen) == 2
    while page["next"]:
        page = get(page["next"])
        seen += page["results"]
    assert seen == whole["results"]
    assert page["previous"]


@pytest.fixture(scope="module")
def document() -> Any:
    """The API's document, which takes long to make."""
    return APIClient().get("/api/schema/").json()


@pytest.mark.parametrize("path", LISTS)
def test_every_order_on_offer_can_be_had(
    path: str, administrator: APIClient, get: Callable[..., Any], document: Any
) -> None:
    for number in range(3):
        LISTS[path](number)
    template = path.replace("/1/", "/{transaction_id}/").replace("CP001", "{chargepoint_id}")
    offered = [each for each in document["paths"][template]["get"]["parameters"] if each["name"] == "ordering"]
    for parameter in offered:
        for term in parameter["schema"]["items"]["enum"]:
            assert get(path, ordering=term)["count"] >= 3
        assert administrator.get(path, {"ordering": "password"}).json()["details"].keys() == {"ordering"}
    assert offered or "sampledvalue" in path


@pytest.mark.parametrize("path", LISTS)
def test_fields_are_picked_in_the_order_asked(path: str, administrator: APIClient, get: Callable[..., Any]) -> None:
    LISTS[path](0)
    names = list(get(path)["results"][0])
    picked = get(path, fields=f"{names[2]},{names[0]}")["results"]
    assert {tuple(row) for row in picked} == {(names[2], names[0])}

    refused = administrator.get(path, {"fields": f"{names[0]},nonsense"})
    assert refused.status_code == 400
    assert refused.json()["details"] == {"fields": ["There is no field 'nonsense'."]}


def test_fields_are_picked_from_one_row_too(viewer: APIClient) -> None:
    rows.station()
    assert viewer.get("/api/chargepoint/CP001/?fields=connected").json() == {"connected": False}
    assert viewer.get("/api/chargepoint/CP001/?fields=nonsense").status_code == 400


def test_limit_is_a_hundred_unless_told_and_a_thousand_at_most(get: Callable[..., Any]) -> None:
    rows.Location.objects.bulk_create(rows.Location(name=f"L{number}") for number in range(1001))
    assert len(get("/api/location/")["results"]) == 100
    assert len(get("/api/location/", limit=1000)["results"]) == 1000
    assert len(get("/api/location/", limit=5000)["results"]) == 1000
    assert len(get("/api/location/", limit=5000, offset=1000)["results"]) == 1
    assert get("/api/location/", offset=5000)["results"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "-1"), ("limit", "ten"), ("limit", ""), ("offset", "-1"), ("offset", "9" * 30)],
)
def test_nonsense_for_a_page_is_refused_by_name(name: str, value: str, viewer: APIClient) -> None:
    refused = viewer.get("/api/location/", {name: value})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {name}


def test_rows_without_a_value_come_last_either_way(get: Callable[..., Any]) -> None:
    station = rows.station()
    late = rows.transaction(station, stop_transaction_timestamp=rows.NOON + timedelta(hours=2)).pk
    open_one = rows.transaction(station).pk
    early = rows.transaction(station, stop_transaction_timestamp=rows.NOON + timedelta(hours=1)).pk

    def order(term: str) -> list[int]:
        return [row["transaction_id"] for row in get("/api/transaction/", ordering=term)["results"]]

    assert order("stop_transaction_timestamp") == [early, late, open_one]
    assert order("-stop_transaction_timestamp") == [late, early, open_one]
    assert order("transaction_status,-transaction_id") == [early, open_one, late]
