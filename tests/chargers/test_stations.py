"""Stations: who may connect, who is connected, what they say of themselves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import OcppVersion, RegistrationStatus, SecurityProfile
from chargers.errors import ChargersError, UnknownStation, WrongCredentials
from chargers.models import ChargePoint, CsmsNode, Deviation, Location, SecurityEvent, Variable
from chargers.services import security, stations
from chargers.values import (
    ClientCertificate,
    Connected,
    DeviationNote,
    Disconnected,
    Heartbeat,
    Lookup,
    NodeReport,
    StationProfile,
)
from tests.chargers import told
from tests.chargers.told import a_boot, at

pytestmark = pytest.mark.django_db


def node(name: str, lease_minute: float = 10) -> CsmsNode:
    return CsmsNode.objects.create(node_id=name, name=f"host {name}", started_at=at(0), lease_until=at(lease_minute))


def connect(identity: str, node_id: str, minute: float = 0) -> tuple[UUID, tuple[str, UUID] | None]:
    """Connect a station; return the connection's id and what held the station before."""
    connection_id = uuid4()
    connected = Connected(identity, connection_id, node_id, OcppVersion.V16, "192.0.2.1", at(minute))
    (before,) = stations.connect([connected], Changes())
    return connection_id, before


def lookup(
    identity: str, password: bytes | None = None, minute: float = 0, changes: Changes | None = None, **proof: Any
) -> StationProfile | ChargersError:
    (found,) = stations.lookup(
        [Lookup(identity, password, at(minute), **proof)], changes if changes is not None else Changes()
    )
    return found


def online(minute: float) -> set[str]:
    return set(ChargePoint.objects.with_connected(at(minute)).filter(connected=True).values_list("pk", flat=True))


# Keys


def test_a_key_is_random_long_and_kept_as_a_salted_hash_only() -> None:
    station = told.station()
    keys = {stations.new_key(station) for _ in range(3)}
    assert len(keys) == 3
    assert all(len(key) == 40 and int(key, 16) for key in keys)
    station.refresh_from_db()
    assert not any(key in station.key_hash for key in keys)
    one, other = stations.hash_key(b"the same"), stations.hash_key(b"the same")
    assert one != other
    assert stations.key_matches(b"the same", one)
    assert stations.key_matches(b"the same", other)


KEY = "00a1b2c3d4e5f60718293a4b5c6d7e8f90ff0011"


def test_a_new_key_takes_the_place_of_one_in_doubt_too() -> None:
    station = told.station(security_profile=SecurityProfile.BASIC)
    assert stations.propose_key(station, KEY.encode(), uuid4())
    assert not stations.propose_key(station, b"another", uuid4())
    station.refresh_from_db()
    key = stations.new_key(station)
    assert isinstance(lookup("CP1", KEY.encode()), WrongCredentials)
    assert isinstance(lookup("CP1", key.encode()), StationProfile)
    assert stations.propose_key(station, b"another", uuid4())


@pytest.mark.parametrize(
    ("presented", "right"),
    [
        (KEY.encode(), True),
        (KEY.upper().encode(), True),
        (bytes.fromhex(KEY), True),
        (KEY.encode()[:-1], False),
        (KEY.encode() + b"0", False),
        (b"", False),
        (b"\xff\xfe", False),
    ],
    ids=["text", "capitals", "bytes", "short", "long", "empty", "rubbish"],
)
def test_a_key_is_right_as_text_or_as_the_bytes_it_stands_for(presented: bytes, right: bool) -> None:
    assert stations.key_matches(presented, stations.hash_key(KEY.encode())) is right


@pytest.mark.parametrize(
    ("profile", "has_key", "password", "admitted"),
    [
        (SecurityProfile.NONE, False, None, True),
        (SecurityProfile.NONE, False, KEY.encode(), True),
        (SecurityProfile.NONE, True, None, True),
        (SecurityProfile.NONE, True, KEY.encode(), True),
        (SecurityProfile.NONE, True, b"wrong", False),
        (SecurityProfile.BASIC, True, KEY.encode(), True),
        (SecurityProfile.BASIC, True, b"wrong", False),
        (SecurityProfile.BASIC, True, b"", False),
        (SecurityProfile.BASIC, True, None, False),
        (SecurityProfile.BASIC, False, KEY.encode(), False),
        (SecurityProfile.BASIC, False, None, False),
    ],
)
def test_a_key_is_demanded_by_the_profile_and_never_wrong_where_it_is_offered(
    profile: SecurityProfile, has_key: bool, password: bytes | None, admitted: bool
) -> None:
    key_hash = stations.hash_key(KEY.encode()) if has_key else ""
    told.station(security_profile=profile, key_hash=key_hash)
    found = lookup("CP1", password)
    assert isinstance(found, StationProfile if admitted else WrongCredentials)


def certificate(*common_names: str, organizations: tuple[str, ...] = ()) -> ClientCertificate:
    return ClientCertificate(common_names, organizations, "0A", "00ff")


@pytest.mark.parametrize(
    ("common_name", "named"),
    [
        ("SN-1", True),
        ("sn-1", True),
        ("Acme SN-1", True),
        ("SN-1/Acme", True),
        ("serial:SN-1", True),
        ("SN-12", False),
        ("SN-1-2", False),
        ("SN-1.2", False),
        ("XSN-1", False),
        ("X-SN-1", False),
        ("SN", False),
        ("", False),
    ],
)
def test_a_certificate_names_a_serial_number_as_a_whole(common_name: str, named: bool) -> None:
    assert certificate("else", common_name).names("SN-1") is named


@pytest.mark.parametrize(
    ("certificate", "members", "operator", "own"),
    [
        (certificate("cp1"), {}, "", True),
        (certificate("CP1 of Acme"), {}, "", False),
        (certificate("S1"), {"chargepoint_serial_number": " S1 "}, "", True),
        (certificate("B1"), {"chargebox_serial_number": "B1"}, "", True),
        (certificate("S1"), {}, "", False),
        (certificate(), {"chargepoint_serial_number": "S1"}, "", False),
        (certificate("CP1"), {}, "Operator", False),
        (certificate("CP1", organizations=("Rival",)), {}, "Operator", False),
        (certificate("CP1", organizations=("Maker", "OPERATOR Ltd")), {}, "Operator", True),
        (None, {}, "", False),
    ],
    ids=str,
)
def test_a_certificate_is_the_stations_own_by_its_names_and_its_operator(
    settings: Settings, certificate: ClientCertificate | None, members: dict[str, str], operator: str, own: bool
) -> None:
    settings.CPO_NAME = operator
    told.station(security_profile=SecurityProfile.TLS_CERTIFICATE, **members)
    assert isinstance(lookup("CP1", tls=True, certificate=certificate), StationProfile) is own


# Refusals


def refusals() -> list[str]:
    return list(SecurityEvent.objects.filter(type=security.REFUSED).order_by("pk").values_list("tech_info", flat=True))


def test_a_refusal_is_kept_once_an_hour_for_each_reason_whatever_its_address() -> None:
    told.station(security_profile=SecurityProfile.BASIC, key_hash=stations.hash_key(KEY.encode()))
    changes = Changes()
    for minute, password, address in [
        (0, None, "192.0.2.1"),
        (1, None, "2001:db8::1"),
        (2, b"wrong", "2001:db8::1"),
        (3, b"wrong", None),
        (59, None, "192.0.2.1"),
        (61, None, None),
    ]:
        lookup("CP1", password, minute, changes, address=address)
    assert refusals() == [
        "192.0.2.1: the key is missing",
        "2001:db8::1: the key is wrong",
        "unknown address: the key is missing",
    ]
    assert set(changes.rows["securityevent"].values()) == {"created"}


def test_many_refusals_at_once_are_kept_once_for_each_station() -> None:
    for name in ("A", "B"):
        told.station(name, security_profile=SecurityProfile.BASIC)
    stations.lookup([Lookup(name, None, at(0)) for name in "AABbB"], Changes())
    assert sorted(SecurityEvent.objects.values_list("chargepoint", flat=True)) == ["A", "B"]


def test_whoever_is_let_in_costs_no_query_for_refusals(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    told.station(key_hash=stations.hash_key(KEY.encode()))
    with django_assert_num_queries(1):
        stations.lookup([Lookup("CP1", KEY.encode(), at(0))] * 5, Changes())


def test_stations_that_come_back_at_once_take_as_many_queries_as_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    names = [told.station(f"CP{number}").pk for number in range(30)]
    node("A")
    for number, coming in enumerate((names[:1], names)):
        connected = [Connected(name, uuid4(), "A", OcppVersion.V16, "10.0.0.1", at(number)) for name in coming]
        boots = [a_boot(number, station=name) for name in coming]
        # The stations are read, locked, and written.
        with django_assert_num_queries(2):
            stations.connect(connected, Changes())
        # The stations are read and written, running transactions and what awaits a reboot looked for.
        with django_assert_num_queries(4):
            stations.boot(boots, Changes())
        rows = ChargePoint.objects.filter(connection_id__in=[each.connection_id for each in connected])
        assert {(row.pk, row.node_id, row.ip_address, row.last_boot) for row in rows} == {
            (name, "A", "10.0.0.1", at(number)) for name in coming
        }


# Who may connect


def test_an_unknown_station_is_registered_once_where_that_is_allowed() -> None:
    changes = Changes()
    found = stations.lookup([Lookup("New/é", None, at(0)), Lookup("NEW/É", None, at(0))], changes)
    expected = StationProfile("New/é", RegistrationStatus.ACCEPTED, "", "", False)
    assert found == [expected, expected]
    assert ChargePoint.objects.get().pk == "New/é"
    assert changes.rows == {"chargepoint": {"New/é": "created"}}


def test_an_unknown_station_is_refused_where_stations_must_be_registered_first(settings: Settings) -> None:
    settings.OCPP_PREREGISTRATION = True
    told.station("CP1")
    unknown, known = stations.lookup([Lookup("CP2", None, at(0)), Lookup("CP1", None, at(0))], Changes())
    assert isinstance(unknown, UnknownStation)
    assert isinstance(known, StationProfile)
    assert ChargePoint.objects.count() == 1


def test_a_station_is_known_in_any_case_with_what_its_connection_needs() -> None:
    location = Location.objects.create(name="Depot", time_zone="Europe/Athens")
    told.station(
        "Cp1",
        location=location,
        registration_status=RegistrationStatus.PENDING,
        ocpp_version=OcppVersion.V201,
        last_boot=at(0),
    )
    assert lookup("cP1") == StationProfile("Cp1", RegistrationStatus.PENDING, "ocpp2.0.1", "Europe/Athens", True)


# Who is connected


def test_the_newest_connection_holds_the_station_and_the_end_of_the_old_one_changes_nothing() -> None:
    told.station()
    node("A")
    node("B")
    old, before = connect("CP1", "A", 0)
    assert before is None
    new, before = connect("CP1", "B", 1)
    assert before == ("A", old)
    changes = Changes()
    assert stations.disconnect([Disconnected("CP1", old, at(2))], changes) == [False]
    assert not changes
    station = ChargePoint.objects.get()
    assert (station.node_id, station.connection_id, station.connected_since) == ("B", new, at(1))
    assert (station.ip_address, station.ocpp_version, station.last_seen) == ("192.0.2.1", "ocpp1.6", at(1))
    assert stations.disconnect([Disconnected("CP1", new, at(3))], changes) == [True]
    assert changes.rows == {"chargepoint": {"CP1": "updated"}}
    assert ChargePoint.objects.get().node_id is None


def test_connections_are_told_by_station_and_unknown_stations_are_left_out() -> None:
    told.station("CP1")
    told.station("CP2")
    node("A")
    current, _ = connect("CP1", "A")
    assert stations.current_connections([["CP1", "CP2", "CP3"], [], ["CP2"]], Changes()) == [
        {"CP1": current, "CP2": None},
        {},
        {"CP2": None},
    ]


# Nodes


def test_a_node_reports_itself_renews_its_lease_and_learns_how_many_stations_it_holds() -> None:
    told.station("CP1")
    told.station("CP2")
    reports = [NodeReport(name, f"host {name}", at(0), at(1), ()) for name in ("A", "B")]
    assert stations.report_node(reports, Changes()) == [0, 0]
    connect("CP1", "A", 0)
    connect("CP2", "A", 0)
    assert stations.report_node([NodeReport("A", "host A", at(5), at(6), ["CP1"])], Changes()) == [2]
    row = CsmsNode.objects.get(pk="A")
    assert (row.started_at, row.lease_until) == (at(0), at(6))
    assert ChargePoint.objects.get(pk="CP1").last_seen == at(5)
    assert ChargePoint.objects.get(pk="CP2").last_seen == at(0)


def test_a_node_reports_with_as_many_queries_for_many_stations_as_for_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    names = [told.station(f"CP{number}").pk for number in range(30)]
    node("A")
    for seen in (names[:1], names):
        # The node is read, locked and written; its stations are written and counted.
        with django_assert_num_queries(6):
            stations.report_node([NodeReport("A", "host A", at(1), at(2), seen)], Changes())


@pytest.mark.parametrize(("minute", "fresh"), [(9.9, True), (10, False), (11, False)])
def test_a_station_is_online_while_its_nodes_lease_is_fresh(minute: float, fresh: bool) -> None:
    told.station()
    held_by = node("A", lease_minute=10)
    connect("CP1", "A")
    assert online(minute) == ({"CP1"} if fresh else set())
    assert held_by.is_alive(at(minute)) is fresh


def test_a_node_that_stopped_without_a_word_loses_its_stations_and_is_forgotten_a_day_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, lease in (("dead", 10), ("alive", 100)):
        node(name, lease)
        for number in (1, 2):
            identity = told.station(f"{name}-{number}").pk
            connect(identity, name)
    changes = Changes()
    stations.sweep_nodes(now=at(20), changes=changes)
    assert changes.rows == {"chargepoint": {"dead-1": "updated", "dead-2": "updated"}}
    assert "host dead" in caplog.text
    assert set(ChargePoint.objects.filter(node__isnull=False).values_list("pk", flat=True)) == {"alive-1", "alive-2"}
    assert not ChargePoint.objects.filter(node__isnull=True, connection_id__isnull=False).exists()

    again = Changes()
    stations.sweep_nodes(now=at(21), changes=again)
    assert not again
    assert CsmsNode.objects.count() == 2
    CsmsNode.objects.filter(pk="alive").update(lease_until=at(10_000))
    stations.sweep_nodes(now=at(10) + stations.FORGET_NODES_AFTER + timedelta(seconds=1), changes=again)
    assert CsmsNode.objects.get().pk == "alive"


def test_a_node_that_leaves_takes_only_its_own_stations_offline() -> None:
    for name in ("A", "B"):
        node(name)
        connect(told.station(f"of {name}").pk, name)
    changes = Changes()
    assert stations.leave_node(["A"], changes) == [None]
    assert changes.rows == {"chargepoint": {"of A": "updated"}}
    assert CsmsNode.objects.get().pk == "B"
    assert online(1) == {"of B"}


# What they say of themselves


def test_a_boot_is_kept_and_answered_with_the_registration_status() -> None:
    for status in RegistrationStatus:
        told.station(status.value, registration_status=status)
    batch = [a_boot(1, station=name) for name in ("Rejected", "Accepted", "Pending", "deleted")]
    assert [each.registration for each in stations.boot(batch, Changes())] == [
        "Rejected",
        "Accepted",
        "Pending",
        "Rejected",
    ]


def test_a_boot_replaces_what_the_station_said_before() -> None:
    told.station()
    told.boot(0, serial_number="S1", firmware_version="1.0", iccid="8930", imsi="262", meter_type="M")
    told.boot(1, serial_number="S2", box_serial_number="B2", meter_serial_number="M2")
    row = ChargePoint.objects.get()
    assert (row.chargepoint_vendor, row.chargepoint_model, row.last_boot, row.last_seen) == (
        "Acme",
        "One",
        at(1),
        at(1),
    )
    assert (row.chargepoint_serial_number, row.chargebox_serial_number, row.meter_serial_number) == ("S2", "B2", "M2")
    assert (row.firmware_version, row.iccid, row.imsi, row.meter_type) == ("", "", "", "")


def test_heartbeats_of_a_batch_take_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    names = [told.station(f"CP{number}").pk for number in range(50)]
    for minute, batch in enumerate((names[:1], names)):
        with django_assert_num_queries(1):
            stations.heartbeat([Heartbeat(name, at(minute)) for name in batch], Changes())
    assert set(ChargePoint.objects.values_list("last_heartbeat", "last_seen")) == {(at(1), at(1))}


def test_deviations_are_counted_by_kind_and_those_of_a_deleted_station_are_none() -> None:
    told.station()

    def note(kind: str, minute: float, count: int = 1, station: str = "CP1", example: str = "x") -> DeviationNote:
        return DeviationNote(station, kind, example, at(minute), count)

    changes = Changes()
    batch = [note("odd", 0), note("odd", 1, 5), note("other", 2), note("odd", 3, station="GONE")]
    assert stations.note_deviations(batch, changes) == [None] * 4
    stations.note_deviations([note("odd", 4, example="y" * 10_000)], changes)
    assert {row.kind: row.count for row in Deviation.objects.all()} == {"odd": 7, "other": 1}
    odd = Deviation.objects.get(kind="odd")
    assert (odd.first_seen, odd.last_seen, len(odd.example)) == (at(0), at(4), stations.EXAMPLE_LENGTH)
    assert changes.rows == {"chargepoint": {"CP1": "updated"}}


# The end of a station


@pytest.mark.parametrize("read", [lambda: Variable.objects.count(), lambda: Deviation.objects.count()])
def test_what_is_a_stations_own_goes_with_it(read: Callable[[], int]) -> None:
    station = told.station()
    Variable.objects.create(chargepoint=station, variable="X", read_at=at(0))
    stations.note_deviations([DeviationNote("CP1", "odd", "x", at(0))], Changes())
    assert read() == 1
    station.delete()
    assert read() == 0


def test_whatever_a_deleted_station_still_tells_of_itself_is_taken() -> None:
    assert stations.heartbeat([Heartbeat("GONE", at(0))], Changes()) == [None]
    assert stations.disconnect([Disconnected("GONE", uuid4(), at(0))], Changes()) == [False]
    node("A")
    assert connect("GONE", "A")[1] is None
    assert not ChargePoint.objects.exists()
