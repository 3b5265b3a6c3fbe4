import pytest
from rest_framework.test import APIClient

from tests.api import rows
from tests.api.conftest import Listen

pytestmark = pytest.mark.django_db


def test_connectors_are_filtered(viewer: APIClient) -> None:
    old, new = rows.station("OLD", ocpp_version="ocpp1.6"), rows.station("NEW", ocpp_version="ocpp2.0.1")
    rows.connector(old, 1, connector_status="Charging")
    rows.connector(old, 2)
    rows.connector(new, 1, 1)
    rows.connector(new, 1, 2, connector_status="Faulted")

    def found(**query: object) -> list[str]:
        results = viewer.get("/api/connector/", query).json()["results"]
        return [f"{row['chargepoint']} {row['evse_id']}.{row['connectorid']}" for row in results]

    assert found() == ["NEW 1.1", "NEW 1.2", "OLD 1.1", "OLD 2.1"]
    assert found(chargepoint_id="OLD") == ["OLD 1.1", "OLD 2.1"]
    assert found(connector_status="Faulted") == ["NEW 1.2"]
    assert found(evse_id=1) == ["NEW 1.1", "NEW 1.2", "OLD 1.1"]
    # A station of OCPP 1.6 numbers its connectors through: its connector 2 is EVSE 2, connector 1.
    assert found(connector_id=2) == ["NEW 1.2", "OLD 2.1"]
    assert found(chargepoint_id="OLD", connector_id=1) == ["OLD 1.1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("connector_status", "Broken"), ("connector_id", "one"), ("connector_id", "1.5"), ("evse_id", "9" * 20)],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name(name: str, value: str, viewer: APIClient) -> None:
    refused = viewer.get("/api/connector/", {name: value})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {name}


def test_an_operator_says_what_stations_do_not_tell(operator: APIClient, listen: Listen) -> None:
    path = f"/api/connector/{rows.connector(rows.station()).pk}/"
    body = {"standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE"}
    with listen() as news:
        changed = operator.patch(path, body).json()
    assert body.items() <= changed.items()
    assert changed == operator.get(path).json()
    assert news == [("connector", "updated", changed)]


@pytest.mark.parametrize(
    "body", [{"connector_status": "Available"}, {"evse_id": 2}, {"format": "PLUG"}, {"power_type": "NUCLEAR"}]
)
def test_what_a_station_reports_and_what_does_not_exist_cannot_be_set(
    body: dict[str, object], operator: APIClient
) -> None:
    refused = operator.patch(f"/api/connector/{rows.connector(rows.station()).pk}/", body)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == body.keys()


@pytest.mark.parametrize("key", ["00000000-0000-0000-0000-000000000000", "7", "CP001/1"])
def test_an_unknown_connector_is_not_found(key: str, viewer: APIClient) -> None:
    refused = viewer.get(f"/api/connector/{key}/")
    assert refused.status_code == 404
    assert refused.json() == {"code": "not_found", "message": f"There is no connector '{key}'.", "details": {}}


def test_connectors_are_neither_made_nor_deleted_by_hand(operator: APIClient) -> None:
    path = f"/api/connector/{rows.connector(rows.station()).pk}/"
    assert operator.delete(path).status_code == 405
    assert operator.post("/api/connector/", {}).status_code == 405
