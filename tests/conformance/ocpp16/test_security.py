"""Advanced Security profile."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from websockets.exceptions import InvalidStatus

from chargers import pem
from tests import pki
from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import cold_boot, sent
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

ACCEPTED = {"status": "Accepted"}


def serial_number(central: Central) -> str:
    """A serial number that no other station has."""
    return f"SN-{central.station[:20]}"


def event(kind: str) -> Payload:
    return {"type": kind, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "techInfo": "told by a test"}


async def registered(central: Central, profile: int) -> str:
    """Register the station with a security profile; return its key."""
    answer = await central.post("chargepoint", chargepoint_id=central.station, security_profile=profile)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


async def refused(station: Station16) -> bool:
    try:
        await station.connect()
    except InvalidStatus as error:
        return error.response.status_code in (401, 403)
    await station.disconnect()
    return False


async def test_tc_073_update_charge_point_password(central: Central) -> None:
    old, new = await registered(central, 1), "0123456789abcdef0123456789abcdef01234567"
    async with Station16(central.platform.ocpp, central.station, password=old) as station:
        await cold_boot(station)
        station.answers["ChangeConfiguration"] = ACCEPTED
        assert await central.ask("ChangeConfiguration", key="AuthorizationKey", value=new) == ACCEPTED
        assert sent(station, "ChangeConfiguration") == [{"key": "AuthorizationKey", "value": new}]
    async with Station16(central.platform.ocpp, central.station, password=new) as station:
        assert (await station.boot())["status"] == "Accepted"
    assert await refused(Station16(central.platform.ocpp, central.station, password=old))
    [task] = await central.rows("task", action="ChangeConfiguration")
    assert task["payload"] == {"key": "AuthorizationKey", "value": "********"}


async def test_tc_085_basic_authentication(central: Central) -> None:
    key = await registered(central, 1)
    assert await refused(Station16(central.platform.ocpp, central.station))
    assert await refused(Station16(central.platform.ocpp, central.station, password="0" * 40))
    async with Station16(central.platform.ocpp, central.station, password=key) as station:
        assert (await cold_boot(station))["status"] == "Accepted"
        assert (await central.chargepoint())["connected"] is True


async def signed(central: Central, station: Station16, answer: Payload) -> x509.Certificate:
    """Let the station ask for a certificate, on request of the central system; return the one it is sent."""
    boot = {**station.boot_payload, "chargePointSerialNumber": serial_number(central)}
    await station.call("BootNotification", boot)
    station.answers |= {"ExtendedTriggerMessage": ACCEPTED, "CertificateSigned": answer}
    asked = "SignChargePointCertificate"
    assert await central.ask("ExtendedTriggerMessage", requested_message=asked) == ACCEPTED
    assert sent(station, "ExtendedTriggerMessage") == [{"requestedMessage": asked}]
    csr = pki.request_pem(serial_number(central), organization="Example CPO")
    assert await station.call("SignCertificate", {"csr": csr}) == ACCEPTED
    call = await station.expect_call("CertificateSigned", timeout=20)
    certificate, *_ = pem.read_chain(call.payload["certificateChain"])
    assert certificate.public_key() == pki.ec_key().public_key()
    return certificate


async def test_tc_074_update_charge_point_certificate(central: Central, station: Station16) -> None:
    certificate = await signed(central, station, ACCEPTED)
    row = await central.until("certificate", status="Accepted")
    assert row["use"] == "ChargingStationCertificate"
    assert int(row["serial_number"], 16) == certificate.serial_number
    root = pem.read_certificate((await central.get("certificateauthority"))["pem"])
    certificate.verify_directly_issued_by(root)


async def test_tc_077_invalid_charge_point_certificate_security_event(central: Central, station: Station16) -> None:
    await signed(central, station, {"status": "Rejected"})
    await central.until("certificate", status="Rejected")
    assert await station.call("SecurityEventNotification", event("InvalidChargePointCertificate")) == {}
    [row] = await central.rows("securityevent")
    assert (row["type"], row["tech_info"]) == ("InvalidChargePointCertificate", "told by a test")


async def install(central: Central, station: Station16, use: str, answer: Payload) -> x509.Certificate:
    root = pki.root(f"Root for {central.station}"[:60])
    station.answers["InstallCertificate"] = answer
    certificate = pem.write(root)
    assert await central.ask("InstallCertificate", certificate_type=use, certificate=certificate) == answer
    assert sent(station, "InstallCertificate")[-1] == {"certificateType": use, "certificate": certificate}
    return root


def hash_data(certificate: x509.Certificate, algorithm: str = "SHA256") -> Payload:
    named = pem.hash_data(certificate, algorithm=algorithm)
    return {
        "hashAlgorithm": named.algorithm,
        "issuerNameHash": named.issuer_name_hash,
        "issuerKeyHash": named.issuer_key_hash,
        "serialNumber": named.serial_number,
    }


async def told(central: Central, station: Station16, use: str, *hashes: Payload) -> None:
    """Ask the station which certificates it holds."""
    found = {"certificateHashData": list(hashes)} if hashes else {}
    station.answers["GetInstalledCertificateIds"] = {"status": "Accepted" if hashes else "NotFound", **found}
    answer = await central.ask("GetInstalledCertificateIds", certificate_type=use)
    assert sent(station, "GetInstalledCertificateIds")[-1] == {"certificateType": use}
    assert len(answer.get("certificate_hash_data", [])) == len(hashes)


async def installed(central: Central) -> list[Any]:
    return await central.rows("certificate", status="Installed")


async def test_tc_075_1_install_a_manufacturer_root_certificate(central: Central, station: Station16) -> None:
    root = await install(central, station, "ManufacturerRootCertificate", ACCEPTED)
    await told(central, station, "ManufacturerRootCertificate", hash_data(root))
    [row] = await installed(central)
    assert (row["use"], row["subject"]) == ("ManufacturerRootCertificate", root.subject.rfc4514_string())


async def test_tc_075_2_install_a_central_system_root_certificate(central: Central, station: Station16) -> None:
    root = await install(central, station, "CentralSystemRootCertificate", ACCEPTED)
    await told(central, station, "CentralSystemRootCertificate", hash_data(root))
    [row] = await installed(central)
    assert (row["use"], row["certificate_hash_data"]["issuer_key_hash"]) == (
        "CSMSRootCertificate",
        hash_data(root)["issuerKeyHash"],
    )


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_tc_076_delete_a_specific_certificate(central: Central, station: Station16, algorithm: str) -> None:
    use = "CentralSystemRootCertificate"
    root = await install(central, station, use, ACCEPTED)
    named = hash_data(root, algorithm)
    await told(central, station, use, named)
    [row] = await installed(central)
    station.answers["DeleteCertificate"] = ACCEPTED
    # As REST tells it, so it can be sent.
    answer = await central.ask("DeleteCertificate", certificate_hash_data=row["certificate_hash_data"])
    assert answer == ACCEPTED
    assert sent(station, "DeleteCertificate") == [{"certificateHashData": named}]
    await told(central, station, use)
    assert await installed(central) == []


async def test_tc_078_invalid_central_system_certificate_security_event(central: Central, station: Station16) -> None:
    await install(central, station, "CentralSystemRootCertificate", {"status": "Rejected"})
    assert await station.call("SecurityEventNotification", event("InvalidCentralSystemCertificate")) == {}
    [row] = await central.rows("securityevent")
    assert row["type"] == "InvalidCentralSystemCertificate"
    assert await installed(central) == []


async def test_tc_079_get_security_log(central: Central, station: Station16) -> None:
    station.answers["GetLog"] = {"status": "Accepted", "filename": "security.log"}
    location = "https://files.example.org/logs"
    answer = await central.ask(
        "GetLog", log_type="SecurityLog", log={"remote_location": location}, retries=1, retry_interval=60
    )
    assert answer == {"status": "Accepted", "filename": "security.log"}
    [request] = sent(station, "GetLog")
    number = request["requestId"]
    assert request == {
        "log": {"remoteLocation": location},
        "logType": "SecurityLog",
        "requestId": number,
        "retries": 1,
        "retryInterval": 60,
    }
    for status in ("Uploading", "Uploaded"):
        assert await station.call("LogStatusNotification", {"requestId": number, "status": status}) == {}
    [job] = await central.rows("logupload")
    assert (job["log_type"], job["status"], job["file_name"]) == ("SecurityLog", "Uploaded", "security.log")


async def update(central: Central, station: Station16, *statuses: str) -> Any:
    """Ask for a secure update and let the station report its steps; return the job."""
    station.answers["SignedUpdateFirmware"] = ACCEPTED
    at = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    firmware = {
        "location": "https://files.example.org/firmware.bin",
        "retrieve_date_time": at,
        "signing_certificate": pem.write(pki.root("Manufacturer")),
        "signature": base64.b64encode(b"signature").decode(),
    }
    assert await central.ask("SignedUpdateFirmware", firmware=firmware, retries=1, retry_interval=60) == ACCEPTED
    [request] = sent(station, "SignedUpdateFirmware")
    number = request["requestId"]
    assert request["firmware"] == {
        "location": firmware["location"],
        "retrieveDateTime": at,
        "signingCertificate": firmware["signing_certificate"],
        "signature": firmware["signature"],
    }
    for status in statuses:
        if status == "Boot":
            assert (await station.boot())["status"] == "Accepted"
            assert await station.call("SecurityEventNotification", event("FirmwareUpdated")) == {}
        else:
            told = {"requestId": number, "status": status}
            assert await station.call("SignedFirmwareStatusNotification", told) == {}
    [job] = await central.rows("firmwareupdate")
    return job


async def test_tc_080_secure_firmware_update(central: Central, station: Station16) -> None:
    steps = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
    job = await update(central, station, *steps, "Boot", "Installed")
    assert job["status"] == "Installed"
    assert [each["status"] for each in job["reports"]] == [*steps, "Installed"]
    [row] = await central.rows("securityevent")
    assert (row["type"], row["critical"]) == ("FirmwareUpdated", True)


async def test_tc_081_secure_firmware_update_invalid_signature(central: Central, station: Station16) -> None:
    job = await update(central, station, "Downloading", "Downloaded", "InvalidSignature")
    assert job["status"] == "InvalidSignature"
    assert await station.call("SecurityEventNotification", event("InvalidFirmwareSignature")) == {}
    [row] = await central.rows("securityevent")
    assert row["type"] == "InvalidFirmwareSignature"
