"""What stations make up is kept as far as there is room, and the rest is counted."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import Mutability, OcppVersion
from chargers.errors import UnknownStation
from chargers.models import (
    ChargePoint,
    ChargingLimit,
    Connector,
    Deviation,
    DisplayMessage,
    IdTag,
    InstalledProfile,
    StatusNotification,
    Variable,
    VariableMonitor,
)
from chargers.services import (
    charginglimits,
    displaymessages,
    idtags,
    installedprofiles,
    monitors,
    registrations,
    stations,
    statuses,
    variables,
)
from chargers.values import (
    AuthorizationRequest,
    ChargingLimitReport,
    Lookup,
    Message,
    MessagesReport,
    Monitor,
    MonitorsReport,
    Profile,
    ProfilesTold,
    StatusReport,
    VariableName,
    VariableReport,
    VariablesReport,
)
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limits(db: None, settings: Settings) -> Iterator[None]:
    settings.OCPP_MAX_CONNECTORS = settings.OCPP_MAX_RECORDS = 3
    told.station("CP1")
    told.station("CP2")
    registrations.forget()
    yield
    registrations.forget()


def left_out(kind: str) -> float:
    return REGISTRY.get_sample_value("ocpp_left_out_total", {"kind": kind}) or 0.0


def noted(station: str = "CP1") -> dict[str, int]:
    rows = Deviation.objects.filter(chargepoint=station, kind="too-many-records")
    return {row.example: row.count for row in rows}


def status(evse: int, word: str = "Available", station: str = "CP1", minute: float = 0) -> StatusReport:
    return StatusReport(station, OcppVersion.V16, evse, 1, word, at(minute), at(minute))


def test_a_station_has_so_many_connectors_and_all_its_statuses() -> None:
    before = left_out("connectors")
    statuses.record([status(evse) for evse in range(1, 6)] + [status(1, station="CP2")], Changes())
    assert list(Connector.objects.filter(chargepoint="CP1").values_list("evse_id", flat=True)) == [1, 2, 3]
    assert Connector.objects.filter(chargepoint="CP2").count() == 1
    assert StatusNotification.objects.count() == 6
    assert left_out("connectors") == before + 2
    assert noted() == {"connectors beyond 3": 2}
    assert not noted("CP2")
    statuses.record([status(3, "Charging", minute=1), status(7, minute=1)], Changes())
    assert Connector.objects.get(chargepoint="CP1", evse_id=3).connector_status == "Charging"
    assert noted() == {"connectors beyond 3": 3}


def test_a_transaction_at_a_connector_too_many_is_kept_without_one() -> None:
    statuses.record([status(evse) for evse in range(1, 4)], Changes())
    row = told.row(told.start(evse_id=9))
    assert (row.evse_id, row.connector) == (9, None)


def test_a_station_has_so_many_variables_and_those_are_kept_up_to_date() -> None:
    def tell(minute: float, *names: str) -> None:
        news = [VariableReport(name, f"{name}{minute:g}", Mutability.READ_WRITE) for name in names]
        variables.record([VariablesReport("CP1", news, [], at(minute))], Changes())

    tell(0, "A", "B")
    tell(1, "B", "C", "D")
    assert dict(Variable.objects.values_list("variable", "value")) == {"A": "A0", "B": "B1", "C": "C1"}
    assert noted() == {"variables beyond 3": 1}


def test_a_station_has_so_many_monitors_messages_profiles_and_limits() -> None:
    numbers = range(1, 6)
    name = VariableName("Power", "Meter")
    told_now = [Monitor(number, name, "Delta", 1.0, 5, False) for number in numbers]
    monitors.record([MonitorsReport("CP1", told_now, (), at(0))], Changes())
    shown = [Message(number, "NormalCycle", "UTF8", "hello") for number in numbers]
    displaymessages.record([MessagesReport("CP1", shown, (), at(1))], Changes())
    schedule = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 6.0}]}
    profiles = [Profile(number, 0, "TxDefaultProfile", "Absolute", [schedule]) for number in numbers]
    installedprofiles.report([ProfilesTold("CP1", 0, "CSO", profiles, at(2))], Changes())
    charginglimits.record([ChargingLimitReport("CP1", evse, "EMS", at(3)) for evse in numbers], Changes())
    charginglimits.record([ChargingLimitReport("CP1", 2, "EMS", at(4), True)], Changes())
    for model in (VariableMonitor, DisplayMessage, InstalledProfile, ChargingLimit):
        assert model._default_manager.filter(chargepoint="CP1").count() == 3, model
    assert ChargingLimit.objects.get(evse_id=2).is_grid_critical is True
    assert noted() == {"charging limits beyond 3": 8}


def test_unknown_stations_are_registered_while_there_is_room(settings: Settings) -> None:
    settings.OCPP_MAX_STATIONS = 4
    answers = stations.lookup([Lookup(f"NEW{number}", None, at(0)) for number in range(5)], Changes())
    assert [isinstance(answer, UnknownStation) for answer in answers] == [False, False, True, True, True]
    assert ChargePoint.objects.count() == 4
    (again,) = stations.lookup([Lookup("NEW1", None, at(1))], Changes())
    assert not isinstance(again, UnknownStation)
    ChargePoint.objects.filter(pk="NEW0").delete()
    # As a minute later.
    registrations.forget()
    (late,) = stations.lookup([Lookup("NEW4", None, at(2))], Changes())
    assert not isinstance(late, UnknownStation)


def test_unknown_tags_are_registered_while_there_is_room(settings: Settings) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN, settings.OCPP_MAX_ID_TAGS = True, 2
    asked = [AuthorizationRequest("CP1", f"TAG{number}", at(0)) for number in range(4)]
    assert [each.status for each in idtags.authorize(asked, Changes())] == [
        "Accepted",
        "Accepted",
        "Invalid",
        "Invalid",
    ]
    assert IdTag.objects.count() == 2


def test_a_count_is_not_read_for_each_one(settings: Settings, django_assert_max_num_queries: object) -> None:
    settings.OCPP_MAX_STATIONS = 10
    assert registrations.has_room(ChargePoint, 10)
    with django_assert_max_num_queries(0):  # type: ignore[operator]
        assert [registrations.has_room(ChargePoint, 10) for _ in range(9)] == [True] * 7 + [False] * 2
