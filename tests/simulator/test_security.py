"""The security extensions of a simulated station: its password, certificates, profiles and events."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection

from tests.simulator.authority import Authority, pem
from tests.simulator.fake_csms import Csms, running_csms
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

CENTRAL, MANUFACTURER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
KEY = "00112233445566778899aabbccddeeff00112233"


async def install(csms: Csms, certificate: str, use: str = CENTRAL) -> str:
    answer = await csms.ask("InstallCertificate", {"certificateType": use, "certificate": certificate})
    return str(answer["status"])


async def installed(csms: Csms, use: str = CENTRAL) -> list[Payload]:
    answer = await csms.ask("GetInstalledCertificateIds", {"certificateType": use})
    assert (answer["status"] == "Accepted") == ("certificateHashData" in answer)
    return list(answer.get("certificateHashData", []))


async def delete(csms: Csms, hash_data: Payload) -> str:
    return str((await csms.ask("DeleteCertificate", {"certificateHashData": hash_data}))["status"])


async def signed(csms: Csms, *chain: x509.Certificate) -> str:
    return str((await csms.ask("CertificateSigned", {"certificateChain": pem(*chain)}))["status"])


async def change(csms: Csms, key: str, value: str) -> str:
    return str((await csms.ask("ChangeConfiguration", {"key": key, "value": value}))["status"])


async def csr_of(csms: Csms) -> str:
    return str((await csms.until_call("SignCertificate"))["csr"])


def hashes_of(root: Authority, algorithm: str = "SHA256") -> Payload:
    """Name a root as section 6.1 of the whitepaper does."""
    point = root.key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": hashlib.new(algorithm, root.name.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.new(algorithm, point).hexdigest(),
        "serialNumber": f"{root.certificate.serial_number:X}",
    }


def credentials(connection: ServerConnection) -> bytes | None:
    """Return what a connection presented as user and password."""
    assert connection.request is not None
    header = connection.request.headers.get("Authorization")
    return base64.b64decode(header.removeprefix("Basic ")) if header else None


# Roots


async def test_an_installed_certificate_is_named_by_the_hashes_of_its_issuer(csms: Csms, station: Station16) -> None:
    root = Authority("Root")
    assert await install(csms, root.pem) == "Accepted"
    assert await installed(csms) == [hashes_of(root)]
    assert await installed(csms, MANUFACTURER) == []


async def test_an_authority_below_an_installed_root_is_named_by_that_root(csms: Csms, station: Station16) -> None:
    root = Authority("Root")
    below = Authority("Below", root)
    assert await install(csms, below.pem) == "Rejected"
    await install(csms, root.pem)
    assert await install(csms, below.pem) == "Accepted"
    first, second = await installed(csms)
    assert first["issuerKeyHash"] == second["issuerKeyHash"]
    assert first["serialNumber"] != second["serialNumber"]


async def test_what_is_no_valid_certificate_is_rejected(csms: Csms, station: Station16) -> None:
    assert await install(csms, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----") == "Rejected"
    assert await install(csms, Authority("Old", ends=timedelta(seconds=-1)).pem) == "Rejected"
    station.configuration["CertificateStoreMaxLength"].value = "1"
    root = Authority("Root")
    assert await install(csms, root.pem) == "Accepted"
    assert await install(csms, Authority("Other").pem) == "Rejected"


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_a_certificate_is_deleted_by_its_hashes_in_any_spelling(
    csms: Csms, station: Station16, algorithm: str
) -> None:
    root = Authority("Root")
    await install(csms, root.pem)
    hash_data = hashes_of(root, algorithm)
    hash_data["issuerNameHash"] = hash_data["issuerNameHash"].upper()
    hash_data["serialNumber"] = hash_data["serialNumber"].lower().zfill(40)
    assert await delete(csms, {**hash_data, "serialNumber": "1"}) == "NotFound"
    assert await delete(csms, hash_data) == "Accepted"
    assert await delete(csms, hash_data) == "NotFound"


# The station's own certificate


async def test_a_certificate_is_asked_for_with_a_new_key(csms: Csms, station: Station16) -> None:
    assert await station.sign_certificate("SN-1", "Operator") == {"status": "Accepted"}
    first = x509.load_pem_x509_csr((await csr_of(csms)).encode())
    names = {attribute.oid: attribute.value for attribute in first.subject}
    assert names == {NameOID.COMMON_NAME: "SN-1", NameOID.ORGANIZATION_NAME: "Operator"}
    station.boot_payload["chargePointSerialNumber"] = "SN-2"
    station.configuration["CpoName"].value = "Somebody"
    await station.sign_certificate()
    second = x509.load_pem_x509_csr((await csr_of(csms)).encode())
    assert [attribute.value for attribute in second.subject] == ["SN-2", "Somebody"]
    assert first.public_key() != second.public_key()


async def test_a_signed_certificate_must_be_of_the_key_that_was_asked_for(csms: Csms, station: Station16) -> None:
    root = Authority("Root")
    await install(csms, root.pem)
    await station.sign_certificate("SN-1", "Operator")
    old = root.sign(await csr_of(csms))
    await station.sign_certificate("SN-1", "Operator")
    new = root.sign(await csr_of(csms))
    assert await signed(csms, old) == "Rejected"
    assert await signed(csms, new, root.certificate) == "Accepted"
    # It is answered once.
    assert await signed(csms, new) == "Rejected"


async def test_a_signed_certificate_must_be_valid_and_of_the_operators_hierarchy(csms: Csms, living: Station16) -> None:
    root, stranger = Authority("Root"), Authority("Stranger")
    below = Authority("Below", root)
    await install(csms, root.pem)
    await living.sign_certificate("SN-1", "Operator")
    csr = await csr_of(csms)
    bad: list[Sequence[x509.Certificate]] = [
        [stranger.sign(csr)],
        [stranger.sign(csr), stranger.certificate],
        [below.sign(csr)],
        [below.sign(csr), root.certificate],
        [root.sign(csr, ends=timedelta(seconds=-1))],
    ]
    for chain in bad:
        assert await signed(csms, *chain) == "Rejected"
        assert (await csms.until_call("SecurityEventNotification"))["type"] == "InvalidChargePointCertificate"
    assert await signed(csms, below.sign(csr), below.certificate) == "Accepted"
    living.configuration["CertificateSignedMaxChainSize"].value = "100"
    assert await signed(csms, below.sign(csr), below.certificate) == "Rejected"


async def test_a_certificate_may_be_triggered_once_the_operators_name_is_set(csms: Csms, living: Station16) -> None:
    asked = {"requestedMessage": "SignChargePointCertificate"}
    assert await csms.ask("ExtendedTriggerMessage", asked) == {"status": "Rejected"}
    assert await change(csms, "CpoName", "Operator") == "Accepted"
    assert await csms.ask("ExtendedTriggerMessage", asked) == {"status": "Accepted"}
    csr = x509.load_pem_x509_csr((await csr_of(csms)).encode())
    assert [attribute.value for attribute in csr.subject] == ["CP", "Operator"]


# The password


async def test_a_new_password_counts_from_the_next_connection_on(csms: Csms, station: Station16) -> None:
    assert await change(csms, "authorizationkey", KEY) == "Accepted"
    before = csms.station
    assert before is not None
    assert credentials(before) is None
    await station.disconnect()
    await station.connect()
    assert credentials(await csms.until_connected(before)) == b"CP:" + bytes.fromhex(KEY)
    assert KEY not in str(station.security_log)


@pytest.mark.parametrize("value", ["", "secret", "ab" * 15, "ab" * 21, "a" * 33])
async def test_what_is_no_password_is_rejected(csms: Csms, station: Station16, value: str) -> None:
    assert await change(csms, "AuthorizationKey", value) == "Rejected"
    assert station.password is None


async def test_a_password_is_never_told(csms: Csms, station: Station16) -> None:
    await change(csms, "AuthorizationKey", KEY)
    told = await csms.ask("GetConfiguration", {})
    assert KEY not in str(told)
    assert "AuthorizationKey" not in {each["key"] for each in told["configurationKey"]}


async def test_an_autonomous_station_uses_its_new_password_at_once(csms: Csms, living: Station16) -> None:
    before = csms.station
    await change(csms, "AuthorizationKey", KEY)
    assert credentials(await csms.until_connected(before)) == b"CP:" + bytes.fromhex(KEY)
    # It has only lost its connection: it tells its state, and does not boot.
    await csms.until_call("StatusNotification", connectorId=2)
    assert not any("BootNotification" in str(frame.data) for frame in living.frames[-8:])


# Security profiles


async def test_a_profile_only_rises_and_needs_what_it_rests_on(csms: Csms, station: Station16) -> None:
    assert await change(csms, "SecurityProfile", "1") == "Rejected"
    await change(csms, "AuthorizationKey", KEY)
    assert await change(csms, "SecurityProfile", "0") == "Rejected"
    assert await change(csms, "SecurityProfile", "4") == "Rejected"
    assert await change(csms, "SecurityProfile", "2") == "Rejected"
    assert await change(csms, "SecurityProfile", "1") == "Accepted"
    root = Authority("Root")
    await install(csms, root.pem)
    assert await change(csms, "SecurityProfile", "3") == "Rejected"
    await station.sign_certificate()
    await signed(csms, root.sign(await csr_of(csms)))
    assert await change(csms, "SecurityProfile", "3") == "Accepted"
    assert await change(csms, "SecurityProfile", "2") == "Rejected"
    assert station.address.startswith("wss://")
    # The CSMS that the station trusts must stay the one it trusts.
    assert [await delete(csms, data) for data in await installed(csms)] == ["Failed"]


async def test_a_station_goes_on_to_tls_and_then_to_a_certificate_of_its_own(tmp_path: Path) -> None:
    root = Authority("Root")
    async with (
        running_csms() as (plain, url),
        running_csms(root.server(tmp_path)) as (secure, secure_url),
        Station16(url, "CP", autonomous=True, secure_url=secure_url) as station,
    ):
        await station.start_up()
        await install(plain, root.pem)
        await change(plain, "AuthorizationKey", KEY)
        await plain.until_call("StatusNotification", connectorId=1)
        await change(plain, "SecurityProfile", "2")
        assert credentials(await secure.until_connected()) == b"CP:" + bytes.fromhex(KEY)
        await secure.until_call("StatusNotification", connectorId=1)

        await station.sign_certificate()
        assert await signed(secure, root.sign(await csr_of(secure))) == "Accepted"
        async with running_csms(root.server(tmp_path, clients=root)) as (mutual, mutual_url):
            station.secure_address = station.address_at(mutual_url)
            await change(secure, "SecurityProfile", "3")
            connection = await mutual.until_connected()
            assert credentials(connection) is None
            tls = connection.transport.get_extra_info("ssl_object")
            assert tls.getpeercert()["subject"] == ((("commonName", "CP"),),)
            await mutual.until_call("StatusNotification", connectorId=1)


async def test_a_station_that_does_not_trust_the_new_connection_returns_to_the_old(tmp_path: Path) -> None:
    async with (
        running_csms() as (plain, url),
        running_csms(Authority("Stranger").server(tmp_path)) as (_, secure_url),
        Station16(url, "CP", autonomous=True, secure_url=secure_url, password="x" * 16) as station,
    ):
        await station.start_up()
        before = plain.station
        await install(plain, Authority("Root").pem)
        assert await change(plain, "SecurityProfile", "2") == "Accepted"
        await plain.until_connected(before)
        event = await plain.until_call("SecurityEventNotification", type="InvalidCentralSystemCertificate")
        assert event.keys() == {"type", "timestamp"}
        assert station.security_profile == 0


# Events


async def test_a_security_event_is_sent_and_logged(csms: Csms, station: Station16) -> None:
    assert await station.security_event("TamperDetectionActivated", "lid open") == {}
    event = await csms.until_call("SecurityEventNotification")
    assert (event["type"], event["techInfo"]) == ("TamperDetectionActivated", "lid open")
    assert station.security_log == [event]


@pytest.mark.parametrize(("profile", "sent"), [(0, []), (1, ["StartupOfTheDevice", "ResetOrReboot"])])
async def test_a_station_with_a_security_profile_reports_its_starts(
    csms: Csms, served: tuple[Csms, str], profile: int, sent: list[str]
) -> None:
    options: dict[str, Any] = {"security_profile": profile, "password": "x" * 16}
    async with Station16(served[1], "CP", autonomous=True, **options) as station:
        await station.start_up()
        await csms.call("Reset", {"type": "Soft"})
        await csms.until_call("BootNotification")
        assert [event["type"] for event in station.security_log[:2]] == ["StartupOfTheDevice", "ResetOrReboot"]
        pushed = [frame.json()[3]["type"] for frame in station.frames if "SecurityEvent" in str(frame.data)]
        assert pushed[:2] == sent
