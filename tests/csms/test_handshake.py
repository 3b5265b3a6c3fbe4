"""Who may connect, under which name, and with which version (OCPP-J 1.6 section 3)."""

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import websockets
from pytest_django.fixtures import Settings
from websockets.datastructures import Headers

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, Deviation
from chargers.services import stations
from csms.server import BadIdentity, OcppServer, credentials_of, identity_of, offered_versions
from tests.csms.conftest import Query
from tests.csms.raw import exchange
from tests.simulator.v16 import Station16

KEY = "0123456789abcdef0123456789abcdef01234567"


def register(identity: str, *, key: str = "", profile: SecurityProfile = SecurityProfile.NONE) -> ChargePoint:
    return ChargePoint.objects.create(
        chargepoint_id=identity,
        security_profile=profile,
        key_hash=stations.hash_key(key.encode()) if key else "",
    )


def identities() -> list[str]:
    return list(ChargePoint.objects.values_list("pk", flat=True))


def connected(identity: str) -> bool:
    return bool(ChargePoint.objects.with_connected(datetime.now(UTC)).get(pk=identity).connected)


async def status_of(station: Station16) -> int:
    """Connect and say with which HTTP status the handshake ended."""
    try:
        async with station:
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


# Identity


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/ws/ocpp/CP1", "CP1"),
        ("/ws/ocpp/RDAM%20123", "RDAM 123"),
        ("/ws/ocpp/GaroCS-49.a_b~c", "GaroCS-49.a_b~c"),
        ("/ws/ocpp/L%C3%A4den%E2%82%AC", "Läden€"),
        ("/ws/ocpp/a%2Fb", "a/b"),
        ("/ws/ocpp/a%252Fb", "a%2Fb"),
        ("/ws/ocpp/a+b", "a+b"),
        ("/ws/ocpp/100%", "100%"),
        ("/ws/ocpp/%20CP1%20", "CP1"),
        ("/ws/ocpp/CP1/", "CP1"),
        ("/ws/ocpp//CP1", "CP1"),
        ("//ws//ocpp//CP1//", "CP1"),
        ("/ws/ocpp/CP1/CP1", "CP1"),
        ("/ws/ocpp/4/CP1", "CP1"),
        ("/other/CP1", "CP1"),
        ("/CP1", "CP1"),
        ("/ws/ocpp/ocpp", "ocpp"),
        ("/ws/ocpp/CP1?token=x/y", "CP1"),
        ("/ws/ocpp/" + "x" * 255, "x" * 255),
        ("/ws/ocpp/" + quote("ß" * 255), "ß" * 255),
    ],
)
def test_the_identity_is_the_last_part_of_the_path_decoded_once(path: str, identity: str) -> None:
    assert identity_of(path, "somebody else") == identity


@pytest.mark.parametrize("path", ["/ws/ocpp", "/ws/ocpp/", "/ws/ocpp//", "//ws/ocpp/?x", "/", ""])
def test_a_path_without_an_identity_leaves_it_to_the_user_name(path: str) -> None:
    assert identity_of(path, "CP1") == identity_of(path, " CP1 ") == "CP1"
    for nobody in ("", " "):
        with pytest.raises(BadIdentity):
            identity_of(path, nobody)


@pytest.mark.parametrize(
    "part",
    ["x" * 256, quote("ä" * 256), "CP%001", "CP%0A1", "CP%7F", "%C3%28", "%ED%A0%80", "%20"],
)
def test_an_identity_that_no_database_keeps_is_refused(part: str) -> None:
    with pytest.raises(BadIdentity):
        identity_of(f"/ws/ocpp/{part}", "")


def test_a_prefix_of_ones_own_is_no_identity(settings: Settings) -> None:
    settings.OCPP_PATH = "/ocpp/16"
    assert identity_of("/ocpp/16/CP1", "") == "CP1"
    with pytest.raises(BadIdentity):
        identity_of("/ocpp/16/", "")


async def test_stations_connect_under_whatever_name_their_url_has(server: OcppServer, url: str, query: Query) -> None:
    odd = ["a/b", "RDAM 123", "Läden€", "100%", "y" * 255]
    for identity in odd:
        async with Station16(url, identity) as station:
            await station.heartbeat()
    for address in ("CP1/", "/CP2", "CP3/CP3"):
        async with Station16(url, "", address=f"{url}/{address}") as station:
            await station.heartbeat()
    assert sorted(await query(identities)) == sorted([*odd, "CP1", "CP2", "CP3"])


async def test_a_station_without_identity_in_its_url_is_who_its_user_name_says(url: str, query: Query) -> None:
    async with Station16(url, "CP1", address=f"{url}/", password="") as station:
        await station.heartbeat()
    assert await query(identities) == ["CP1"]


async def test_a_handshake_that_names_no_station_gets_404_and_registers_nobody(
    server: OcppServer, url: str, query: Query
) -> None:
    for path in ("", "/", "/%00", "/%FF", "/" + "z" * 256):
        async with exchange(server.port, f"/ws/ocpp{path}") as reply:
            assert reply.status == 404, path
    assert await query(identities) == []


async def test_a_path_that_is_no_url_is_not_answered_and_registers_nobody(server: OcppServer, query: Query) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        async with exchange(server.port, "/ws/ocpp/Säule"):
            pass
    assert await query(identities) == []


async def test_an_identity_in_another_case_is_the_same_station(url: str, query: Query) -> None:
    async with Station16(url, "Garo-CS49") as first, Station16(url, "GARO-cs49") as second:
        await first.wait_closed()
        await second.heartbeat()
    assert await query(identities) == ["Garo-CS49"]


# Subprotocol


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["ocpp1.6"], ["ocpp1.6"]),
        (["ocpp1.6, ocpp1.5"], ["ocpp1.6", "ocpp1.5"]),
        ([",ocpp2.0.1"], ["ocpp2.0.1"]),
        ([" ocpp1.6 ,, "], ["ocpp1.6"]),
        (["ocpp1.5", "ocpp1.6"], ["ocpp1.5", "ocpp1.6"]),
        ([""], []),
        ([], []),
    ],
)
def test_blanks_in_the_list_of_subprotocols_are_overlooked(lines: list[str], names: list[str]) -> None:
    assert offered_versions(Headers([("Sec-WebSocket-Protocol", line) for line in lines])) == names


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("ocpp1.6", "ocpp1.6"),
        ("ocpp1.5, ocpp1.6", "ocpp1.6"),
        ("ocpp1.6,ocpp1.5", "ocpp1.6"),
        (",,ocpp1.6 , ", "ocpp1.6"),
        ("OCPP1.6", "OCPP1.6"),
        ("soap, Ocpp1.6", "Ocpp1.6"),
    ],
)
async def test_the_version_in_common_is_answered_as_the_station_spelt_it(
    server: OcppServer, offered: str, chosen: str
) -> None:
    async with exchange(server.port, "/ws/ocpp/CP1", headers={"Sec-WebSocket-Protocol": offered}) as reply:
        assert reply.status == 101
        assert reply.headers["sec-websocket-protocol"] == chosen


@pytest.mark.parametrize("validation", ["tolerant", "strict"])
async def test_no_version_in_common_is_answered_without_one_and_closed(
    server: OcppServer, query: Query, settings: Settings, validation: str
) -> None:
    settings.OCPP_VALIDATION = validation
    async with exchange(server.port, "/ws/ocpp/CP1", headers={"Sec-WebSocket-Protocol": "ocpp1.2, ocpp1.5"}) as reply:
        assert reply.status == 101
        assert "sec-websocket-protocol" not in reply.headers
        assert await reply.close_code() == 1002
    assert not await query(lambda: connected("CP1"))


async def test_a_station_that_names_no_version_speaks_1_6(server: OcppServer, url: str, query: Query) -> None:
    async with Station16(url, "CP1", subprotocols=()) as station:
        assert station.subprotocol is None
        assert (await station.boot())["status"] == "Accepted"
        assert (await query(lambda: ChargePoint.objects.get())).ocpp_version == "ocpp1.6"


async def test_a_station_that_names_no_version_is_closed_in_strict_mode(
    server: OcppServer, url: str, settings: Settings
) -> None:
    settings.OCPP_VALIDATION = "strict"
    async with Station16(url, "CP1", subprotocols=()) as station:
        assert (await station.wait_closed())[0] == 1002


# Registration


async def test_an_unknown_station_is_registered_when_it_connects(station: Station16, query: Query) -> None:
    await station.heartbeat()
    assert await query(identities) == ["CP1"]
    assert await query(lambda: connected("CP1"))


async def test_with_preregistration_an_unknown_station_gets_404_and_a_known_one_connects(
    server: OcppServer, url: str, query: Query, settings: Settings
) -> None:
    settings.OCPP_PREREGISTRATION = True
    await query(lambda: register("CP1"))
    assert await status_of(Station16(url, "CP2")) == 404
    async with Station16(url, "cp1") as station:
        await station.heartbeat()
    assert await query(identities) == ["CP1"]


# Credentials


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("", None)),
        ("", ("", None)),
        (basic(b"CP1:secret"), ("CP1", b"secret")),
        (basic(b"CP1:se:cret"), ("CP1", b"se:cret")),
        (basic(b"CP1:"), ("CP1", b"")),
        (basic(b"CP1"), ("CP1", b"")),
        (basic(b"CP1:\xff\xfe\x00"), ("CP1", b"\xff\xfe\x00")),
        (basic("Säule:x".encode()), ("Säule", b"x")),
        (basic(b"CP1:secret").replace("Basic", "bAsIc"), ("CP1", b"secret")),
        ("Basic ???", ("", b"")),
        ("Basic QQ", ("", None)),
        ("Basic Säule", ("", None)),
        ("Bearer Q1AxOnNlY3JldA==", ("", None)),
    ],
)
def test_credentials_are_read_from_whatever_header_there_is(
    value: str | None, expected: tuple[str, bytes | None]
) -> None:
    assert credentials_of(Headers({"Authorization": value} if value is not None else {})) == expected


async def test_a_station_of_profile_1_needs_its_key(url: str, query: Query) -> None:
    await query(lambda: register("CP1", key=KEY, profile=SecurityProfile.BASIC))
    presented: dict[Any, int] = {
        KEY: 101,
        bytes.fromhex(KEY): 101,
        KEY.upper(): 101,
        KEY[:-1] + "8": 401,
        b"\xff\xfe": 401,
        "": 401,
        None: 401,
    }
    assert {key: await status_of(Station16(url, "CP1", password=key)) for key in presented} == presented


async def test_a_refusal_for_a_wrong_key_says_how_to_log_in_and_marks_nobody_online(
    server: OcppServer, query: Query
) -> None:
    await query(lambda: register("CP1", key=KEY, profile=SecurityProfile.BASIC))
    for header in (basic(b"CP1:wrong"), "Basic Säule", "Basic"):
        async with exchange(server.port, "/ws/ocpp/CP1", headers={"Authorization": header}) as reply:
            assert reply.status == 401
            assert reply.headers["www-authenticate"].startswith("Basic ")
            assert KEY.encode() not in await reply.rest()
    assert not await query(lambda: connected("CP1"))


async def test_a_wrong_key_does_not_take_over_a_station_that_is_connected(url: str, query: Query) -> None:
    await query(lambda: register("CP1", key=KEY, profile=SecurityProfile.BASIC))
    async with Station16(url, "CP1", password=KEY) as station:
        assert await status_of(Station16(url, "CP1", password="wrong")) == 401
        await station.heartbeat()


async def test_without_profile_1_a_key_may_be_left_out_but_not_be_wrong(url: str, query: Query) -> None:
    await query(lambda: register("CP1", key=KEY))
    await query(lambda: register("CP2"))
    answers = {
        ("CP1", None): 101,
        ("CP1", ""): 101,
        ("CP1", KEY): 101,
        ("CP1", "wrong"): 401,
        ("CP2", "anything"): 101,
    }
    assert {(who, key): await status_of(Station16(url, who, password=key)) for who, key in answers} == answers


# What is no handshake


@pytest.mark.parametrize("without", [["Connection"], ["Upgrade"], ["Connection", "Upgrade"]])
async def test_a_handshake_without_its_upgrade_headers_is_completed_and_noted(
    server: OcppServer, query: Query, without: list[str]
) -> None:
    async with exchange(server.port, "/ws/ocpp/CP1", without=without, headers={"X": "keep-alive"}) as reply:
        assert reply.status == 101
        await server.report()
    noted = await query(lambda: list(Deviation.objects.values_list("chargepoint", "kind", "count")))
    assert noted == [("CP1", "upgrade-header-missing", 1)]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_a_plain_http_request_is_told_to_upgrade_and_registers_nobody(
    server: OcppServer, query: Query, method: str
) -> None:
    for path in ("/ws/ocpp/CP1", "/favicon.ico", "/"):
        plain = ["Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"]
        async with exchange(server.port, path, without=plain, method=method) as reply:
            assert reply.status == 426
            assert reply.headers["upgrade"] == "websocket"
    assert await query(identities) == []


@pytest.mark.parametrize(
    ("change", "status"),
    [({"Sec-WebSocket-Version": "8"}, 400), ({"Sec-WebSocket-Version": "13, 8"}, 400), ({"method": "POST"}, 405)],
)
async def test_a_handshake_that_is_none_is_refused_and_registers_nobody(
    server: OcppServer, query: Query, change: dict[str, str], status: int
) -> None:
    method = change.pop("method", "GET")
    async with exchange(server.port, "/ws/ocpp/CP1", headers=change, method=method) as reply:
        assert reply.status == status
    assert await query(identities) == []


@pytest.fixture
def short_handshake(settings: Settings) -> None:
    settings.OCPP_HANDSHAKE_TIMEOUT = 0.2


@pytest.mark.usefixtures("short_handshake")
async def test_a_connection_that_says_nothing_is_closed_and_others_are_served(server: OcppServer, url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    second_reader, second_writer = await asyncio.open_connection("127.0.0.1", server.port)
    second_writer.write(b"GET /ws/ocpp/CP1 HTTP/1.1\r\nHost: x\r\n")
    async with Station16(url, "CP1") as station:
        await station.heartbeat()
        async with asyncio.timeout(5):
            assert await reader.read() == b""
            assert await second_reader.read() == b""
        await station.heartbeat()
    writer.close()
    second_writer.close()


async def test_rubbish_in_place_of_a_handshake_closes_that_connection_only(server: OcppServer, url: str) -> None:
    async with Station16(url, "CP1") as station:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
        await station.heartbeat()
