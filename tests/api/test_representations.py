"""The objects that clients see: their members are those of the contract, declared as they are."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from api import representations
from api.representations import Representation
from api.users import UserRepresentation
from chargers import representation, selectors
from chargers.choices import FileKind
from chargers.filing import Belonging
from chargers.folder import StoredFile
from chargers.services import locallists
from tests import pki
from tests.api import rows

pytestmark = pytest.mark.django_db

CONTRACT = {
    "/api/chargepoint/CP001/": "chargepoint_id, chargepoint_vendor, chargepoint_model, chargepoint_serial_number, "
    "chargebox_serial_number, firmware_version, ip_address, connected, chargepoint_status, ocpp_version, "
    "registration_status, last_heartbeat, last_seen, deviations, location",
    "/api/connector/{connector}/": "uuid, chargepoint, evse_id, connectorid, connector_status, availability_status, "
    "standard, format, power_type",
    "/api/idtag/TAG1/": "idToken, friendly_name, parent, expiry_date, revoked, user, max_active_transactions",
    "/api/transaction/{transaction}/": "transaction_id, uuid, connector, chargepoint_id, id_tag, "
    "start_transaction_timestamp, stop_transaction_timestamp, wh_meter_start, wh_meter_last, wh_meter_last_timestamp, "
    "wh_meter_stop, energy_wh, reason_stopped, transaction_status, flags",
    "/api/location/{location}/": "name, address, city, postal_code, country, coordinates, parking_type, time_zone",
    "/api/chargingprofile16/{profile}/": "chargingprofile_id, stack_level, chargingprofile_purpose, "
    "chargingprofile_kind, recurrency_kind, valid_from, valid_to, duration, start_schedule, charging_rate_unit, "
    "chargingschedule_period, min_charging_rate, transaction_id",
    "/api/task/{task}/": "task_id, chargepoint_id, ocpp_version, action, payload, status, response, error, "
    "requested_by, created_at, sent_at, finished_at",
}


@pytest.fixture
def filled() -> dict[str, Any]:
    """One row of everything, by the class that represents it."""
    station = rows.station()
    rows.deviation(station)
    rows.limitation(station)
    transaction = rows.transaction(station, connector=rows.connector(station))
    reading = rows.reading(transaction, [{"value": "1"}])
    tag, local_list = rows.tag(), rows.local_list(station, {"TAG1": {"status": "Accepted"}})
    return {
        "Station": selectors.chargepoints(now=timezone.now()).get(),
        "Connector": transaction.connector,
        "IdTag": tag,
        "Transaction": transaction,
        "LocalList": locallists.compare([local_list], now=timezone.now())[0],
        "LocalListInFull": local_list,
        "Reservation": rows.reservation(station, connector=transaction.connector),
        # Only a signed one has all.
        "SampledValue": {**representation.samples(reading)[0], "signed_meter_value": {}},
        "StatusNotification": rows.status(station),
        "SecurityEvent": rows.security_event(station),
        "Event": rows.event(station),
        "DisplayMessage": rows.display_message(station),
        "VariableMonitor": rows.monitor(station),
        "File": (
            StoredFile("logs/CP001/1/a.log", 1, rows.NOON),
            Belonging(FileKind.LOG, rows.log_upload(station), station.pk),
        ),
        "FirmwarePublication": rows.firmware_publication(station),
        "FirmwareUpdate": rows.firmware_update(station),
        "LogUpload": rows.log_upload(station),
        "Location": rows.location(latitude="1", longitude="2"),
        "Variable": rows.variable(station),
        "Certificate": rows.certificate(station),
        "CertificateAuthority": pki.root(),
        "ChargingProfile16": rows.charging_profile(),
        "ChargingProfile201": rows.charging_profile(),
        "ChargingLimit": rows.charging_limit(station),
        "ChargingNeeds": rows.charging_needs(station),
        "EVSchedule": rows.ev_schedule(station),
        "InstalledProfile": rows.installed_profile(station),
        "CompositeSchedule": rows.composite_schedule(station),
        "Command": rows.command(station, error={"code": "x", "description": "", "details": {}}),
        "UserRepresentation": User.objects.create(username="somebody"),
    }


def concrete(base: type[Representation] = Representation) -> list[type[Representation]]:
    return [each for each in base.__subclasses__() for each in (each, *concrete(each))]


def declared(serializer: Any, data: Any) -> None:
    """Compare the fields that a serializer declares with what it shows, nested ones too."""
    assert list(serializer.fields) == list(data)
    for name, field in serializer.fields.items():
        inner = getattr(field, "child", field)
        value = data[name][0] if isinstance(data[name], list) and data[name] else data[name]
        if hasattr(inner, "fields") and value:
            declared(inner, value)


@pytest.mark.parametrize("name", [each.__name__ for each in concrete() if each is not representations.NewStation])
def test_declared_fields_are_the_ones_shown(name: str, filled: dict[str, Any]) -> None:
    serializer = {each.__name__: each for each in concrete()}[name]
    declared(serializer(), serializer(filled[name]).data)


def test_new_station_shows_its_key_besides() -> None:
    assert list(representations.NewStation().fields) == [*representations.Station().fields, "key"]
    assert UserRepresentation in concrete()


@pytest.mark.parametrize("path", CONTRACT)
def test_resource_has_the_names_of_the_contract(path: str, filled: dict[str, Any], viewer: APIClient) -> None:
    keys = {
        "connector": filled["Connector"].pk,
        "transaction": filled["Transaction"].pk,
        "location": filled["Location"].pk,
        "profile": filled["ChargingProfile16"].pk,
        "task": filled["Command"].pk,
    }
    response = viewer.get(path.format(**keys))
    assert response.status_code == 200
    assert set(CONTRACT[path].split(", ")) <= set(response.json())


def test_samples_have_the_names_of_the_contract(filled: dict[str, Any], viewer: APIClient) -> None:
    answer = viewer.get(f"/api/sampledvalue/{filled['Transaction'].pk}/").json()
    assert answer["results"] == [
        {
            "timestamp": "2026-03-01T12:00:00Z",
            "value": "1",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "phase": None,
            "location": "Outlet",
            "unit": None,
        }
    ]


def test_connector_of_a_transaction_is_the_connector(filled: dict[str, Any], viewer: APIClient) -> None:
    transaction = viewer.get(f"/api/transaction/{filled['Transaction'].pk}/").json()
    assert transaction["connector"] == viewer.get(f"/api/connector/{filled['Connector'].pk}/").json()
