"""Block C: authorisation."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from chargers import pem
from tests import pki
from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import ACCEPTED, driver, family, the_transaction
from tests.contracts import Responder
from tests.simulator.authority import name_of
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token


async def test_tc_c_02_csms_authorization_invalid(central: Central, station: Station201) -> None:
    assert await station.authorize(token("NOBODY")) == {"status": "Unknown"}
    assert await central.rows("transaction") == []


async def test_tc_c_06_csms_authorization_blocked(central: Central, station: Station201) -> None:
    assert await station.authorize(await driver(central, revoked=True)) == {"status": "Blocked"}


async def test_tc_c_07_csms_authorization_expired(central: Central, station: Station201) -> None:
    expired = await driver(central, expiry_date="2020-01-01T00:00:00Z")
    assert (await station.authorize(expired))["status"] == "Expired"


async def shown_from_the_cache(central: Central, station: Station201, id_token: Payload, status: str) -> None:
    await states.ev_connected(station)
    answer = await station.updated("Authorized", id_token=id_token)
    assert answer["idTokenInfo"]["status"] == status
    shown = await the_transaction(central)
    assert shown["transaction_status"] == ("Started" if status == "Accepted" else "Unauthorized")


async def test_tc_c_08_csms_cached_accepted(central: Central, station: Station201) -> None:
    await shown_from_the_cache(central, station, await driver(central), "Accepted")


async def test_tc_c_20_csms_cached_invalid(central: Central, station: Station201) -> None:
    await shown_from_the_cache(central, station, token("NOBODY"), "Unknown")


async def test_tc_c_37_csms_clear_cache_accepted(central: Central, station: Station201) -> None:
    assert await central.ask("ClearCache") == ACCEPTED
    assert sent(station, "ClearCache") == [{}]


async def test_tc_c_38_csms_clear_cache_rejected(central: Central, station: Station201) -> None:
    station.answers["ClearCache"] = {"status": "Rejected"}
    assert await central.ask("ClearCache") == {"status": "Rejected"}


async def ended_by_the_group(central: Central, station: Station201, *, asks: bool, asks_first: bool = False) -> None:
    """Let one driver begin and another of the group end a session, who is authorised first where the station asks."""
    group, one, two = await family(central)
    accepted = {"status": "Accepted", "groupIdToken": {"idToken": group, "type": "Central"}}
    await states.ev_connected(station)
    if asks_first:
        assert await station.authorize(two) == accepted
    assert (await station.updated("Authorized", id_token=one))["idTokenInfo"] == accepted
    await states.energy_transfer_started(station, one)
    if asks:
        assert await station.authorize(two) == accepted
    assert await states.stop_authorized(station, two) == accepted
    await states.ev_connected_post_session(station)
    await states.ev_disconnected(station)
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["id_tag"], shown["flags"]) == ("Finished", one["idToken"], [])


async def test_tc_c_39_csms_group_success(central: Central, station: Station201) -> None:
    await ended_by_the_group(central, station, asks=True, asks_first=True)


async def test_tc_c_40_csms_group_with_the_local_list(central: Central, station: Station201) -> None:
    await ended_by_the_group(central, station, asks=False)


async def test_tc_c_43_csms_group_invalid_in_the_local_list(central: Central, station: Station201) -> None:
    await ended_by_the_group(central, station, asks=True)


async def master_pass(central: Central, station: Station201, evses: tuple[int, ...]) -> None:
    """Let drivers charge at both EVSEs and a master pass end the sessions at some."""
    for evse, name in ((1, "ONE"), (2, "TWO")):
        await states.energy_transfer_started(station, await driver(central, name), evse)
    group = await central.tag("MASTERS")
    master = await driver(central, "MASTER", parent=group)
    accepted = {"status": "Accepted", "groupIdToken": {"idToken": group, "type": "Central"}}
    assert await station.authorize(master) == accepted
    for evse in evses:
        answer = await station.ended("StopAuthorized", evse, master, reason="MasterPass")
        assert answer["idTokenInfo"] == accepted
    over = [row for row in await central.rows("transaction") if row["reason_stopped"] == "MasterPass"]
    assert len(over) == len(evses)


async def test_tc_c_47_csms_master_pass_with_ui_all_transactions(central: Central, station: Station201) -> None:
    await master_pass(central, station, (1, 2))


async def test_tc_c_48_csms_master_pass_with_ui_specific_transactions(central: Central, station: Station201) -> None:
    await master_pass(central, station, (1,))


async def test_tc_c_49_csms_master_pass_without_ui(central: Central, station: Station201) -> None:
    await master_pass(central, station, (1, 2))


async def contract(central: Central, responder: Responder) -> tuple[x509.Certificate, Payload]:
    """Issue a contract, whose eMAID is registered; return its certificate and its token."""
    emaid = await central.tag("EMAID")
    key = pki.ec_key().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    certificate = responder.authority.certify(name_of(emaid), key, responder=responder.url)
    return certificate, token(emaid, "eMAID")


def named(certificate: x509.Certificate, responder: Responder) -> Payload:
    """Name a contract's certificate as a station does that has verified it."""
    told = pem.hash_data(certificate, responder.authority.certificate)
    return {
        "hashAlgorithm": told.algorithm,
        "issuerNameHash": told.issuer_name_hash,
        "issuerKeyHash": told.issuer_key_hash,
        "serialNumber": told.serial_number,
        "responderURL": responder.url,
    }


async def authorizes(station: Station201, id_token: Payload, **shown: object) -> tuple[str, str]:
    await states.ev_connected(station)
    answer = await station.call("Authorize", {"idToken": id_token, **shown})
    return answer["idTokenInfo"]["status"], answer["certificateStatus"]


async def test_tc_c_50_csms_contract_verified_by_the_station(
    central: Central, station: Station201, responder: Responder
) -> None:
    certificate, id_token = await contract(central, responder)
    hashes = [named(certificate, responder)]
    assert await authorizes(station, id_token, iso15118CertificateHashData=hashes) == ("Accepted", "Accepted")
    await states.energy_transfer_started(station, id_token)


async def test_tc_c_51_csms_contract_verified_by_the_station_and_revoked(
    central: Central, station: Station201, responder: Responder
) -> None:
    certificate, id_token = await contract(central, responder)
    responder.revoked.add(certificate.serial_number)
    hashes = [named(certificate, responder)]
    assert await authorizes(station, id_token, iso15118CertificateHashData=hashes) == ("Invalid", "CertificateRevoked")


async def test_tc_c_52_csms_contract_verified_by_the_csms(
    central: Central, station: Station201, responder: Responder
) -> None:
    certificate, id_token = await contract(central, responder)
    assert await authorizes(station, id_token, certificate=pem.write(certificate)) == ("Accepted", "Accepted")
    assert certificate.serial_number in responder.asked
    await states.energy_transfer_started(station, id_token)
