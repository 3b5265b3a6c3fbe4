"""Block L: firmware."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chargers import pem
from tests import pki
from tests.conformance.central import Central
from tests.conformance.ocpp16.test_security import ACCEPTED
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.test_a import security_event
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token

LOCATION = "https://files.example.org/firmware.bin"
CHECKSUM = "d41d8cd98f00b204e9800998ecf8427e"
VERIFIED = ("Downloading", "Downloaded", "SignatureVerified")
REBOOTING = ("Installing", "InstallRebooting")


def at(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def ask(central: Central, station: Station201, answer: Payload = ACCEPTED, **times: str) -> int:
    """Ask for a secure update; return the id of the request that the station got."""
    station.answers["UpdateFirmware"] = answer
    firmware = {
        "location": LOCATION,
        "retrieve_date_time": at(0),
        "signing_certificate": pem.write(pki.root("Manufacturer")),
        "signature": base64.b64encode(b"signature").decode(),
        **times,
    }
    assert await central.ask("UpdateFirmware", firmware=firmware) == answer
    request = sent(station, "UpdateFirmware")[-1]
    told = {
        "location": LOCATION,
        "retrieveDateTime": firmware["retrieve_date_time"],
        "signingCertificate": firmware["signing_certificate"],
        "signature": firmware["signature"],
    }
    if "install_date_time" in times:
        told["installDateTime"] = times["install_date_time"]
    assert request == {"requestId": request["requestId"], "firmware": told}
    return int(request["requestId"])


async def reports(station: Station201, number: int, *words: str) -> None:
    for word in words:
        assert await station.call("FirmwareStatusNotification", {"requestId": number, "status": word}) == {}


async def rebooted(station: Station201) -> None:
    await station.disconnect()
    await station.connect()
    assert (await station.start_up("FirmwareUpdate"))["status"] == "Accepted"


async def job_is(central: Central, number: int, status: str, *words: str) -> None:
    """Hold an update against its status, and what was reported of it."""
    [job] = [row for row in await central.rows("firmwareupdate") if row["request_id"] == number]
    assert (job["status"], job["signed"]) == (status, True)
    assert tuple(each["status"] for each in job["reports"]) == words


async def installs(
    central: Central, station: Station201, number: int, *steps: str, reported: Sequence[str] = ()
) -> None:
    """Let the station go through the steps of an update that has `reported` some, reboot, and have it installed."""
    await reports(station, number, *steps, *REBOOTING)
    await rebooted(station)
    await reports(station, number, "Installed")
    await job_is(central, number, "Installed", *reported, *steps, *REBOOTING, "Installed")


async def test_tc_l_01_csms_installation_successful(central: Central, station: Station201) -> None:
    await installs(central, station, await ask(central, station), *VERIFIED)


async def test_tc_l_02_csms_install_scheduled(central: Central, station: Station201) -> None:
    number = await ask(central, station, install_date_time=at(5))
    await installs(central, station, number, *VERIFIED, "InstallScheduled")


async def test_tc_l_03_csms_download_scheduled(central: Central, station: Station201) -> None:
    number = await ask(central, station, retrieve_date_time=at(5))
    await installs(central, station, number, "DownloadScheduled", *VERIFIED)


async def test_tc_l_04_csms_revoked_certificate(central: Central, station: Station201) -> None:
    await job_is(central, await ask(central, station, {"status": "RevokedCertificate"}), "RevokedCertificate")


async def test_tc_l_05_csms_invalid_certificate(central: Central, station: Station201) -> None:
    await job_is(central, await ask(central, station, {"status": "InvalidCertificate"}), "InvalidCertificate")
    await security_event(central, station, "InvalidFirmwareSigningCertificate")


async def fails(central: Central, station: Station201, *words: str) -> None:
    number = await ask(central, station)
    await reports(station, number, *words)
    await job_is(central, number, words[-1], *words)


async def test_tc_l_06_csms_invalid_signature(central: Central, station: Station201) -> None:
    await fails(central, station, "Downloading", "Downloaded", "InvalidSignature")
    await security_event(central, station, "InvalidFirmwareSignature")


async def test_tc_l_07_csms_download_failed(central: Central, station: Station201) -> None:
    await fails(central, station, "Downloading", "DownloadFailed")


async def test_tc_l_08_csms_install_verification_failed(central: Central, station: Station201) -> None:
    await fails(central, station, *VERIFIED, "Installing", "InstallVerificationFailed")


async def test_tc_l_09_csms_installation_failed(central: Central, station: Station201) -> None:
    await fails(central, station, *VERIFIED, "Installing", "InstallationFailed")


async def test_tc_l_10_csms_accepted_canceled(central: Central, station: Station201) -> None:
    first = await ask(central, station)
    await reports(station, first, "Downloading")
    second = await ask(central, station, {"status": "AcceptedCanceled"})
    await job_is(central, first, "AcceptedCanceled", "Downloading")
    await installs(central, station, second, *VERIFIED)


async def test_tc_l_11_csms_unable_to_cancel(central: Central, station: Station201) -> None:
    first = await ask(central, station)
    await reports(station, first, *VERIFIED, "Installing")
    await job_is(central, await ask(central, station, {"status": "Rejected"}), "Rejected")
    await reports(station, first, "InstallRebooting")
    await rebooted(station)
    await reports(station, first, "Installed")
    await job_is(central, first, "Installed", *VERIFIED, *REBOOTING, "Installed")


async def test_tc_l_13_csms_ongoing_transaction(central: Central, station: Station201) -> None:
    id_token = token(await central.tag("VALID"))
    await station.status(1, "Occupied")
    await station.started(1, id_token)
    number = await ask(central, station)
    await reports(station, number, "DownloadScheduled")
    await station.status(2, "Unavailable")
    await station.ended("StopAuthorized", 1, id_token=id_token)
    await installs(central, station, number, *VERIFIED, reported=["DownloadScheduled"])
    [shown] = await central.rows("transaction")
    assert shown["transaction_status"] == "Finished"


async def published(central: Central, station: Station201, *words: str) -> None:
    """Let the station, a local controller, publish a firmware as far as it says."""
    station.answers["PublishFirmware"] = ACCEPTED
    assert await central.ask("PublishFirmware", location=LOCATION, checksum=CHECKSUM) == ACCEPTED
    request = sent(station, "PublishFirmware")[-1]
    number = request["requestId"]
    assert request == {"location": LOCATION, "checksum": CHECKSUM, "requestId": number}
    for word in words:
        where = {"location": [LOCATION]} if word == "Published" else {}
        told = {"requestId": number, "status": word, **where}
        assert await station.call("PublishFirmwareStatusNotification", told) == {}
    assert await publication(central) == words[-1]


async def publication(central: Central) -> str:
    [job] = await central.rows("firmwarepublication")
    return str(job["status"])


async def test_tc_l_17_csms_published(central: Central, station: Station201) -> None:
    await published(central, station, "Downloading", "Downloaded", "ChecksumVerified", "Published")
    [job] = await central.rows("firmwarepublication")
    assert job["locations"] == [LOCATION]


async def test_tc_l_19_csms_invalid_checksum(central: Central, station: Station201) -> None:
    await published(central, station, "Downloading", "Downloaded", "InvalidChecksum")


async def test_tc_l_20_csms_publish_failed(central: Central, station: Station201) -> None:
    await published(central, station, "Downloading", "Downloaded", "ChecksumVerified", "PublishFailed")


async def test_tc_l_24_csms_publish_download_failed(central: Central, station: Station201) -> None:
    await published(central, station, "Downloading", "DownloadFailed")


async def unpublishes(central: Central, station: Station201, status: str) -> str:
    """Publish a firmware and take it back; return what is believed of it."""
    await published(central, station, "Downloading", "Downloaded", "ChecksumVerified", "Published")
    station.answers["UnpublishFirmware"] = {"status": status}
    assert await central.ask("UnpublishFirmware", checksum=CHECKSUM) == {"status": status}
    assert sent(station, "UnpublishFirmware") == [{"checksum": CHECKSUM}]
    return await publication(central)


async def test_tc_l_21_csms_unpublished(central: Central, station: Station201) -> None:
    assert await unpublishes(central, station, "Unpublished") == "Unpublished"


async def test_tc_l_22_csms_unpublish_no_firmware(central: Central, station: Station201) -> None:
    assert await unpublishes(central, station, "NoFirmware") == "Unpublished"


async def test_tc_l_23_csms_unpublish_download_ongoing(central: Central, station: Station201) -> None:
    assert await unpublishes(central, station, "DownloadOngoing") == "Published"
