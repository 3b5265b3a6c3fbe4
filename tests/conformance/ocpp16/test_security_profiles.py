"""Advanced Security profile: TLS, and the upgrade of the security profile."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chargers import pem
from tests import pki
from tests.certificates import Authority, Papers
from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import cold_boot, sent
from tests.conformance.ocpp16.test_security import ACCEPTED, refused, registered, signed
from tests.simulator.v16 import Station16


async def raised(central: Central, station: Station16, profile: int) -> None:
    """Let the operator raise the station's security profile."""
    station.answers["ChangeConfiguration"] = ACCEPTED
    change = {"key": "SecurityProfile", "value": str(profile)}
    assert await central.ask("ChangeConfiguration", **change) == ACCEPTED
    assert sent(station, "ChangeConfiguration") == [change]


async def certified(central: Central, station: Station16, directory: Path) -> Papers:
    """Let the central system sign the station's certificate; return it with its key."""
    papers = Papers(str(directory / "station.pem"), str(directory / "station.key"))
    certificate = await signed(central, station, ACCEPTED)
    await central.until("certificate", status="Accepted")
    Path(papers.certificate).write_text(pem.write(certificate), encoding="ascii")
    Path(papers.key).write_bytes(pki.ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return papers


async def test_tc_083_upgrade_from_basic_authentication_to_tls(central: Central, authority: Authority) -> None:
    key = await registered(central, 1)
    async with Station16(central.platform.ocpp, central.station, password=key) as station:
        await cold_boot(station)
        await raised(central, station, 2)
    async with Station16(central.platform.ocpp_tls, central.station, password=key, ssl=authority.trusting()) as station:
        assert (await cold_boot(station))["status"] == "Accepted"
        assert (await central.chargepoint())["security_profile"] == 2
    assert await refused(Station16(central.platform.ocpp, central.station, password=key))


async def test_tc_083_upgrade_to_a_client_certificate(central: Central, authority: Authority, tmp_path: Path) -> None:
    key = await registered(central, 2)
    endpoint, server_only = central.platform.ocpp_tls, authority.trusting()
    async with Station16(endpoint, central.station, password=key, ssl=server_only) as station:
        await cold_boot(station)
        papers = await certified(central, station, tmp_path)
        await raised(central, station, 3)
    async with Station16(endpoint, central.station, ssl=authority.trusting(papers)) as station:
        assert (await cold_boot(station))["status"] == "Accepted"
        assert (await central.chargepoint())["security_profile"] == 3
    assert await refused(Station16(endpoint, central.station, password=key, ssl=server_only))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda each: each.name)
async def test_tc_086_tls_with_server_side_certificate(
    central: Central, authority: Authority, version: ssl.TLSVersion
) -> None:
    key = await registered(central, 2)
    context = authority.trusting()
    context.maximum_version = context.minimum_version = version
    async with Station16(central.platform.ocpp_tls, central.station, password=key, ssl=context) as station:
        assert (await cold_boot(station))["status"] == "Accepted"
    assert await refused(Station16(central.platform.ocpp_tls, central.station, password="0" * 40, ssl=context))
    assert await refused(Station16(central.platform.ocpp, central.station, password=key))


async def test_tc_087_tls_with_client_side_certificate(central: Central, authority: Authority, tmp_path: Path) -> None:
    async with Station16(central.platform.ocpp, central.station) as station:
        await cold_boot(station)
        papers = await certified(central, station, tmp_path)
    changed = await central.patch(f"chargepoint/{central.station}", security_profile=3)
    assert changed.status_code == 200, changed.text
    endpoint = central.platform.ocpp_tls
    async with Station16(endpoint, central.station, ssl=authority.trusting(papers)) as station:
        assert (await cold_boot(station))["status"] == "Accepted"
    assert await refused(Station16(endpoint, central.station, ssl=authority.trusting()))
    [event] = await central.rows("securityevent")
    assert event["type"] == "FailedToAuthenticateAtCsms"
    assert "there is no client certificate" in event["tech_info"]
