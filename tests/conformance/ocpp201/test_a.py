"""Block A: security."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from websockets.exceptions import InvalidMessage

from chargers import pem
from tests import pki
from tests.certificates import Authority, Papers
from tests.conformance.central import Central
from tests.conformance.ocpp16.test_security import ACCEPTED, refused, registered
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

STATION, V2G = "ChargingStationCertificate", "V2GCertificate"


def serial_number(central: Central) -> str:
    """A serial number that no other station has."""
    return f"SN-{central.station[:20]}"


async def security_event(central: Central, station: Station201, kind: str) -> None:
    """Let the station tell a security event, and see it."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await station.call("SecurityEventNotification", {"type": kind, "timestamp": at}) == {}
    assert kind in [row["type"] for row in await central.rows("securityevent")]


def other_user(central: Central, key: str) -> Station201:
    """A station at the same address whose user name is another's."""
    address = Station201(central.platform.ocpp, central.station).address
    return Station201(central.platform.ocpp, f"{central.station[:40]}INVALID", address=address, password=key)


async def test_tc_a_01_csms_basic_authentication(central: Central) -> None:
    key = await registered(central, 1)
    async with Station201(central.platform.ocpp, central.station, password=key) as station:
        assert (await station.start_up())["status"] == "Accepted"
        assert (await central.chargepoint())["connected"] is True


async def test_tc_a_02_csms_basic_authentication_other_user(central: Central) -> None:
    key = await registered(central, 1)
    assert await refused(other_user(central, key))


async def test_tc_a_03_csms_basic_authentication_invalid_password(central: Central) -> None:
    await registered(central, 1)
    assert await refused(Station201(central.platform.ocpp, central.station, password="0" * 40))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda each: each.name)
async def test_tc_a_04_csms_tls_server_certificate(
    central: Central, authority: Authority, version: ssl.TLSVersion
) -> None:
    key = await registered(central, 2)
    context = authority.trusting()
    context.maximum_version = context.minimum_version = version
    async with Station201(central.platform.ocpp_tls, central.station, password=key, ssl=context) as station:
        assert (await station.start_up())["status"] == "Accepted"


async def test_tc_a_06_csms_tls_version_too_low(central: Central, authority: Authority) -> None:
    key = await registered(central, 2)
    old = authority.trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    endpoint = central.platform.ocpp_tls
    with pytest.raises((ssl.SSLError, ConnectionError, InvalidMessage)):
        await Station201(endpoint, central.station, password=key, ssl=old).connect()
    async with Station201(endpoint, central.station, password=key, ssl=authority.trusting()) as station:
        assert (await station.start_up())["status"] == "Accepted"


async def certified(central: Central, directory: Path) -> Papers:
    """Register the station with profile 3, and let the CSMS sign its certificate; return it with its key."""
    async with Station201(central.platform.ocpp, central.station) as station:
        await station.start_up()
        certificate = await renewed(central, station, STATION, name=central.station)
        await central.until("certificate", status="Accepted")
    changed = await central.patch(f"chargepoint/{central.station}", security_profile=3)
    assert changed.status_code == 200, changed.text
    return kept(certificate, directory / "station.pem", directory / "station.key")


async def test_tc_a_07_csms_tls_client_certificate(central: Central, authority: Authority, tmp_path: Path) -> None:
    papers = await certified(central, tmp_path)
    shown = authority.trusting(papers)
    async with Station201(central.platform.ocpp_tls, central.station, ssl=shown) as station:
        assert (await station.start_up())["status"] == "Accepted"


def expired(central: Central, directory: Path) -> Papers:
    """Papers of the station that the platform's own authority has signed, and that were valid until yesterday."""
    made = central.platform.data_dir / "ca"
    root = pem.read_certificate((made / "root.pem").read_text(encoding="ascii"))
    root_key = load_pem_private_key((made / "root.key").read_bytes(), password=None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    end = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(pki.name(central.station, organization="Example CPO"))
        .public_key(pki.ec_key().public_key())
        .issuer_name(root.subject)
        .not_valid_before(end - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return kept(certificate, directory / "expired.pem", directory / "expired.key")


def kept(certificate: x509.Certificate, place: Path, key: Path) -> Papers:
    place.write_text(pem.write(certificate), encoding="ascii")
    key.write_bytes(pki.ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Papers(str(place), str(key))


async def test_tc_a_08_csms_tls_invalid_client_certificate(
    central: Central, authority: Authority, tmp_path: Path
) -> None:
    papers = await certified(central, tmp_path)
    endpoint = central.platform.ocpp_tls
    for invalid in (authority.station(central.station, organization="Example CPO"), expired(central, tmp_path)):
        with pytest.raises((ssl.SSLError, ConnectionError, InvalidMessage)):
            await Station201(endpoint, central.station, ssl=authority.trusting(invalid)).connect()
    other = f"{central.station[:40]}OTHER"
    answer = await central.post("chargepoint", chargepoint_id=other, security_profile=3)
    assert answer.status_code == 201, answer.text
    assert await refused(Station201(endpoint, other, ssl=authority.trusting(papers)))
    async with Station201(endpoint, central.station, ssl=authority.trusting(papers)) as station:
        assert (await station.start_up())["status"] == "Accepted"


def kind_of(word: str | None) -> Payload:
    return {} if word is None else {"certificateType": word}


async def renewed(
    central: Central, station: Station201, word: str | None, answer: Payload = ACCEPTED, *, name: str
) -> x509.Certificate:
    """Let the station ask for a certificate on request of the CSMS; return the one that it is sent."""
    station.answers |= {"TriggerMessage": ACCEPTED, "CertificateSigned": answer}
    asked = {None: "SignCombinedCertificate", STATION: "SignChargingStationCertificate", V2G: "SignV2GCertificate"}[
        word
    ]
    assert await central.ask("TriggerMessage", requested_message=asked) == ACCEPTED
    assert sent(station, "TriggerMessage")[-1] == {"requestedMessage": asked}
    csr = pki.request_pem(name, organization="Example CPO")
    assert await station.call("SignCertificate", {"csr": csr, **kind_of(word)}) == ACCEPTED
    call = await station.expect_call("CertificateSigned", timeout=20)
    assert {name: value for name, value in call.payload.items() if name != "certificateChain"} == kind_of(word)
    certificate, *_ = pem.read_chain(call.payload["certificateChain"])
    certificate.verify_directly_issued_by(pem.read_certificate((await central.get("certificateauthority"))["pem"]))
    assert certificate.public_key() == pki.ec_key().public_key()
    return certificate


def new_password(password: str) -> Payload:
    """The request to set the password of Basic authentication (A01.FR.02)."""
    variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return {"set_variable_data": [{**variable, "attribute_value": password}]}


async def told_password(central: Central, station: Station201, password: str, status: str) -> None:
    """Let the CSMS set another password, which the station answers with `status`."""
    named = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    station.answers["SetVariables"] = {"setVariableResult": [{"attributeStatus": status, **named}]}
    answer = await central.ask("SetVariables", **new_password(password))
    assert [each["attribute_status"] for each in answer["set_variable_result"]] == [status]
    [request] = sent(station, "SetVariables")
    assert request["setVariableData"] == [{"attributeValue": password, **named}]


async def test_tc_a_09_csms_update_password_accepted(central: Central) -> None:
    old, new = await registered(central, 1), "0123456789abcdef0123456789abcdef01234567"
    async with Station201(central.platform.ocpp, central.station, password=old) as station:
        await station.start_up()
        await told_password(central, station, new, "Accepted")
    async with Station201(central.platform.ocpp, central.station, password=new) as station:
        assert (await station.start_up())["status"] == "Accepted"
    assert await refused(Station201(central.platform.ocpp, central.station, password=old))
    assert new not in str(await central.rows("task", action="SetVariables"))


async def test_tc_a_10_csms_update_password_rejected(central: Central) -> None:
    old, new = await registered(central, 1), "0123456789abcdef0123456789abcdef01234567"
    async with Station201(central.platform.ocpp, central.station, password=old) as station:
        await station.start_up()
        await told_password(central, station, new, "Rejected")
        assert "currentTime" in await station.heartbeat()
    async with Station201(central.platform.ocpp, central.station, password=old) as station:
        assert (await station.start_up())["status"] == "Accepted"
    assert await refused(Station201(central.platform.ocpp, central.station, password=new))


async def test_tc_a_11_csms_renew_the_station_certificate(central: Central, station: Station201) -> None:
    await renewed(central, station, STATION, name=central.station)
    assert (await central.until("certificate", status="Accepted"))["use"] == STATION


async def test_tc_a_12_csms_renew_the_v2g_certificate(central: Central, station: Station201) -> None:
    await renewed(central, station, V2G, name=f"DE*ABC*{central.station}")
    assert (await central.until("certificate", status="Accepted"))["use"] == V2G


async def test_tc_a_13_csms_renew_a_combined_certificate(central: Central, station: Station201) -> None:
    station.charging_station["serialNumber"] = serial_number(central)
    await station.boot()
    await renewed(central, station, None, name=serial_number(central))
    assert (await central.until("certificate", status="Accepted"))["use"] == "CombinedCertificate"


async def test_tc_a_14_csms_invalid_certificate(central: Central, station: Station201) -> None:
    await renewed(central, station, STATION, {"status": "Rejected"}, name=central.station)
    await central.until("certificate", status="Rejected")
    await security_event(central, station, "InvalidChargingStationCertificate")


async def test_tc_a_19_csms_upgrade_security_profile(central: Central, authority: Authority) -> None:
    key = await registered(central, 1)
    secure = central.platform.ocpp_tls
    data = {
        "ocpp_version": "OCPP20",
        "ocpp_transport": "JSON",
        "ocpp_csms_url": secure,
        "message_timeout": 30,
        "security_profile": 2,
        "ocpp_interface": "Wired0",
    }
    priority = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
    async with Station201(central.platform.ocpp, central.station, password=key) as station:
        await station.start_up()
        station.answers |= {
            "SetNetworkProfile": ACCEPTED,
            "SetVariables": {"setVariableResult": [{"attributeStatus": "Accepted", **priority}]},
            "Reset": ACCEPTED,
        }
        assert await central.ask("SetNetworkProfile", configuration_slot=2, connection_data=data) == ACCEPTED
        assert sent(station, "SetNetworkProfile")[0]["connectionData"]["securityProfile"] == 2
        await central.ask("SetVariables", set_variable_data=[{**priority, "attribute_value": "2,1"}])
        assert sent(station, "SetVariables")[-1]["setVariableData"] == [{"attributeValue": "2,1", **priority}]
        assert await central.ask("Reset", type="Immediate") == ACCEPTED
    async with Station201(secure, central.station, password=key, ssl=authority.trusting()) as station:
        assert (await station.start_up("RemoteReset"))["status"] == "Accepted"
        assert (await central.chargepoint())["security_profile"] == 2
    assert await refused(Station201(central.platform.ocpp, central.station, password=key))
