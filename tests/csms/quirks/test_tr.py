"""Transport and handshake as real stations do it: the group TR of the habits that docs/quirks.md lists."""

import asyncio
import contextlib
import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import websockets
from pytest_django.fixtures import Settings

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, Deviation
from chargers.services import stations
from csms.server import OcppServer
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.raw import Reply, exchange
from tests.csms.waiting import until
from tests.simulator.station import Disconnected, Station
from tests.simulator.v16 import Station16

HEARTBEAT = b'[2,"1","Heartbeat",{}]'


def client_frame(payload: bytes, first: int = 0x81) -> bytes:
    """Build a short text frame, masked with zeros; `first` is its first byte."""
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


async def next_message(reply: Reply) -> Any:
    async with asyncio.timeout(5):
        first, length = await reply.reader.readexactly(2)
        assert first == 0x81
        return json.loads(await reply.reader.readexactly(length))


async def metric(server: OcppServer, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{server.port}/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def identities() -> list[str]:
    return list(ChargePoint.objects.values_list("pk", flat=True))


def connected(identity: str = "CP1") -> bool:
    return bool(ChargePoint.objects.with_connected(datetime.now(UTC)).get(pk=identity).connected)


def noted() -> dict[str, str]:
    return dict(Deviation.objects.values_list("kind", "example"))


@pytest.mark.parametrize("header", [{}, {"Connection": "keep-alive"}, {"Connection": "close"}])
async def test_tr_01_a_handshake_without_upgrade_is_served_all_the_same(
    server: OcppServer, query: Query, header: dict[str, str]
) -> None:
    async with exchange(server.port, "/ws/ocpp/CP1", without=["Connection"], headers=header) as reply:
        assert reply.status == 101
        reply.writer.write(client_frame(HEARTBEAT))
        assert (await next_message(reply))[:2] == [3, "1"]
    await server.report()
    assert "upgrade-header-missing" in await query(noted)


async def test_tr_02_a_station_that_names_no_version_speaks_1_6_and_is_named_none(
    server: OcppServer, url: str, query: Query
) -> None:
    async with Station16(url, "CP1", subprotocols=()) as station:
        assert (await station.boot())["status"] == "Accepted"
        assert station.subprotocol is None
    await server.report()
    assert "subprotocol-missing" in await query(noted)


async def test_tr_02_a_station_that_names_no_version_speaks_the_one_on_record(url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", ocpp_version="ocpp2.0.1"))
    boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "Acme", "model": "One"}}
    async with Station(url, "CP1") as station:
        assert (await station.call("BootNotification", boot))["status"] == "Accepted"
        assert station.subprotocol is None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("ocpp1.6, ocpp1.5", "ocpp1.6"),
        ("ocpp1.5,  ocpp1.6", "ocpp1.6"),
        (",ocpp2.0.1", "ocpp2.0.1"),
        ("ocpp2.0.1,,ocpp1.6,", "ocpp2.0.1"),
        ("OCPP2.0.1", "OCPP2.0.1"),
        ("ocpp1.6J, ocpp1.6", "ocpp1.6"),
    ],
)
async def test_tr_03_blanks_and_empty_names_in_the_list_are_overlooked(
    server: OcppServer, offered: str, chosen: str
) -> None:
    async with exchange(server.port, "/ws/ocpp/CP1", headers={"Sec-WebSocket-Protocol": offered}) as reply:
        assert (reply.status, reply.headers["sec-websocket-protocol"]) == (101, chosen)


async def test_tr_04_a_station_may_change_its_version_from_one_connection_to_the_next(url: str, query: Query) -> None:
    for version in ("ocpp1.6", "ocpp2.0.1", "ocpp1.6"):
        async with Station(url, "CP1", subprotocols=(version,)) as station:
            assert station.subprotocol == version
            await station.call("Heartbeat")
            assert (await query(lambda: ChargePoint.objects.get())).ocpp_version == version
    assert await query(identities) == ["CP1"]


@pytest.mark.parametrize("path", ["/CP1", "/CP1/", "//CP1", "/CP1/CP1", "/%43P1", "/%20CP1", "/CP1?x=/y"])
async def test_tr_05_whatever_is_appended_the_station_is_the_same(url: str, query: Query, path: str) -> None:
    async with Station16("", "", address=url + path) as station:
        await station.heartbeat()
    assert await query(identities) == ["CP1"]


async def test_tr_05_without_an_id_the_user_name_names_the_station(url: str, query: Query) -> None:
    async with Station16("", "CP1", address=f"{url}/", password="anything") as station:
        await station.heartbeat()
    assert await query(identities) == ["CP1"]
    with pytest.raises(websockets.InvalidStatus, match="404"):
        await Station16("", "", address=f"{url}/").connect()


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/4/CBI-1625302527208", "CBI-1625302527208"),
        ("/steve/websocket/CentralSystemService/CP1", "CP1"),
        ("/a%2Fb", "a/b"),
        ("/RDAM%20123", "RDAM 123"),
        ("/a%252Fb", "a%2Fb"),
    ],
)
async def test_tr_06_the_last_part_of_the_path_is_the_identity_decoded_once(
    url: str, query: Query, path: str, identity: str
) -> None:
    async with Station16("", "", address=url + path) as station:
        await station.heartbeat()
    assert await query(identities) == [identity]


async def test_tr_06_a_prefix_can_be_set(server: OcppServer, query: Query, settings: Settings) -> None:
    settings.OCPP_PATH = "/steve/websocket/CentralSystemService"
    address = f"ws://127.0.0.1:{server.port}{settings.OCPP_PATH}"
    async with Station16("", "", address=f"{address}/CP1") as station:
        await station.heartbeat()
    with pytest.raises(websockets.InvalidStatus, match="404"):
        await Station16("", "", address=address).connect()
    assert await query(identities) == ["CP1"]


@pytest.mark.parametrize("identity", ["GaroCS-49_a", "HKW.WB07", "évse~1:2", "*EN+*", "x" * 255])
async def test_tr_07_an_identity_keeps_its_spelling_and_is_known_in_any_case(
    url: str, query: Query, identity: str
) -> None:
    for spelt in (identity, identity.upper(), identity.lower()):
        async with Station16(url, spelt) as station:
            await station.heartbeat()
    assert await query(identities) == [identity]


@pytest.fixture
def quick_pings(settings: Settings) -> None:
    """A platform that looks after its connections all the time; to be used before it starts."""
    settings.OCPP_PING_INTERVAL = 0.05
    settings.OCPP_PING_TIMEOUT = 0.1


@pytest.mark.usefixtures("quick_pings")
async def test_tr_08_a_station_that_answers_no_pings_stays_connected(url: str) -> None:
    async with Station16(url, "CP1", answers_pings=False) as station:
        # Far longer than a station that does answer them would be given.
        for _ in range(6):
            await asyncio.sleep(0.1)
            await station.heartbeat()


@pytest.mark.usefixtures("quick_pings")
async def test_tr_09_a_heartbeat_that_comes_just_in_time_keeps_the_connection(url: str, settings: Settings) -> None:
    settings.OCPP_HEARTBEAT_INTERVAL = 0.25
    async with Station16(url, "CP1", answers_pings=False) as station:
        for _ in range(4):
            await asyncio.sleep(0.25)
            await station.heartbeat()
        # And then nothing for three times as long.
        assert (await station.wait_closed())[0] == 1001


async def test_tr_10_a_reconnect_while_the_old_socket_is_open_takes_over(
    station: Station16, url: str, query: Query
) -> None:
    await station.heartbeat()
    station.freeze()
    async with Station16(url, "CP1") as newer:
        await newer.heartbeat()
        await station.drop()
        await newer.heartbeat()
        assert await query(connected)
        command = await operator.perform("ClearCache")
        assert (command.status, [call.action for call in newer.calls]) == ("answered", ["ClearCache"])


async def test_tr_10_whoever_has_no_key_takes_nothing_over(station: Station16, url: str, query: Query) -> None:
    await station.heartbeat()
    await query(
        lambda: ChargePoint.objects.update(
            security_profile=SecurityProfile.BASIC, key_hash=stations.hash_key(b"0123456789abcdef")
        )
    )
    with pytest.raises(websockets.InvalidStatus, match="401"):
        await Station16(url, "CP1", password="wrong").connect()
    await station.heartbeat()


async def test_tr_11_a_reserved_bit_closes_the_connection_and_lets_the_station_in_again(
    server: OcppServer, url: str, query: Query
) -> None:
    async with Station16(url, "CP2") as other:
        for _ in range(2):
            async with exchange(server.port, "/ws/ocpp/CP1") as reply:
                reply.writer.write(client_frame(HEARTBEAT, first=0xC1))
                assert await reply.close_code() == 1002
        async with Station16(url, "CP1") as station:
            await station.heartbeat()
        await other.heartbeat()
    await server.report()
    deviation = await query(lambda: Deviation.objects.get(chargepoint="CP1"))
    assert (deviation.kind, deviation.count) == ("websocket-broken", 2)


KEY = "00ff102030405060708090a0b0c0d0e0f0fffefd"


@pytest.mark.parametrize("presented", [KEY, KEY.upper(), bytes.fromhex(KEY)], ids=["text", "upper case", "bytes"])
async def test_tr_12_a_key_may_come_as_text_or_as_its_bytes(url: str, query: Query, presented: str | bytes) -> None:
    await query(
        lambda: ChargePoint.objects.create(
            chargepoint_id="CP1", security_profile=SecurityProfile.BASIC, key_hash=stations.hash_key(KEY.encode())
        )
    )
    async with Station16(url, "CP1", password=presented) as station:
        await station.heartbeat()


async def test_tr_12_an_empty_password_is_none(url: str, query: Query) -> None:
    async with Station16(url, "CP1", password="") as station:
        await station.heartbeat()
    await query(lambda: ChargePoint.objects.update(key_hash=stations.hash_key(KEY.encode())))
    async with Station16(url, "CP1", password="") as station:
        await station.heartbeat()
    await query(lambda: ChargePoint.objects.update(security_profile=SecurityProfile.BASIC))
    with pytest.raises(websockets.InvalidStatus, match="401"):
        await Station16(url, "CP1", password="").connect()


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"\x16\x03\x01\x02", b"GET", b"GET /ws/ocpp/CP1 HTTP/1.1\r\nrubbish\r\n\r\n"]
)
async def test_tr_13_a_connection_without_a_request_is_counted_and_nothing_else(
    server: OcppServer, station: Station16, query: Query, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    count = 'ocpp_handshakes_total{result="no request"}'
    before = await metric(server, count)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    async with asyncio.timeout(5):
        while await metric(server, count) == before:
            await asyncio.sleep(0.01)
    await station.heartbeat()
    assert await query(identities) == ["CP1"]
    ours = [record for record in caplog.records if record.name.split(".")[0] in ("csms", "asyncio")]
    assert [record.message for record in ours if record.levelno >= logging.WARNING] == []


@pytest.mark.usefixtures("quick_pings")
async def test_tr_14_a_connection_is_never_closed_to_refresh_it(station: Station16) -> None:
    for _ in range(5):
        await asyncio.sleep(0.1)
        await station.heartbeat()


async def test_tr_14_a_restart_tells_stations_to_come_back_at_once(
    transactional_db: None, redis_settings: str, query: Query
) -> None:
    async with OcppServer("127.0.0.1", 0) as server:
        station = Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1")
        await station.connect()
        await station.heartbeat()
    assert (await station.wait_closed())[0] == 1012
    with pytest.raises(Disconnected):
        await station.heartbeat()
    await until(lambda: not connected())
