"""The port with TLS: its handshake, its files, and that it is a port like the other one."""

import asyncio
import contextlib
import logging
import re
import shutil
import socket
import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvloop
import websockets
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from chargers.authority import EmbeddedAuthority
from chargers.choices import SecurityProfile
from chargers.models import ChargePoint
from csms import tls
from csms.server import OcppServer
from tests import pki
from tests.certificates import Authority, Papers
from tests.csms.conftest import Query
from tests.simulator.v16 import Station16

# The loop that the csms runs on, since TLS is a matter of the loop.
LOOP = uvloop.new_event_loop


def connected(identity: str = "CP1") -> bool:
    return bool(ChargePoint.objects.with_connected(datetime.now(UTC)).get(pk=identity).connected)


async def metric(server: OcppServer, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{server.port}/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def is_let_in(wss: str, context: ssl.SSLContext) -> bool:
    """Tell whether CP1 comes through the TLS handshake."""
    try:
        async with Station16(wss, "CP1", ssl=context) as station:
            await station.heartbeat()
            return True
    except (OSError, websockets.InvalidMessage):
        # With TLS 1.3 a client learns with its first read what came of its certificate.
        return False


# The handshake


@pytest.fixture
def foreign(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Root of somebody else")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("profile", [SecurityProfile.NONE, SecurityProfile.TLS_CERTIFICATE])
async def test_a_certificate_that_cannot_be_verified_ends_the_handshake(
    tls_server: OcppServer,
    wss: str,
    authority: Authority,
    foreign: Authority,
    query: Query,
    caplog: pytest.LogCaptureFixture,
    profile: SecurityProfile,
    version: ssl.TLSVersion,
) -> None:
    caplog.set_level(logging.INFO, "csms.tls")
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", security_profile=profile))
    before = await metric(tls_server, 'ocpp_handshakes_total{result="no TLS"}')
    bad = {
        "expired": authority.station("CP1", lifetime=-1),
        "unable to get local issuer certificate": foreign.station("CP1"),
        "unsuitable certificate purpose": authority.server(),
        "EE certificate key too weak": authority.station("CP1", key=pki.rsa_key(1024)),
    }
    for reason, papers in bad.items():
        context = authority.trusting()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(*papers)
        context.maximum_version = version
        assert not await is_let_in(wss, context)
        assert reason in caplog.messages[-1]
    assert await metric(tls_server, 'ocpp_handshakes_total{result="no TLS"}') == before + len(bad)
    assert not await query(connected)
    assert await is_let_in(wss, authority.trusting(authority.station("CP1")))


async def test_a_station_that_does_not_trust_the_server_is_counted(
    tls_server: OcppServer, foreign: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "csms.tls")
    before = await metric(tls_server, 'ocpp_handshakes_total{result="no TLS"}')

    def connect() -> None:
        # Unlike the loop, a blocking socket says why it leaves.
        with socket.create_connection(("127.0.0.1", tls_server.tls_port)) as client:
            foreign.trusting().wrap_socket(client, server_hostname="127.0.0.1")

    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(connect)
    async with asyncio.timeout(5):
        while await metric(tls_server, 'ocpp_handshakes_total{result="no TLS"}') == before:
            await asyncio.sleep(0.01)
    assert "unknown ca" in caplog.text


async def test_tls_1_1_is_refused(wss: str, authority: Authority) -> None:
    context = authority.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert not await is_let_in(wss, context)


@pytest.fixture
def both_kinds(tls_settings: Settings, authority: Authority) -> None:
    """A certificate for each kind of key, as A00.FR.317 wants it."""
    papers = [authority.server(), authority.server(key=pki.rsa_key())]
    tls_settings.CSMS_TLS_CERTIFICATES = [each.certificate for each in papers]
    tls_settings.CSMS_TLS_KEYS = [each.key for each in papers]


@pytest.mark.parametrize(
    ("suite", "served"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("AES128-GCM-SHA256", True),
        ("AES256-GCM-SHA384", True),
        ("ECDHE-RSA-AES256-GCM-SHA384", True),
        ("AES128-SHA", False),
        ("ECDHE-ECDSA-AES128-SHA", False),
        ("ECDHE-ECDSA-NULL-SHA", False),
        ("ADH-AES128-GCM-SHA256", False),
    ],
)
async def test_the_suites_of_the_whitepaper_are_served_and_weak_ones_are_not(
    both_kinds: None, wss: str, authority: Authority, suite: str, served: bool
) -> None:
    context = authority.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    assert await is_let_in(wss, context) is served


async def test_compression_is_not_used(wss: str, authority: Authority) -> None:
    context = authority.trusting()
    context.options &= ~ssl.OP_NO_COMPRESSION
    async with Station16(wss, "CP1", ssl=context) as station:
        assert station.connection is not None
        assert station.connection.transport.get_extra_info("compression") is None


async def test_plain_http_on_the_port_with_tls_is_closed_and_others_are_served(
    tls_server: OcppServer, wss: str, authority: Authority
) -> None:
    async with Station16(wss, "CP1", ssl=authority.trusting()) as station:
        reader, writer = await asyncio.open_connection("127.0.0.1", tls_server.tls_port)
        writer.write(b"GET /ws/ocpp/CP2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                assert b"HTTP" not in await reader.read()
        writer.close()
        await station.heartbeat()


async def test_tls_on_the_plain_port_is_closed_and_others_are_served(
    tls_server: OcppServer, authority: Authority
) -> None:
    async with Station16(f"ws://127.0.0.1:{tls_server.port}/ws/ocpp", "CP1") as station:
        assert not await is_let_in(f"wss://127.0.0.1:{tls_server.port}/ws/ocpp", authority.trusting())
        await station.heartbeat()


@pytest.fixture
def short_handshake(settings: Settings) -> None:
    settings.OCPP_HANDSHAKE_TIMEOUT = 0.5


@pytest.mark.usefixtures("short_handshake")
async def test_handshakes_that_never_end_are_given_up_and_hold_nobody_up(
    tls_server: OcppServer, wss: str, authority: Authority
) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", tls_server.tls_port) for _ in range(10)]
    for number, (_, writer) in enumerate(silent):
        # Nothing, or the beginning of a ClientHello.
        writer.write(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
    async with Station16(wss, "CP1", ssl=authority.trusting()) as station:
        await station.heartbeat()
        async with asyncio.timeout(5):
            for reader, _ in silent:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        await station.heartbeat()
    for _, writer in silent:
        writer.close()


# A port like the other one


async def test_health_and_metrics_are_on_both_ports(tls_server: OcppServer, authority: Authority) -> None:
    plain, secured = f"http://127.0.0.1:{tls_server.port}", f"https://127.0.0.1:{tls_server.tls_port}"
    async with httpx.AsyncClient(trust_env=False, verify=authority.trusting()) as client:
        for path in ("/healthz", "/metrics"):
            answers = [await client.get(f"{endpoint}{path}") for endpoint in (plain, secured)]
            assert [answer.status_code for answer in answers] == [200, 200]
        assert (await client.get(f"{plain}/healthz")).json() == (await client.get(f"{secured}/healthz")).json()


async def test_a_station_may_change_ports_and_is_one_station(
    tls_server: OcppServer, wss: str, authority: Authority
) -> None:
    plain = f"ws://127.0.0.1:{tls_server.port}/ws/ocpp"
    async with Station16(plain, "CP1") as first, Station16(wss, "CP1", ssl=authority.trusting()) as second:
        await first.wait_closed()
        await second.heartbeat()
        async with Station16(plain, "CP1") as third:
            await second.wait_closed()
            await third.heartbeat()


async def test_long_messages_pass_both_ways(wss: str, authority: Authority) -> None:
    async with Station16(wss, "CP1", ssl=authority.trusting()) as station:
        answer = await station.exchange(f'[2,"{"x" * 200_000}","Heartbeat",{{}}]')
        assert "x" * 200_000 in str(answer.data)
        await station.heartbeat()


async def test_a_drain_closes_both_ports(
    transactional_db: None, redis_settings: None, tls_settings: Settings, authority: Authority, query: Query
) -> None:
    async with OcppServer("127.0.0.1", 0, 0) as server:
        plain, secured = f"ws://127.0.0.1:{server.port}/ws/ocpp", f"wss://127.0.0.1:{server.tls_port}/ws/ocpp"
        stations = [Station16(plain, "CP1"), Station16(secured, "CP2", ssl=authority.trusting())]
        for station in stations:
            await station.connect()
            await station.heartbeat()
    assert [(await station.wait_closed())[0] for station in stations] == [1012, 1012]
    assert not await query(lambda: connected("CP1") or connected("CP2"))
    for endpoint in (plain, secured):
        with pytest.raises(ConnectionRefusedError):
            await Station16(endpoint, "CP3", ssl=authority.trusting() if endpoint is secured else None).connect()


@pytest.mark.usefixtures("tls_settings")
async def test_a_drain_does_not_wait_for_handshakes_for_ever(
    transactional_db: None, redis_settings: None, settings: Settings, authority: Authority
) -> None:
    settings.OCPP_DRAIN_TIMEOUT = 0.3
    async with asyncio.timeout(5):
        async with OcppServer("127.0.0.1", 0, 0) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.tls_port)
            writer.write(b"\x16\x03\x01\x02\x00\x01")
            async with Station16(
                f"wss://127.0.0.1:{server.tls_port}/ws/ocpp", "CP1", ssl=authority.trusting()
            ) as station:
                await station.heartbeat()
    writer.close()


# The files


def private_pem(encryption: KeySerializationEncryption | None = None) -> bytes:
    return pki.rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


async def shown_by(server: OcppServer, authority: Authority) -> bytes | None:
    """Return the certificate that the server shows."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.tls_port, ssl=authority.trusting())
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown  # type: ignore[no-any-return]


@pytest.fixture
def own_files(tls_settings: Settings, authority: Authority, tmp_path: Path) -> Papers:
    """Papers of the server that a test may change."""
    papers = Papers(str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
    copy(authority.server(), papers)
    tls_settings.CSMS_TLS_CERTIFICATES, tls_settings.CSMS_TLS_KEYS = [papers.certificate], [papers.key]
    return papers


def copy(source: Papers, target: Papers) -> None:
    for old, new in zip(source, target, strict=True):
        shutil.copy(old, new)


async def test_a_renewed_certificate_is_shown_from_then_on(
    own_files: Papers, tls_server: OcppServer, wss: str, authority: Authority
) -> None:
    first = await shown_by(tls_server, authority)
    async with Station16(wss, "CP1", ssl=authority.trusting()) as station:
        copy(authority.server(), own_files)
        assert await shown_by(tls_server, authority) != first
        await station.heartbeat()


async def test_a_half_renewed_certificate_leaves_the_old_one_in_use(
    own_files: Papers, tls_server: OcppServer, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    first = await shown_by(tls_server, authority)
    renewed = authority.server()
    shutil.copy(renewed.certificate, own_files.certificate)
    assert await shown_by(tls_server, authority) == first
    assert "OV2XMP_CSMS_TLS_KEY" in caplog.text
    shutil.copy(renewed.key, own_files.key)
    assert await shown_by(tls_server, authority) != first


@pytest.fixture
def embedded_authority(tls_settings: Settings, data_dir: Path) -> EmbeddedAuthority:
    """The authority that stations' certificates come from, which has made nothing yet."""
    tls_settings.CSMS_TLS_CLIENT_CA = ""
    return EmbeddedAuthority()


async def test_the_embedded_authority_is_trusted_from_its_first_certificate_on(
    embedded_authority: EmbeddedAuthority,
    wss: str,
    authority: Authority,
    foreign: Authority,
    query: Query,
    tmp_path: Path,
) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1"))
    # No certificate is asked for, so none can be wrong.
    assert await is_let_in(wss, authority.trusting(foreign.station("CP1")))
    await query(lambda: ChargePoint.objects.update(security_profile=SecurityProfile.TLS_CERTIFICATE))
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await Station16(wss, "CP1", ssl=authority.trusting()).connect()
    papers = Papers(str(tmp_path / "own.pem"), str(tmp_path / "own.key"))
    signed = embedded_authority.sign(pki.request_pem("CP1", key=pki.rsa_key()), "CP1")
    Path(papers.certificate).write_text(signed, encoding="ascii")
    Path(papers.key).write_bytes(private_pem())
    assert await is_let_in(wss, authority.trusting(papers))
    assert not await is_let_in(wss, authority.trusting(foreign.station("CP1")))


def spoil(path: str) -> None:
    Path(path).write_text("-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n", encoding="ascii")


def lock(path: str) -> None:
    """Put a key that asks for a password in the place of another one."""
    Path(path).write_bytes(private_pem(BestAvailableEncryption(b"secret")))


@pytest.mark.parametrize(
    ("file", "do", "reason"),
    [
        ("certificate", lambda path: Path(path).unlink(), "OV2XMP_CSMS_TLS_CERTIFICATE: cannot read .*: No such file"),
        ("key", lambda path: Path(path).unlink(), "OV2XMP_CSMS_TLS_KEY: cannot read .*: No such file"),
        ("client_ca", lambda path: Path(path).unlink(), "OV2XMP_CSMS_TLS_CLIENT_CA: cannot read .*: No such file"),
        ("certificate", spoil, "OV2XMP_CSMS_TLS_CERTIFICATE, OV2XMP_CSMS_TLS_KEY: .*server.pem and .*server.key"),
        ("key", spoil, "OV2XMP_CSMS_TLS_CERTIFICATE, OV2XMP_CSMS_TLS_KEY: .*server.pem and .*server.key"),
        ("key", lock, "OV2XMP_CSMS_TLS_CERTIFICATE, OV2XMP_CSMS_TLS_KEY: .*server.pem and .*server.key"),
        ("client_ca", spoil, "OV2XMP_CSMS_TLS_CLIENT_CA: there is no certificate in"),
    ],
)
def test_files_that_cannot_be_used_stop_the_start_with_the_variables_name(
    own_files: Papers, tls_settings: Settings, tmp_path: Path, file: str, do: Callable[[str], None], reason: str
) -> None:
    tls_settings.CSMS_TLS_CLIENT_CA = shutil.copy(tls_settings.CSMS_TLS_CLIENT_CA, tmp_path / "client-ca.pem")
    tls.ServerContext()
    do({"client_ca": tls_settings.CSMS_TLS_CLIENT_CA, **own_files._asdict()}[file])
    with pytest.raises(ImproperlyConfigured, match=reason):
        OcppServer("127.0.0.1", 0, 0)
