"""TLS of caddyfile-prod, with servers behind it that tell what arrives."""

import base64
import json
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from csms.tls import CIPHERS
from tests import pki
from tests.certificates import LOCALHOST, Authority, Papers
from tests.e2e.edge import NAME, Caddy
from tests.e2e.stand_ins import echo

# Those with forward secrecy; the rest of A00.FR.317 Caddy does not know.
SUITES = [suite for suite in CIPHERS.split(":") if suite.startswith("ECDHE")]

Start = Callable[..., Caddy]


@contextmanager
def front(directory: Path, client_authority: Authority, **settings: str) -> Iterator[Caddy]:
    """Run Caddy in front of a stand-in for everything."""
    with echo() as upstream:
        host, port = upstream.split(":")
        caddy = Caddy(
            directory,
            "caddyfile-prod",
            **{
                "OV2XMP_CADDY_TLS": "internal",
                "OV2XMP_CADDY_CLIENT_CA": client_authority.root.certificate,
                "OV2XMP_CADDY_CSMS_HOST": host,
                "OV2XMP_CADDY_CSMS_PORT": port,
                "OV2XMP_CADDY_FRONTEND": upstream,
                "OV2XMP_CADDY_FILEBROWSER": upstream,
                **settings,
            },
        )
        with caddy.running(directory / "log"):
            yield caddy


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Caddy]:
    with front(tmp_path_factory.mktemp("caddy"), authority) as caddy:
        yield caddy


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Yield a function that starts a Caddy of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(front(tmp_path, authority, **settings))


def trusting(caddy: Caddy, suite: str = "", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    context = caddy.trusting()
    if suite:
        context.set_ciphers(f"{suite}:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    return context


def shown(port: int, context: ssl.SSLContext, server_name: str | None = NAME) -> x509.Certificate:
    """Return the certificate that a client is shown. Raises ssl.SSLError where there is no TLS in common."""
    context.check_hostname = False
    with socket_to(port) as plain, context.wrap_socket(plain, server_hostname=server_name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def socket_to(port: int) -> socket.socket:
    return socket.create_connection((LOCALHOST, port), timeout=10)


def told(caddy: Caddy, context: ssl.SSLContext, url: str, **headers: str) -> dict[str, list[str]]:
    """Return the headers that arrive behind Caddy."""
    with httpx.Client(verify=context, trust_env=False) as client:
        return json.loads(client.get(url, headers=headers).text)["headers"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", [NAME, None, "another.example"])
def test_stations_get_the_certificate_whatever_name_they_ask_for(caddy: Caddy, name: str | None) -> None:
    for port in (caddy.https_port, caddy.mtls_port):
        names = shown(port, caddy.trusting(), name).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == [NAME]


def test_whoever_calls_by_the_address_is_served(caddy: Caddy) -> None:
    context = caddy.trusting()
    context.check_hostname = False
    for port in (caddy.https_port, caddy.mtls_port):
        headers = told(caddy, context, f"https://{LOCALHOST}:{port}/ws/ocpp/CP1")
        assert headers["x-forwarded-host"] == [f"{LOCALHOST}:{port}"]
        assert headers["x-forwarded-proto"] == ["https"]


@pytest.mark.parametrize("suite", [suite for suite in CIPHERS.split(":") if not suite.startswith("@")])
def test_the_suites_of_the_csms_are_served_as_far_as_caddy_knows_them(caddy: Caddy, suite: str) -> None:
    context = trusting(caddy, suite)
    if "ECDSA" in suite:
        shown(caddy.mtls_port, context)
    else:
        with pytest.raises(ssl.SSLError):
            shown(caddy.mtls_port, context)


def test_tls_1_1_is_refused_and_1_3_is_served(caddy: Caddy) -> None:
    with pytest.raises(ssl.SSLError):
        shown(caddy.https_port, trusting(caddy, "ALL", ssl.TLSVersion.TLSv1_1))
    shown(caddy.https_port, trusting(caddy, "ALL", ssl.TLSVersion.TLSv1_3))


@pytest.mark.parametrize("settings", [{"OV2XMP_CADDY_KEY_TYPE": "rsa2048"}, {"OV2XMP_CADDY_TLS": "papers"}])
def test_an_rsa_certificate_is_a_matter_of_a_setting(
    start: Start, authority: Authority, settings: dict[str, str]
) -> None:
    if settings.get("OV2XMP_CADDY_TLS"):
        settings = {"OV2XMP_CADDY_TLS": " ".join(authority.server(key=pki.rsa_key())), "OV2XMP_PUBLIC_NAME": LOCALHOST}
    caddy = start(**settings)
    context = caddy.trusting() if "OV2XMP_CADDY_KEY_TYPE" in settings else authority.trusting()
    assert isinstance(shown(caddy.https_port, context, None).public_key(), rsa.RSAPublicKey)


def test_a_folder_of_certificates_serves_stations_of_both_kinds(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    for kind, papers in {"ec": authority.server(), "rsa": authority.server(key=pki.rsa_key())}.items():
        (folder / f"{kind}.pem").write_text("".join(Path(each).read_text() for each in papers))
    caddy = start(OV2XMP_CADDY_TLS="", OV2XMP_CADDY_TLS_LOAD=f"load {folder}", OV2XMP_PUBLIC_NAME=LOCALHOST)
    for suite in SUITES:
        context = authority.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        for port in (caddy.https_port, caddy.mtls_port):
            shown(port, context, None)


def test_a_station_with_a_certificate_is_told_of_behind_and_one_without_is_not(
    caddy: Caddy, authority: Authority
) -> None:
    url = f"https://{NAME}:{caddy.mtls_port}/ws/ocpp/CP1"
    papers = authority.station("CP1")
    context = caddy.trusting()
    assert "client-cert" not in told(caddy, context, url, **{"Client-Cert": ":AAAA:", "Client-Cert-Chain": ":AAAA:"})
    context.load_cert_chain(*papers)
    headers = told(caddy, context, url, **{"Client-Cert": ":AAAA:", "Client-Cert-Chain": ":AAAA:"})
    assert headers["client-cert"] == [rfc_9440(papers)]
    assert "client-cert-chain" not in headers
    # The other ports ask for none.
    for other in (f"{caddy.https}/ws/ocpp/CP1", f"{caddy.http}/ws/ocpp/CP1"):
        assert "client-cert" not in told(caddy, context, other, **{"Client-Cert": ":AAAA:"})


def rfc_9440(papers: Papers) -> str:
    certificate = x509.load_pem_x509_certificate(Path(papers.certificate).read_bytes())
    return f":{base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()}:"


def test_a_certificate_that_is_no_good_does_not_pass(
    caddy: Caddy, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = Authority(tmp_path_factory.mktemp("foreign"))
    for papers in (foreign.station("CP1"), authority.station("CP1", lifetime=-1)):
        context = caddy.trusting()
        context.load_cert_chain(*papers)
        with pytest.raises(httpx.TransportError):
            told(caddy, context, f"https://{NAME}:{caddy.mtls_port}/ws/ocpp/CP1")


def test_the_port_for_certificates_is_for_stations_only(caddy: Caddy) -> None:
    with httpx.Client(verify=caddy.trusting(), trust_env=False) as client:
        for path in ("/", "/api/", "/http/files/", "/ws/updates/all/", "/metrics"):
            assert client.get(f"https://{NAME}:{caddy.mtls_port}{path}").status_code == 404


def test_a_load_balancer_is_believed_when_it_is_named_and_tools_are_for_whom_they_are_meant(
    caddy: Caddy, start: Start
) -> None:
    narrowed = {"OV2XMP_CADDY_TRUSTED_PROXIES": LOCALHOST, "OV2XMP_CADDY_TOOLS_FROM": "203.0.113.0/24"}
    for each, balanced in ((start(**narrowed), True), (caddy, False)):
        with httpx.Client(base_url=each.https, verify=each.trusting(), trust_env=False) as client:
            told = client.get("/", headers={"X-Forwarded-For": "203.0.113.9"}).json()["headers"]
            assert told["x-forwarded-for"] == ["203.0.113.9, 127.0.0.1" if balanced else LOCALHOST]
            for address, status in {"203.0.113.9": 200, "198.51.100.9": 403 if balanced else 200}.items():
                answer = client.get("/filebrowser/", headers={"X-Forwarded-For": address})
                assert answer.status_code == status
