"""The serial number of a boot, against that of the certificate a station has connected with (B01.FR.11, B01.FR.12)."""

import logging
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, SecurityEvent
from csms.server import OcppServer
from tests.certificates import Authority
from tests.csms.conftest import Query
from tests.csms.test_proxied import der, field
from tests.simulator.station import CallError
from tests.simulator.v2 import Station201
from tests.simulator.v16 import Station16

SERIAL = "SN-4711"

pytestmark = pytest.mark.usefixtures("no_inventory")


async def register(query: Query, **members: Any) -> None:
    """Let CP1 be known, which must show a certificate, with the serial number it has told before."""
    known = {"security_profile": SecurityProfile.TLS_CERTIFICATE, "chargepoint_serial_number": SERIAL}
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", **{**known, **members}))


def boots_with(*serial_number: str) -> dict[str, str]:
    return dict(zip(("serialNumber",), serial_number, strict=False))


async def known_serial_number(query: Query) -> str:
    return (await query(ChargePoint.objects.get)).chargepoint_serial_number  # type: ignore[no-any-return]


@pytest.mark.parametrize("common_name", [SERIAL, f"Operator {SERIAL.lower()}"])
async def test_a_station_that_boots_with_the_number_of_its_certificate_is_served(
    wss: str, authority: Authority, query: Query, common_name: str
) -> None:
    await register(query)
    shown = authority.trusting(authority.station(common_name))
    async with Station201(wss, "CP1", ssl=shown, boot=boots_with(SERIAL)) as station:
        assert (await station.start_up())["status"] == "Accepted"
        await station.heartbeat()


async def refused(station: Station201) -> tuple[int, str]:
    """Boot a station that is not the one its certificate is of; return how its connection is closed."""
    with pytest.raises(CallError, match=r"SecurityError.*SN-4711.*'SN-1'"):
        await station.boot()
    closed: tuple[int, str] = await station.wait_closed()
    return closed


async def test_another_number_closes_the_connection_and_changes_nothing_but_a_security_event(
    wss: str, authority: Authority, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "csms.connection")
    await register(query, registration_status="Accepted")
    shown = authority.trusting(authority.station(SERIAL))
    for _ in range(2):
        async with Station201(wss, "CP1", ssl=shown, boot=boots_with("SN-1")) as station:
            assert await refused(station) == (1008, "the certificate is of another serial number")
    row = await query(ChargePoint.objects.get)
    assert (row.chargepoint_serial_number, row.chargepoint_vendor, row.last_boot) == (SERIAL, "", None)
    event = await query(SecurityEvent.objects.get)
    reason = "(CN), and the station boots with the serial number 'SN-1'"
    assert (event.type, event.count) == ("FailedToAuthenticateAtCsms", 2)
    assert event.tech_info.startswith("127.0.0.1: client certificate ")
    assert event.tech_info.endswith(reason)
    assert reason in caplog.text
    # With its own number it is let in as before.
    async with Station201(wss, "CP1", ssl=shown, boot=boots_with(SERIAL)) as station:
        await station.boot()


async def test_a_certificate_of_the_identity_says_nothing_of_the_number(
    wss: str, authority: Authority, query: Query
) -> None:
    await register(query)
    shown = authority.trusting(authority.station("cp1"))
    async with Station201(wss, "CP1", ssl=shown, boot=boots_with("SN-1")) as station:
        await station.boot()
        await station.heartbeat()
    assert await known_serial_number(query) == "SN-1"


async def test_a_station_that_tells_no_number_is_let_in_again(wss: str, authority: Authority, query: Query) -> None:
    await register(query)
    shown = authority.trusting(authority.station(SERIAL))
    for _ in range(2):
        async with Station201(wss, "CP1", ssl=shown) as station:
            await station.boot()
    assert await known_serial_number(query) == SERIAL


async def test_a_station_without_a_certificate_may_change_its_number(
    wss: str, authority: Authority, query: Query
) -> None:
    await register(query, security_profile=SecurityProfile.NONE)
    async with Station201(wss, "CP1", ssl=authority.trusting(), boot=boots_with("SN-1")) as station:
        await station.boot()
    assert await known_serial_number(query) == "SN-1"


async def test_a_station_of_1_6_may_change_its_number(wss: str, authority: Authority, query: Query) -> None:
    await register(query)
    shown = authority.trusting(authority.station(SERIAL))
    boot = {"chargePointVendor": "V", "chargePointModel": "M", "chargePointSerialNumber": "SN-1"}
    async with Station16(wss, "CP1", ssl=shown) as station:
        assert (await station.call("BootNotification", boot))["status"] == "Accepted"
    assert await known_serial_number(query) == "SN-1"


@pytest.fixture
async def behind_a_proxy(
    transactional_db: None, redis_settings: None, settings: Settings, authority: Authority
) -> AsyncIterator[str]:
    """The endpoint of a csms that trusts a proxy on this machine."""
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    settings.CSMS_TLS_CLIENT_CA = authority.root.certificate
    async with OcppServer("127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{running.port}/ws/ocpp"


async def test_a_certificate_that_a_proxy_passes_on_is_held_against_the_number_as_well(
    behind_a_proxy: str, authority: Authority, query: Query
) -> None:
    await register(query)
    headers = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "Client-Cert": field(der(authority.station(SERIAL))),
    }
    async with Station201(behind_a_proxy, "CP1", extra_headers=headers, boot=boots_with("SN-1")) as station:
        assert (await refused(station))[0] == 1008
    assert (await query(SecurityEvent.objects.get)).tech_info.startswith("198.51.100.7: client certificate")
    async with Station201(behind_a_proxy, "CP1", extra_headers=headers, boot=boots_with(SERIAL)) as station:
        await station.boot()
