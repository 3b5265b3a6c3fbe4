"""Block M: certificates, also those of vehicles (ISO 15118)."""

import base64
from typing import Any

from cryptography import x509
from cryptography.x509 import ocsp

from chargers import pem
from tests import pki
from tests.conformance.central import Central
from tests.conformance.ocpp16.test_security import ACCEPTED, hash_data
from tests.conformance.ocpp201.conftest import sent
from tests.contracts import Responder
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

CSMS, MANUFACTURER = "CSMSRootCertificate", "ManufacturerRootCertificate"
MO, V2G, CHAIN = "MORootCertificate", "V2GRootCertificate", "V2GCertificateChain"
ROOT = pki.root("Example Root")


async def installs(central: Central, station: Station201, use: str, answer: Payload = ACCEPTED) -> x509.Certificate:
    station.answers["InstallCertificate"] = answer
    certificate = pem.write(ROOT)
    assert await central.ask("InstallCertificate", certificate_type=use, certificate=certificate) == answer
    assert sent(station, "InstallCertificate")[-1] == {"certificateType": use, "certificate": certificate}
    return ROOT


async def installed(central: Central, station: Station201, use: str) -> None:
    await installs(central, station, use)
    [row] = await central.rows("certificate", status="Installed")
    assert (row["use"], row["pem"]) == (use, pem.write(ROOT))


def chain_of(use: str, algorithm: str = "SHA256", *children: Payload) -> Payload:
    below = {"childCertificateHashData": list(children)} if children else {}
    return {"certificateType": use, "certificateHashData": hash_data(ROOT, algorithm), **below}


async def told(central: Central, station: Station201, asked: list[str], *chains: Payload) -> list[tuple[Any, ...]]:
    """Ask the station which certificates it holds; return what is believed from then on."""
    found = {"certificateHashDataChain": list(chains)} if chains else {}
    station.answers["GetInstalledCertificateIds"] = {"status": "Accepted" if chains else "NotFound", **found}
    request = {"certificate_type": asked} if asked else {}
    answer = await central.ask("GetInstalledCertificateIds", **request)
    assert len(answer.get("certificate_hash_data_chain", [])) == len(chains)
    assert sent(station, "GetInstalledCertificateIds")[-1] == ({"certificateType": asked} if asked else {})
    rows = await central.rows("certificate", status="Installed")
    return sorted((row["use"], len(row["child_certificate_hash_data"])) for row in rows)


async def test_tc_m_01_csms_install_csms_root(central: Central, station: Station201) -> None:
    await installed(central, station, CSMS)


async def test_tc_m_02_csms_install_manufacturer_root(central: Central, station: Station201) -> None:
    await installed(central, station, MANUFACTURER)


async def test_tc_m_03_csms_install_v2g_root(central: Central, station: Station201) -> None:
    await installed(central, station, V2G)


async def test_tc_m_04_csms_install_mo_root(central: Central, station: Station201) -> None:
    await installed(central, station, MO)


async def test_tc_m_05_csms_install_failed(central: Central, station: Station201) -> None:
    await installs(central, station, CSMS, {"status": "Failed"})
    assert await central.rows("certificate") == []


async def test_tc_m_12_csms_retrieve_csms_root(central: Central, station: Station201) -> None:
    assert await told(central, station, [CSMS], chain_of(CSMS)) == [(CSMS, 0)]


async def test_tc_m_13_csms_retrieve_manufacturer_root(central: Central, station: Station201) -> None:
    assert await told(central, station, [MANUFACTURER], chain_of(MANUFACTURER)) == [(MANUFACTURER, 0)]


async def test_tc_m_14_csms_retrieve_v2g_root(central: Central, station: Station201) -> None:
    assert await told(central, station, [V2G], chain_of(V2G)) == [(V2G, 0)]


async def test_tc_m_15_csms_retrieve_v2g_chain(central: Central, station: Station201) -> None:
    children = [hash_data(pki.root(f"Sub CA {number}")) for number in range(2)]
    assert await told(central, station, [CHAIN], chain_of(CHAIN, "SHA256", *children)) == [("V2GCertificate", 2)]


async def test_tc_m_16_csms_retrieve_mo_root(central: Central, station: Station201) -> None:
    assert await told(central, station, [MO], chain_of(MO)) == [(MO, 0)]


async def test_tc_m_17_csms_retrieve_csms_and_manufacturer_root(central: Central, station: Station201) -> None:
    asked = [CSMS, MANUFACTURER]
    assert await told(central, station, asked, *map(chain_of, asked)) == [(CSMS, 0), (MANUFACTURER, 0)]


async def test_tc_m_18_csms_retrieve_all(central: Central, station: Station201) -> None:
    uses = [CSMS, MO, MANUFACTURER, V2G]
    believed = await told(central, station, [], *map(chain_of, (*uses, CHAIN)))
    assert believed == sorted([*((use, 0) for use in uses), ("V2GCertificate", 0)])


async def test_tc_m_19_csms_retrieve_nothing(central: Central, station: Station201) -> None:
    await installs(central, station, MANUFACTURER)
    assert await told(central, station, [MANUFACTURER]) == []


async def deletes(central: Central, station: Station201, algorithm: str, answer: Payload) -> list[Any]:
    """Delete a root by the name that the station gave it; return what is still believed to be there."""
    await installs(central, station, CSMS)
    await told(central, station, [CSMS], chain_of(CSMS, algorithm))
    [row] = await central.rows("certificate", status="Installed")
    station.answers["DeleteCertificate"] = answer
    named = row["certificate_hash_data"]
    assert await central.ask("DeleteCertificate", certificate_hash_data=named) == answer
    assert sent(station, "DeleteCertificate")[-1] == {"certificateHashData": hash_data(ROOT, algorithm)}
    return await central.rows("certificate", status="Installed")


async def test_tc_m_20_csms_delete(central: Central, station: Station201) -> None:
    for algorithm in ("SHA256", "SHA384", "SHA512"):
        assert await deletes(central, station, algorithm, ACCEPTED) == []


async def test_tc_m_21_csms_delete_failed(central: Central, station: Station201) -> None:
    assert len(await deletes(central, station, "SHA256", {"status": "Failed"})) == 1


async def test_tc_m_24_csms_certificate_status(central: Central, station: Station201, responder: Responder) -> None:
    named = hash_data(responder.authority.certificate)
    answer = await station.call("GetCertificateStatus", {"ocspRequestData": {**named, "responderURL": responder.url}})
    assert answer["status"] == "Accepted"
    response = ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"], validate=True))
    assert f"{response.serial_number:X}" == named["serialNumber"]


async def exi(station: Station201, action: str) -> str:
    schema = "urn:iso:15118:2:2013:MsgDef"
    request = {"iso15118SchemaVersion": schema, "action": action, "exiRequest": "AAAA"}
    answer = await station.call("Get15118EVCertificate", request)
    assert answer["status"] == "Accepted"
    return str(answer["exiResponse"])


async def test_tc_m_26_csms_certificate_installation_ev(central: Central, station: Station201) -> None:
    assert await exi(station, "Install") == "EXI-install-AAAA"


async def test_tc_m_28_csms_certificate_update_ev(central: Central, station: Station201) -> None:
    assert await exi(station, "Update") == "EXI-update-AAAA"
