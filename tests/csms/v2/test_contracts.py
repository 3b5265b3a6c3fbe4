"""OCPP 2.x: contracts of vehicles over real sockets, whoever vouches for them (M01, M02, M06, C07)."""

import asyncio
import base64

import pytest
from pytest_django.fixtures import Settings

from chargers.choices import ContractStatus
from chargers.models import IdTag
from tests import contracts
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token

EMAID = "DEABCC123456789"
NAMED = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "1F"}
STATUS_REQUEST = {"ocspRequestData": {**NAMED, "responderURL": "http://ocsp.example"}}
FAILED = {"status": "Failed", "statusInfo": {"reasonCode": "InternalError"}}


def contract_request(action: str = "Install") -> Payload:
    return {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": action, "exiRequest": "AAAA"}


@pytest.fixture(autouse=True)
def laboratory(settings: Settings) -> None:
    settings.ISO15118_PROVIDER = contracts.path(contracts.Laboratory)


@pytest.mark.parametrize("action", ["Install", "Update"])
async def test_a_vehicle_gets_what_the_provider_issues(ready: Station201, action: str) -> None:
    answer = await ready.call("Get15118EVCertificate", contract_request(action))
    assert answer == {"status": "Accepted", "exiResponse": f"EXI-{action.lower()}-AAAA"}


async def test_the_status_of_a_certificate_is_told_as_the_responder_gives_it(ready: Station201) -> None:
    answer = await ready.call("GetCertificateStatus", STATUS_REQUEST)
    assert answer["status"] == "Accepted"
    assert base64.b64decode(answer["ocspResult"]) == b"http://ocsp.example 1F"


@pytest.mark.parametrize(
    "provider", ["", "nowhere.Nothing", *map(contracts.path, (contracts.Broken, contracts.Talkative))]
)
async def test_a_provider_that_is_no_help_is_answered_failed(
    ready: Station201, provider: str, settings: Settings
) -> None:
    settings.ISO15118_PROVIDER = provider
    answer = await ready.call("Get15118EVCertificate", contract_request())
    assert answer == {**FAILED, "exiResponse": ""}
    assert await ready.call("GetCertificateStatus", STATUS_REQUEST) == FAILED


async def test_a_slow_provider_holds_up_nobody(ready: Station201, url: str, settings: Settings) -> None:
    contracts.Slow.gate.clear()
    settings.ISO15118_PROVIDER = contracts.path(contracts.Slow)
    ready.answers["ClearCache"] = {"status": "Accepted"}
    waiting = asyncio.create_task(ready.call("Get15118EVCertificate", contract_request()))
    try:
        # Its own answers get through meanwhile, and so does everybody else.
        assert (await operator.perform("ClearCache")).response == {"status": "Accepted"}
        async with Station201(url, "CP2") as other:
            assert (await other.boot())["status"] == "Accepted"
        assert not waiting.done()
    finally:
        contracts.Slow.gate.set()
    assert (await waiting)["status"] == "Accepted"


async def test_a_provider_that_takes_too_long_is_answered_failed(ready: Station201, settings: Settings) -> None:
    contracts.Slow.gate.clear()
    settings.ISO15118_PROVIDER, settings.ISO15118_TIMEOUT = contracts.path(contracts.Slow), 0.1
    try:
        assert (await ready.call("Get15118EVCertificate", contract_request()))["status"] == "Failed"
    finally:
        contracts.Slow.gate.set()


# Authorisation


async def authorized(station: Station201, **shown: object) -> tuple[str, str | None]:
    payload = {"idToken": token(EMAID, "eMAID"), **shown}
    answer = await station.call("Authorize", payload)
    return answer["idTokenInfo"]["status"], answer.get("certificateStatus")


HASHES = [{**NAMED, "responderURL": "http://ocsp.example"}]


@pytest.mark.parametrize(
    ("verdict", "revoked", "expected"),
    [
        (ContractStatus.VALID, False, ("Accepted", "Accepted")),
        (ContractStatus.VALID, True, ("Blocked", "ContractCancelled")),
        (ContractStatus.EXPIRED, False, ("Expired", "CertificateExpired")),
        (ContractStatus.REVOKED, False, ("Invalid", "CertificateRevoked")),
        (ContractStatus.UNVERIFIED, False, ("Invalid", "CertChainError")),
    ],
)
@pytest.mark.parametrize(
    "shown", [{"certificate": "PEM"}, {"iso15118CertificateHashData": HASHES}], ids=["chain", "hashes"]
)
async def test_a_contract_counts_as_far_as_its_certificate_does(
    ready: Station201,
    verdict: ContractStatus,
    revoked: bool,
    expected: tuple[str, str],
    shown: Payload,
    monkeypatch: pytest.MonkeyPatch,
    query: Query,
) -> None:
    monkeypatch.setattr(contracts.Laboratory, "verdicts", {EMAID: verdict})
    await query(lambda: IdTag.objects.create(id_token=EMAID, revoked=revoked))
    assert await authorized(ready, **shown) == expected


async def test_a_contract_that_is_not_known_here_is_cancelled(
    ready: Station201, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contracts.Laboratory, "verdicts", {EMAID: ContractStatus.VALID})
    status, certificate = await authorized(ready, certificate="PEM")
    assert status in ("Invalid", "Unknown")
    assert certificate == "ContractCancelled"


@pytest.mark.parametrize("provider", ["", contracts.path(contracts.Broken)])
async def test_a_contract_that_nobody_vouches_for_is_not_accepted(
    ready: Station201, provider: str, settings: Settings, query: Query
) -> None:
    settings.ISO15118_PROVIDER = provider
    await query(lambda: IdTag.objects.create(id_token=EMAID))
    assert await authorized(ready, certificate="PEM") == ("Invalid", "CertChainError")


async def test_a_token_without_a_certificate_is_authorized_as_ever(
    ready: Station201, settings: Settings, query: Query
) -> None:
    settings.ISO15118_PROVIDER = ""
    await query(lambda: IdTag.objects.create(id_token=EMAID))
    assert await authorized(ready) == ("Accepted", None)
