"""Stations behind a real Caddy that ends their TLS, and what a proxy may say of them."""

import base64
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from chargers.authority import EmbeddedAuthority
from chargers.choices import SecurityProfile
from chargers.errors import CertificateRefused
from chargers.models import ChargePoint, SecurityEvent
from csms.proxied import ProxiedCertificates
from csms.server import OcppServer
from tests import pki
from tests.caddy import caddy
from tests.certificates import Authority, Papers
from tests.csms.conftest import Query
from tests.csms.raw import exchange
from tests.csms.test_security_profiles import EXPECTED, KEY, SERIAL, register, status_of
from tests.e2e.launcher import free_ports
from tests.simulator.v16 import Station16

LOOP = uvloop.new_event_loop

# Sites of a port, not of a name: a station at an IP address sends none that TLS could go by.
SITES = """
http://:{plain} {{
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:{csms} {{
		header_up -Client-Cert
		header_up -Client-Cert-Chain
	}}
}}
https://:{secured} {{
	bind 127.0.0.1
	tls {certificate} {key} {{
		client_auth {{
			mode {mode}
			trust_pool file {authority}
		}}
	}}
	reverse_proxy 127.0.0.1:{csms} {{
		header_up Client-Cert ":{{http.request.tls.client.certificate_der_base64}}:"
		header_up -Client-Cert-Chain
	}}
}}
"""


class Edge(NamedTuple):
    """The endpoints that stations know, and the csms behind them."""

    plain: str
    secured: str
    csms: int


@pytest.fixture
def proxy_settings(settings: Settings, authority: Authority) -> Settings:
    """Settings of a platform whose TLS ends at a proxy on this machine."""
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    settings.CSMS_TLS_CLIENT_CA = authority.root.certificate
    settings.CPO_NAME = "Operator"
    # Many attempts here must fail, and none is to wait.
    settings.OCPP_ATTEMPT_DELAY = 0
    return settings


@pytest.fixture
async def node(transactional_db: None, redis_settings: None, proxy_settings: Settings) -> AsyncIterator[OcppServer]:
    """A csms without TLS of its own."""
    async with OcppServer("127.0.0.1", 0) as running:
        yield running


@pytest.fixture
def mode() -> str:
    return "verify_if_given"


@pytest.fixture
def edge(node: OcppServer, authority: Authority, tmp_path: Path, mode: str) -> Iterator[Edge]:
    plain, secured = free_ports(2)
    papers = authority.server()
    sites = SITES.format(
        plain=plain,
        secured=secured,
        csms=node.port,
        certificate=papers.certificate,
        key=papers.key,
        authority=authority.root.certificate,
        mode=mode,
    )
    with caddy(tmp_path, sites, plain, secured):
        yield Edge(f"ws://127.0.0.1:{plain}/ws/ocpp", f"wss://127.0.0.1:{secured}/ws/ocpp", node.port)


@pytest.fixture
def ways(edge: Edge, authority: Authority) -> Mapping[str, Station16]:
    """CP1 as it connects through Caddy, by the names of `EXPECTED`."""

    def tls(name: str = "", **more: Any) -> ssl.SSLContext:
        return authority.trusting(authority.station(name, **more) if name else None)

    def station(endpoint: str, **options: Any) -> Station16:
        return Station16(endpoint, "CP1", **options)

    return {
        "plain": station(edge.plain),
        "plain, key": station(edge.plain, password=KEY),
        "plain, wrong key": station(edge.plain, password="wrong"),
        "TLS": station(edge.secured, ssl=tls()),
        "TLS, key": station(edge.secured, ssl=tls(), password=KEY),
        "TLS, wrong key": station(edge.secured, ssl=tls(), password="wrong"),
        "certificate": station(edge.secured, ssl=tls("CP1", organization="Operator Ltd")),
        "certificate of its serial number": station(edge.secured, ssl=tls(SERIAL, organization="Operator Ltd")),
        "certificate of another station": station(edge.secured, ssl=tls("CP2", organization="Operator Ltd")),
        "certificate of another operator": station(edge.secured, ssl=tls("CP1", organization="Rival Ltd")),
        "certificate of another station, key": station(edge.secured, ssl=tls("CP2"), password=KEY),
        "certificate, wrong key": station(edge.secured, ssl=tls("CP1", organization="Operator Ltd"), password="wrong"),
    }


async def test_a_station_has_the_same_profiles_through_caddy_as_without(
    ways: Mapping[str, Station16], query: Query
) -> None:
    for profile in SecurityProfile:
        await query(lambda profile=profile: register(profile))
        statuses = {way: await status_of(station) for way, station in ways.items()}
        assert statuses == {way: expected[profile] for way, expected in EXPECTED.items()}, profile
        await query(lambda: ChargePoint.objects.all().delete())


async def test_a_station_that_goes_back_to_the_plain_site_is_refused(
    ways: Mapping[str, Station16], edge: Edge, query: Query, own: str
) -> None:
    await query(lambda: register(SecurityProfile.TLS_BASIC))
    async with ways["TLS, key"] as station:
        await station.heartbeat()
        assert await status_of(ways["plain, key"]) == 403
        # What a station writes itself does not pass Caddy.
        lies = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1", "Client-Cert": own}
        assert await status_of(Station16(edge.plain, "CP1", password=KEY, extra_headers=lies)) == 403
        await station.heartbeat()


@pytest.mark.parametrize("mode", ["request"])
async def test_a_site_that_only_asks_for_certificates_lets_nobody_in(
    edge: Edge, authority: Authority, query: Query, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign", "Root of somebody else")
    await query(lambda: register(SecurityProfile.TLS_CERTIFICATE))
    for papers, status in (
        (foreign.station("CP1", organization="Operator"), 403),
        (authority.station("CP1", organization="Operator", lifetime=-1), 403),
        (authority.station("CP1", organization="Operator"), 101),
    ):
        assert await status_of(Station16(edge.secured, "CP1", ssl=authority.trusting(papers))) == status
    reasons = await query(lambda: list(SecurityEvent.objects.order_by("pk").values_list("tech_info", flat=True)))
    assert ["unable to get local issuer" in reasons[0], "has expired" in reasons[1]] == [True, True]


# What a proxy says


def der(papers: Papers) -> bytes:
    return x509.load_pem_x509_certificate(Path(papers.certificate).read_bytes()).public_bytes(Encoding.DER)


def field(*ders: bytes) -> str:
    return ", ".join(f":{base64.b64encode(each).decode()}:" for each in ders)


async def reply_to(port: int, **headers: str) -> tuple[int, str]:
    """Ask to connect as CP1 with headers of a proxy; return the status, and the reason if it is no 101."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with exchange(port, "/ws/ocpp/CP1", headers=sent) as reply:
        return reply.status, "" if reply.status == 101 else (await reply.rest()).decode()


@pytest.fixture
def own(authority: Authority) -> str:
    """The certificate of CP1 as a proxy passes it on."""
    return field(der(authority.station("CP1", organization="Operator")))


async def test_an_address_is_the_stations_own_wherever_it_is_told(node: OcppServer, query: Query) -> None:
    await query(lambda: register(SecurityProfile.BASIC))
    status, _ = await reply_to(node.port, X_Forwarded_For="1.2.3.4, 2001:db8::7", X_Forwarded_Proto="http")
    assert status == 401
    assert await query(lambda: SecurityEvent.objects.get().tech_info) == "2001:db8::7: the key is missing"
    endpoint, headers = f"ws://127.0.0.1:{node.port}/ws/ocpp", {"X-Forwarded-For": "198.51.100.7"}
    async with Station16(endpoint, "CP1", password=KEY, extra_headers=headers) as station:
        await station.heartbeat()
        assert await query(lambda: ChargePoint.objects.get().ip_address) == "198.51.100.7"


async def test_a_certificate_counts_from_a_trusted_proxy_only(
    node: OcppServer, query: Query, own: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await query(lambda: register(SecurityProfile.TLS_CERTIFICATE))
    headers = {"X_Forwarded_For": "198.51.100.7", "X_Forwarded_Proto": "https", "Client_Cert": own}
    assert (await reply_to(node.port, **headers))[0] == 101
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.2"),)
    assert (await reply_to(node.port, **headers))[0] == 403
    assert "OV2XMP_TRUSTED_PROXIES" in caplog.text
    settings.TRUSTED_PROXIES = ()
    assert (await reply_to(node.port, **headers))[0] == 403


async def test_a_certificate_without_tls_is_none(node: OcppServer, query: Query, own: str) -> None:
    await query(lambda: register(SecurityProfile.NONE))
    status, reason = await reply_to(node.port, X_Forwarded_Proto="http", Client_Cert=own)
    assert (status, "Client-Cert came without TLS (X-Forwarded-Proto)" in reason) == (403, True)


@pytest.mark.parametrize("nothing", ["::", "", " :: "])
async def test_an_empty_certificate_is_none(node: OcppServer, query: Query, nothing: str) -> None:
    await query(lambda: register(SecurityProfile.NONE))
    assert (await reply_to(node.port, X_Forwarded_Proto="https", Client_Cert=nothing))[0] == 101


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        ("x", "Client-Cert is not as RFC 9440 has it: there are no colons around it"),
        (":", "there are no colons around it"),
        (":%%%:", "Client-Cert is not as RFC 9440 has it"),
        (":bm8gY2VydGlmaWNhdGU=:", "Client-Cert has no certificate in it"),
        ("-----BEGIN CERTIFICATE-----", "there are no colons around it"),
        ("%2d%2d", "there are no colons around it"),
    ],
)
@pytest.mark.parametrize("profile", [SecurityProfile.NONE, SecurityProfile.TLS_CERTIFICATE])
async def test_what_is_no_certificate_is_refused_by_name_and_registers_nobody(
    node: OcppServer, query: Query, garbage: str, reason: str, profile: SecurityProfile
) -> None:
    status, told = await reply_to(node.port, X_Forwarded_Proto="https", Client_Cert=garbage)
    assert (status, reason in told) == (403, True), told
    assert not await query(ChargePoint.objects.exists)
    await query(lambda: register(profile))
    assert (await reply_to(node.port, X_Forwarded_Proto="https", Client_Cert=garbage))[0] == 403
    assert reason in await query(lambda: SecurityEvent.objects.get().tech_info)


# Which certificates count


def read(*ders: bytes, chain: Sequence[bytes] = ()) -> Any:
    return ProxiedCertificates().read([field(*ders)], [field(*chain)] if chain else [])


@pytest.mark.usefixtures("proxy_settings")
def test_a_certificate_tells_whose_it_is(authority: Authority) -> None:
    found = read(der(authority.station("CP1", organization="Operator")))
    assert (found.common_names, found.organizations) == (("CP1",), ("Operator",))


@pytest.mark.usefixtures("proxy_settings")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "has expired or is not valid yet"),
        ("of a server", "is not meant for clients"),
        ("weak", "the RSA key has 1024 bits"),
        ("foreign", "cannot be verified: unable to get local issuer certificate"),
        ("forged", "cannot be verified"),
    ],
)
def test_a_certificate_that_tls_would_refuse_is_refused(
    authority: Authority, tmp_path: Path, kind: str, reason: str
) -> None:
    forger = Authority(tmp_path)
    papers = {
        "expired": lambda: authority.station("CP1", lifetime=-1),
        "of a server": authority.server,
        "weak": lambda: authority.station("CP1", key=pki.rsa_key(1024)),
        "foreign": lambda: Authority(tmp_path, "Root of somebody else").station("CP1"),
        # Of an authority with the same name and another key.
        "forged": lambda: forger.station("CP1"),
    }[kind]()
    with pytest.raises(CertificateRefused, match=reason):
        read(der(papers))


@pytest.mark.usefixtures("proxy_settings")
def test_a_key_of_224_bits_is_long_enough(authority: Authority) -> None:
    assert read(der(authority.station("CP1", key=ec.generate_private_key(ec.SECP224R1()))))


@pytest.mark.usefixtures("proxy_settings")
def test_two_certificates_are_none(authority: Authority) -> None:
    with pytest.raises(CertificateRefused, match="Client-Cert has 2 certificates"):
        read(der(authority.station("CP1")), der(authority.station("CP2")))


@pytest.mark.usefixtures("proxy_settings")
def test_an_authority_between_comes_with_the_chain(authority: Authority, tmp_path: Path) -> None:
    between = Authority(tmp_path, "Between", issuer=authority)
    own = der(between.station("CP1"))
    with pytest.raises(CertificateRefused, match="unable to get local issuer"):
        read(own)
    assert read(own, chain=[der(between.root)]).common_names == ("CP1",)
    # A station's certificate makes no authority.
    station = authority.station("CP2")
    with pytest.raises(CertificateRefused):
        read(own, chain=[der(station)])


def test_without_an_authority_the_proxys_word_is_taken(
    proxy_settings: Settings, authority: Authority, data_dir: Path
) -> None:
    proxy_settings.CSMS_TLS_CLIENT_CA = ""
    known = ProxiedCertificates()
    own = field(der(authority.station("CP1")))
    assert known.read([own], [])
    EmbeddedAuthority().root()
    with pytest.raises(CertificateRefused, match="unable to get local issuer"):
        known.read([own], [])
    signed = EmbeddedAuthority().sign(pki.request_pem("CP1"), "CP1")
    assert known.read([field(x509.load_pem_x509_certificate(signed.encode()).public_bytes(Encoding.DER))], [])


def test_authorities_that_cannot_be_read_stop_the_csms_at_its_start_and_leave_the_old_ones_later(
    proxy_settings: Settings, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = tmp_path / "bundle.pem"
    proxy_settings.CSMS_TLS_CLIENT_CA = str(bundle)
    for content in (None, "rubbish"):
        if content:
            bundle.write_text(content, encoding="ascii")
        with pytest.raises(ImproperlyConfigured, match=f"OV2XMP_CSMS_TLS_CLIENT_CA: .*{bundle}"):
            OcppServer("127.0.0.1", 0)
    bundle.write_bytes(Path(authority.root.certificate).read_bytes())
    known = ProxiedCertificates()
    own = field(der(authority.station("CP1")))
    for spoil in (lambda: bundle.write_text("rubbish", encoding="ascii"), bundle.unlink):
        spoil()
        assert known.read([own], [])
    assert "those known before still count" in caplog.text


async def test_what_needs_tls_may_be_demanded_where_a_proxy_ends_it(
    node: OcppServer, query: Query, settings: Settings
) -> None:
    station = await query(lambda: register(SecurityProfile.BASIC))
    assert station.why_unable_to_use(SecurityProfile.TLS_BASIC) == ""
    assert station.why_unable_to_use(SecurityProfile.TLS_CERTIFICATE) == ""
    settings.TRUSTED_PROXIES = ()
    reason = station.why_unable_to_use(SecurityProfile.TLS_BASIC)
    assert "OV2XMP_CSMS_TLS_CERTIFICATE" in reason
    assert "OV2XMP_TRUSTED_PROXIES" in reason
