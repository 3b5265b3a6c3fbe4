"""Certificates over real sockets: a station's own is signed and brought to it, its roots are known (A02, A03, M03-M05)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pytest_django.fixtures import Settings

from chargers import pem
from chargers.authority import EmbeddedAuthority
from chargers.choices import RegistrationStatus
from chargers.models import Certificate, ChargePoint
from tests import pki, signers
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.papers import becomes, hash_data, rows, work
from tests.csms.waiting import until
from tests.simulator.station import CallError
from tests.simulator.v16 import Station16

ROOT = pki.root("Example Root", serial_number=4095)


@pytest.fixture(autouse=True)
def own_data_dir(data_dir: Path) -> None:
    """Keep the certificate authority of the tests apart from one in use."""


@pytest.fixture
async def ready(url: str) -> AsyncIterator[Station16]:
    """A station that has told its serial number and takes what it is brought."""
    async with Station16(url, "CP1", boot={"chargePointSerialNumber": "SN-1"}) as station:
        station.answers["CertificateSigned"] = {"status": "Accepted"}
        await station.boot()
        yield station


async def ask(station: Station16, csr: str) -> str:
    answer = await station.call("SignCertificate", {"csr": csr})
    assert answer.keys() == {"status"}
    return answer["status"]  # type: ignore[no-any-return]


async def brought(station: Station16) -> list[x509.Certificate]:
    call = await station.expect_call("CertificateSigned")
    assert call.payload.keys() == {"certificateChain"}
    return pem.read_chain(call.payload["certificateChain"])


# The station's own


@pytest.mark.parametrize("key", [pki.rsa_key(), pki.ec_key()], ids=["RSA", "EC"])
async def test_what_a_station_wants_signed_is_signed_and_brought_to_it(ready: Station16, key: Any) -> None:
    assert await ask(ready, pki.request_pem("SN-1", key=key)) == "Accepted"
    assert not any(call.action == "CertificateSigned" for call in ready.calls)

    await work()
    (leaf,) = await brought(ready)
    leaf.verify_directly_issued_by(EmbeddedAuthority().root())
    assert leaf.public_key() == key.public_key()
    assert leaf.subject == pki.name("SN-1")
    await becomes("Accepted")


async def test_a_request_that_is_no_good_is_answered_so_and_kept(ready: Station16, query: Query) -> None:
    assert await ask(ready, pki.request_pem("SN-2")) == "Rejected"
    assert await ask(ready, "please") == "Rejected"

    reasons = [reason.split(":")[0] for _, reason in await query(rows)]
    assert reasons == ["CSR_COMMON_NAME", "CSR_UNREADABLE"]
    await work()
    assert not any(call.action == "CertificateSigned" for call in ready.calls)


async def test_a_platform_without_a_signer_rejects(ready: Station16, settings: Settings) -> None:
    settings.CERTIFICATE_SIGNER = ""

    assert await ask(ready, pki.request_pem("SN-1")) == "Rejected"


async def test_an_authority_that_is_away_is_nothing_the_station_waits_for(
    ready: Station16, settings: Settings, query: Query
) -> None:
    good, settings.CERTIFICATE_SIGNER = settings.CERTIFICATE_SIGNER, signers.path(signers.Broken)
    assert await ask(ready, pki.request_pem("SN-1")) == "Accepted"
    await work()
    assert await query(rows) == [("Requested", "ConnectionError: the authority is away")]

    settings.CERTIFICATE_SIGNER = good
    await work()
    assert len(await brought(ready)) == 1
    await becomes("Accepted")


async def test_a_repeated_request_is_signed_once(ready: Station16) -> None:
    csr = pki.request_pem("SN-1")
    for _ in range(2):
        assert await ask(ready, csr) == "Accepted"
        frame = ready.frames[-2].data
        await ready.send_raw(str(frame))
        await ready.next_frame()

    await work()
    await brought(ready)
    await becomes("Accepted")


async def test_a_station_that_left_gets_its_chain_when_it_is_back(ready: Station16, query: Query) -> None:
    await ask(ready, pki.request_pem("SN-1"))
    await ready.disconnect()
    await until(lambda: not ChargePoint.objects.filter(node__isnull=False).exists())
    await work()
    assert await query(rows) == [("Signed", "")]

    await ready.connect()
    await ready.heartbeat()
    await work()
    assert len(await brought(ready)) == 1
    await becomes("Accepted")


async def test_a_station_may_refuse_its_chain(ready: Station16, query: Query) -> None:
    ready.answers["CertificateSigned"] = {"status": "Rejected"}
    await ask(ready, pki.request_pem("SN-1"))
    await work()

    await becomes("Rejected")
    assert await query(rows) == [("Rejected", "the station refused it")]


async def test_a_chain_without_an_answer_is_sent_again_and_a_late_answer_counts(
    ready: Station16, settings: Settings, query: Query
) -> None:
    settings.OCPP_TIMEOUT = 0.3
    ready.answers["CertificateSigned"] = None
    await ask(ready, pki.request_pem("SN-1"))
    await work()
    first = await ready.expect_call("CertificateSigned")
    await until(lambda: not operator.Command.objects.filter(status__in=("queued", "sent")).exists())
    await work()
    second = await ready.expect_call("CertificateSigned")
    assert second.payload == first.payload
    assert await query(rows) == [("Signed", "timeout: no answer in time")]
    await until(lambda: not operator.Command.objects.filter(status__in=("queued", "sent")).exists())

    await ready.send_raw(f'[3,"{second.message_id}",{{"status":"Accepted"}}]')
    await becomes("Accepted")
    await work()
    assert len([call for call in ready.calls if call.action == "CertificateSigned"]) == 2


async def test_a_station_that_does_not_know_the_message_is_given_up(ready: Station16, query: Query) -> None:
    ready.answers["CertificateSigned"] = CallError("NotImplemented", "what?")
    await ask(ready, pki.request_pem("SN-1"))
    await work()
    await until(lambda: operator.Command.objects.filter(status="error").exists())
    await work()

    ((status, reason),) = await query(rows)
    assert status == "Failed"
    assert "NotImplemented what?" in reason


async def test_a_pending_station_may_ask_once_it_was_told_to(url: str, transactional_db: None) -> None:
    await query_in_thread(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station16(url, "CP1") as station:
        station.answers["ExtendedTriggerMessage"] = {"status": "Accepted"}
        station.answers["CertificateSigned"] = {"status": "Accepted"}
        await station.boot()
        with pytest.raises(CallError, match="SecurityError"):
            await ask(station, pki.request_pem("CP1"))

        await operator.perform("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
        assert await ask(station, pki.request_pem("CP1")) == "Accepted"
        await work()
        await brought(station)
        await becomes("Accepted")


async def test_requests_of_many_stations_are_taken_at_once(url: str, server: Any) -> None:
    async def play(number: int) -> None:
        async with Station16(url, f"CP{number}") as station:
            station.answers["CertificateSigned"] = {"status": "Accepted"}
            await station.boot()
            assert await ask(station, pki.request_pem(f"CP{number}")) == "Accepted"
            assert len(await brought(station)) == 1

    playing = [asyncio.create_task(play(number)) for number in range(10)]
    await until(lambda: Certificate.objects.count() == 10)
    await work()
    await asyncio.gather(*playing)


async def test_a_chain_that_an_operator_sends_is_known(ready: Station16) -> None:
    chain = pem.write(pki.certificate("SN-1"))
    assert (await operator.perform("CertificateSigned", {"certificateChain": chain})).response == {"status": "Accepted"}
    await becomes("Accepted")


# Roots


async def install(station: Station16, status: str = "Accepted", use: str = "CentralSystemRootCertificate") -> str:
    station.answers["InstallCertificate"] = {"status": status}
    await operator.perform("InstallCertificate", {"certificateType": use, "certificate": pem.write(ROOT)})
    call = await station.expect_call("InstallCertificate")
    return str(call.payload["certificate"])


async def test_a_root_is_installed_as_it_is(ready: Station16, query: Query) -> None:
    assert await install(ready) == pem.write(ROOT)

    row = await query(Certificate.objects.get)
    assert (row.use, row.status, row.subject, row.serial_number) == (
        "CSMSRootCertificate",
        "Installed",
        "CN=Example Root",
        "FFF",
    )


@pytest.mark.parametrize("status", ["Rejected", "Failed"])
async def test_a_root_that_was_not_installed_is_not_believed(ready: Station16, status: str, query: Query) -> None:
    await install(ready, status)

    assert await query(rows) == []


@pytest.mark.parametrize(
    ("status", "held"), [("Accepted", "Deleted"), ("NotFound", "Deleted"), ("Failed", "Installed")]
)
async def test_a_root_that_was_deleted_is_held_no_more(ready: Station16, status: str, held: str, query: Query) -> None:
    await install(ready)
    ready.answers["DeleteCertificate"] = {"status": status}
    command = await operator.perform("DeleteCertificate", {"certificateHashData": hash_data(ROOT, "SHA512")})

    assert command.response == {"status": status}
    assert await query(rows) == [(held, "")]


async def test_what_a_station_tells_of_its_roots_is_believed(ready: Station16, query: Query) -> None:
    await install(ready, use="ManufacturerRootCertificate")
    unknown = {"hashAlgorithm": "SHA384", "issuerNameHash": "AA", "issuerKeyHash": "BB", "serialNumber": "1"}
    told = {"status": "Accepted", "certificateHashData": [hash_data(ROOT), unknown]}
    ready.answers["GetInstalledCertificateIds"] = told
    asked = {"certificateType": "ManufacturerRootCertificate"}

    command = await operator.perform("GetInstalledCertificateIds", asked)
    assert command.response == told
    assert await query(rows) == [("Installed", ""), ("Installed", "")]

    ready.answers["GetInstalledCertificateIds"] = {"status": "NotFound"}
    await operator.perform("GetInstalledCertificateIds", {"certificateType": "CentralSystemRootCertificate"})
    assert await query(rows) == [("Installed", ""), ("Installed", "")]
    await operator.perform("GetInstalledCertificateIds", asked)
    assert await query(rows) == [("Deleted", ""), ("Deleted", "")]
