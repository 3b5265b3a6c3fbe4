"""What the csms process is asked that no station would: it refuses or serves, goes on, and stores no impossible identity."""

import asyncio
import base64
import logging
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from chargers.models import ChargePoint
from chargers.models.station import IDENTITY_LENGTH
from chargers.services import stations
from csms.repairs import clean
from csms.server import OcppServer
from tests.csms.conftest import query_in_thread
from tests.fuzz import odd, wire
from tests.fuzz.wire import Header, fuzzed

LOCKED, KEY = "LOCKED", b"a key of forty characters is not a short"
# What is no HTTP is cut without an answer.
CUT = 0
STATUSES = (CUT, 101, 400, 401, 404, 405, 414, 426, 429, 431)
HOST = (b"Host", b"localhost")


@pytest.fixture(autouse=True)
def impatient(settings: Settings) -> None:
    """Who guesses is answered at once, as who has not guessed before, and who has come before too."""
    settings.OCPP_MAX_FAILED_ATTEMPTS = settings.OCPP_MAX_MESSAGE_RATE = 0
    settings.OCPP_CLOSE_TIMEOUT = 0.1


def identities() -> list[str]:
    return list(ChargePoint.objects.values_list("pk", flat=True))


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


accounts = st.builds(
    lambda text: b"Basic " + base64.b64encode(text),
    st.one_of(st.binary(max_size=60), odd.texts.map(lambda text: f"{text}:{text}".encode("utf-8", "replace"))),
)
paths = odd.targets(
    st.sampled_from(
        [
            b"/ws/ocpp/",
            b"/",
            b"",
            b"//ws//ocpp//",
            b"/healthz",
            b"/metrics",
            b"/ws/ocpp",
            b"*",
            b"ws://localhost/ws/ocpp/",
        ]
    ),
    odd.segments,
)
handshake_headers = st.lists(
    st.one_of(odd.handshake_header, accounts.map(lambda value: (b"Authorization", value))), max_size=3
)


async def test_odd_handshakes_of_stations_are_answered(server: OcppServer, caplog: pytest.LogCaptureFixture) -> None:
    @fuzzed(40)
    @given(
        st.one_of(st.just(b"GET"), odd.methods),
        paths,
        handshake_headers,
        st.lists(st.sampled_from([name for name, _ in wire.UPGRADE]), max_size=1),
    )
    def ask(method: bytes, target: bytes, headers: Sequence[Header], missing: Sequence[bytes]) -> None:
        own = [
            each for each in (HOST, *wire.UPGRADE, (b"Sec-WebSocket-Protocol", b"ocpp1.6")) if each[0] not in missing
        ]
        answer = wire.ask(server.port, wire.request(method, target, [*wire.without(own, headers), *headers]))
        assert answer.status in (
            STATUSES if target.partition(b"?")[0] not in (b"/healthz", b"/metrics") else (200, *STATUSES)
        ), answer
        assert not failures(caplog)

    await asyncio.to_thread(ask)

    for identity in await query_in_thread(identities):
        assert identity == clean(identity).strip()
        assert 0 < len(identity) <= IDENTITY_LENGTH


async def test_an_odd_account_opens_no_station_that_has_a_key(
    server: OcppServer, caplog: pytest.LogCaptureFixture
) -> None:
    def make() -> None:
        ChargePoint.objects.create(chargepoint_id=LOCKED, security_profile=1, key_hash=stations.hash_key(KEY))

    await query_in_thread(make)
    odd_accounts = st.one_of(
        accounts,
        st.binary(max_size=40).map(lambda key: b"Basic " + base64.b64encode(LOCKED.encode() + b":" + key)),
        st.sampled_from([KEY[:-1], KEY + b"x", KEY + b"\0", KEY[::-1], b"\0" + KEY, b""]).map(
            lambda key: b"Basic " + base64.b64encode(LOCKED.encode() + b":" + key)
        ),
        st.binary(max_size=40).map(lambda raw: b"Basic " + raw.translate(None, b"\r\n")),
    )

    @fuzzed(30)
    @given(
        st.lists(odd_accounts, max_size=2),
        st.sampled_from([b"LOCKED", b"locked", b"%4cOCKED", b"LOCKED/", b"x/LOCKED", b"%20LOCKED", b"LOCKED?x=LOCKED"]),
    )
    def ask(values: Sequence[bytes], path: bytes) -> None:
        headers = [HOST, *wire.UPGRADE, *((b"Authorization", value) for value in values)]
        answer = wire.ask(server.port, wire.request(b"GET", b"/ws/ocpp/" + path, headers))
        assert answer.status in (CUT, 400, 401, 431), answer
        assert not failures(caplog)

    await asyncio.to_thread(ask)


async def test_a_station_that_sends_odd_frames_is_served_or_closed(
    server: OcppServer, caplog: pytest.LogCaptureFixture
) -> None:
    @fuzzed(25)
    @given(st.lists(odd.frames, max_size=5))
    def send(frames: Sequence[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", server.port), wire.PATIENCE) as connection:
            headers = [HOST, *wire.UPGRADE, (b"Sec-WebSocket-Protocol", b"ocpp1.6")]
            wire.upgrade(connection, wire.request(b"GET", b"/ws/ocpp/CP1", headers))
            wire.exchange(connection, [*frames, wire.frame(wire.CLOSE, b"\x03\xe8")])
        assert not failures(caplog)

    await asyncio.to_thread(send)


async def test_a_handshake_that_ends_too_early_leaves_nothing(
    server: OcppServer, caplog: pytest.LogCaptureFixture
) -> None:
    @fuzzed(20)
    @given(st.integers(0, 300), st.booleans())
    def leave(length: int, reset: bool) -> None:
        raw = wire.request(b"GET", b"/ws/ocpp/CP1", [HOST, *wire.UPGRADE])
        with socket.create_connection(("127.0.0.1", server.port), wire.PATIENCE) as connection:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            connection.sendall(raw[: length % len(raw)])
        assert wire.ask(server.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        assert not failures(caplog)

    await asyncio.to_thread(leave)

    assert await query_in_thread(identities) == []
