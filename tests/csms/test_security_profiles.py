"""Who is let in under which security profile, and how a station gets a higher one (security whitepaper 2.1 to 2.5, A05)."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets
from pytest_django.fixtures import Settings

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, SecurityEvent
from chargers.services import stations
from csms.server import OcppServer
from tasks.models import Command
from tasks.schemas import InvalidBody
from tests.certificates import Authority
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.raw import exchange
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16

KEY = "00112233445566778899aabbccddeeff00112233"
SERIAL = "SN-4711"


# The loop that the csms runs on, since TLS is a matter of the loop.
LOOP = uvloop.new_event_loop


@pytest.fixture
def url(tls_server: OcppServer) -> str:
    return f"ws://127.0.0.1:{tls_server.port}/ws/ocpp"


@pytest.fixture
def ways(url: str, wss: str, authority: Authority) -> Mapping[str, Station16]:
    """CP1, as it connects with more and less proof of who it is."""

    def tls(name: str = "", **more: Any) -> ssl.SSLContext:
        return authority.trusting(authority.station(name, **more) if name else None)

    def station(endpoint: str, **options: Any) -> Station16:
        return Station16(endpoint, "CP1", **options)

    return {
        "plain": station(url),
        "plain, key": station(url, password=KEY),
        "plain, wrong key": station(url, password="wrong"),
        "TLS": station(wss, ssl=tls()),
        "TLS, key": station(wss, ssl=tls(), password=KEY),
        "TLS, wrong key": station(wss, ssl=tls(), password="wrong"),
        "certificate": station(wss, ssl=tls("CP1", organization="Operator Ltd")),
        "certificate of its serial number": station(wss, ssl=tls(SERIAL, organization="Operator Ltd")),
        "certificate of another station": station(wss, ssl=tls("CP2", organization="Operator Ltd")),
        "certificate of another operator": station(wss, ssl=tls("CP1", organization="Rival Ltd")),
        "certificate of another station, key": station(wss, ssl=tls("CP2"), password=KEY),
        "certificate, wrong key": station(wss, ssl=tls("CP1", organization="Operator Ltd"), password="wrong"),
    }


@pytest.fixture(autouse=True)
def operator_name(settings: Settings) -> None:
    settings.CPO_NAME = "Operator"


def register(profile: int = 0, **members: Any) -> ChargePoint:
    known = {"key_hash": stations.hash_key(KEY.encode()), "chargepoint_serial_number": SERIAL}
    return ChargePoint.objects.create(chargepoint_id="CP1", security_profile=profile, **{**known, **members})


def profile() -> tuple[int, int | None]:
    """Return the station's security profile and the one it was told to use."""
    row = ChargePoint.objects.get()
    return row.security_profile, row.proposed_security_profile


async def status_of(station: Station16) -> int:
    """Connect and say with which HTTP status the handshake ended."""
    try:
        async with station:
            await station.heartbeat()
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


# What each profile demands


EXPECTED = {
    "plain": (101, 401, 403, 403),
    "plain, key": (101, 101, 403, 403),
    "plain, wrong key": (401, 401, 403, 403),
    "TLS": (101, 401, 401, 403),
    "TLS, key": (101, 101, 101, 403),
    "TLS, wrong key": (401, 401, 401, 403),
    "certificate": (101, 101, 101, 101),
    "certificate of its serial number": (101, 101, 101, 101),
    "certificate of another station": (101, 401, 401, 403),
    "certificate of another operator": (101, 401, 401, 403),
    "certificate of another station, key": (101, 101, 101, 403),
    "certificate, wrong key": (101, 101, 101, 101),
}


@pytest.mark.parametrize("profile", SecurityProfile)
async def test_a_connection_with_less_than_the_stations_profile_is_refused(
    ways: Mapping[str, Station16], query: Query, profile: SecurityProfile
) -> None:
    await query(lambda: register(profile))
    statuses = {way: await status_of(station) for way, station in ways.items()}
    assert statuses == {way: expected[profile] for way, expected in EXPECTED.items()}


@pytest.mark.parametrize("profile", SecurityProfile)
async def test_what_is_demanded_of_all_is_demanded_of_each(
    ways: Mapping[str, Station16], query: Query, settings: Settings, profile: SecurityProfile
) -> None:
    settings.OCPP_MIN_SECURITY_PROFILE = profile
    await query(lambda: register(SecurityProfile.BASIC))
    demanded = max(profile, SecurityProfile.BASIC)
    statuses = {way: await status_of(station) for way, station in ways.items()}
    assert statuses == {way: expected[demanded] for way, expected in EXPECTED.items()}


async def test_a_station_nobody_knows_is_registered_only_with_what_is_demanded_of_all(
    ways: Mapping[str, Station16], query: Query, settings: Settings
) -> None:
    settings.OCPP_MIN_SECURITY_PROFILE = SecurityProfile.BASIC
    refused = ["plain", "plain, key", "TLS, key", "certificate of another station"]
    assert {way: await status_of(ways[way]) for way in refused} == dict.fromkeys(refused, 401)
    assert not await query(lambda: ChargePoint.objects.exists() or SecurityEvent.objects.exists())
    assert await status_of(ways["certificate"]) == 101
    assert await query(lambda: ChargePoint.objects.get().pk) == "CP1"


async def test_a_refusal_asks_for_a_key_only_where_one_would_help(
    tls_server: OcppServer, query: Query, authority: Authority
) -> None:
    await query(lambda: register(SecurityProfile.TLS_BASIC))
    async with exchange(tls_server.port, "/ws/ocpp/CP1") as reply:
        assert (reply.status, reply.headers.get("www-authenticate")) == (403, None)
        assert b"security profile 2 is demanded, and this is no TLS connection" in await reply.rest()
    async with exchange(tls_server.tls_port, "/ws/ocpp/CP1", tls=authority.trusting()) as reply:
        assert (reply.status, reply.headers["www-authenticate"].split(" ")[0]) == (401, "Basic")
        assert b"the key is missing" in await reply.rest()


@pytest.mark.parametrize("validation", ["tolerant", "strict"])
async def test_in_strict_mode_a_key_under_another_name_is_none(
    url: str, query: Query, settings: Settings, validation: str
) -> None:
    settings.OCPP_VALIDATION = validation
    await query(lambda: register(SecurityProfile.BASIC))
    statuses = {
        name: await status_of(Station16("", name, address=f"{url}/CP1", password=KEY)) for name in ("cp1", "CP2", "")
    }
    other = 401 if validation == "strict" else 101
    assert statuses == {"cp1": 101, "CP2": other, "": other}


# What is kept of refusals


async def test_a_station_that_is_refused_again_and_again_leaves_one_event_for_each_reason(
    ways: Mapping[str, Station16], query: Query
) -> None:
    await query(lambda: register(SecurityProfile.TLS_BASIC))
    await asyncio.gather(*[status_of(ways["plain"]) for _ in range(5)])
    for _ in range(3):
        assert await status_of(ways["TLS, wrong key"]) == 401
    events = await query(
        lambda: list(SecurityEvent.objects.order_by("pk").values_list("chargepoint", "type", "tech_info"))
    )
    assert events == [
        (
            "CP1",
            "FailedToAuthenticateAtCsms",
            "127.0.0.1: security profile 2 is demanded, and this is no TLS connection",
        ),
        ("CP1", "FailedToAuthenticateAtCsms", "127.0.0.1: the key is wrong"),
    ]


async def test_the_event_of_a_wrong_certificate_says_whose_it_is(ways: Mapping[str, Station16], query: Query) -> None:
    await query(lambda: register(SecurityProfile.TLS_CERTIFICATE))
    await status_of(ways["certificate of another station"])
    await status_of(ways["certificate of another operator"])
    station, other = await query(lambda: list(SecurityEvent.objects.order_by("pk").values_list("tech_info", flat=True)))
    assert "'CP2' (CN), which is neither the identity nor the serial number of the station" in station
    assert "organization (O)" in other
    assert "'Operator'" in other


async def test_whoever_is_refused_takes_nothing_over(ways: Mapping[str, Station16], query: Query) -> None:
    await query(lambda: register(SecurityProfile.TLS_CERTIFICATE))
    async with ways["certificate"] as station:
        for way in ("plain, key", "TLS, key", "certificate of another station"):
            assert await status_of(ways[way]) == 403
        await station.heartbeat()


# A higher profile (A05)


async def raise_to(value: int, station: Station16, answer: Payload | CallError | None) -> Command:
    """Ask the connected station for a higher profile; return how that ended."""
    await station.heartbeat()
    station.answers["ChangeConfiguration"] = answer
    command_id = await operator.ask("ChangeConfiguration", {"key": "SecurityProfile", "value": str(value)})
    await station.expect_call("ChangeConfiguration")
    if answer is None:
        await station.drop()
    return await operator.end_of(command_id)


UPGRADES = [
    (0, 1, "plain", "plain, key"),
    (1, 2, "plain, key", "TLS, key"),
    (1, 3, "plain, key", "certificate"),
    (2, 3, "TLS, key", "certificate of its serial number"),
]


@pytest.mark.parametrize(("old", "new", "before", "after"), UPGRADES)
async def test_a_station_that_has_connected_with_its_higher_profile_cannot_go_back(
    ways: Mapping[str, Station16], query: Query, old: int, new: int, before: str, after: str
) -> None:
    await query(lambda: register(old))
    async with ways[before] as station:
        assert (await raise_to(new, station, {"status": "Accepted"})).response == {"status": "Accepted"}
    assert await query(profile) == (old, new)
    assert await status_of(ways[after]) == 101
    assert await query(profile) == (new, None)
    assert await status_of(ways[before]) in (401, 403)
    assert await status_of(ways[after]) == 101


async def test_a_station_that_cannot_connect_with_its_higher_profile_falls_back_and_may_try_again(
    ways: Mapping[str, Station16], query: Query
) -> None:
    await query(lambda: register(1))
    async with ways["plain, key"] as station:
        await raise_to(2, station, {"status": "Accepted"})
    assert await status_of(ways["TLS, wrong key"]) == 401
    assert await status_of(ways["plain, key"]) == 101
    assert await query(profile) == (1, 2)
    assert await status_of(ways["TLS, key"]) == 101
    assert await status_of(ways["plain, key"]) == 403


async def test_more_than_the_higher_profile_is_good_too(ways: Mapping[str, Station16], query: Query) -> None:
    await query(lambda: register(0))
    async with ways["plain"] as station:
        await raise_to(2, station, {"status": "RebootRequired"})
    assert await status_of(ways["certificate"]) == 101
    assert await query(profile) == (2, None)


async def test_a_handshake_without_a_version_in_common_raises_nothing(
    ways: Mapping[str, Station16], wss: str, authority: Authority, query: Query
) -> None:
    await query(lambda: register(1))
    async with ways["plain, key"] as station:
        await raise_to(2, station, {"status": "Accepted"})
    other = Station16(wss, "CP1", ssl=authority.trusting(), password=KEY, subprotocols=["ocpp1.5"])
    await other.connect()
    assert (await other.wait_closed())[0] == 1002
    assert await status_of(ways["plain, key"]) == 101


@pytest.mark.parametrize(
    "answer", [{"status": "Rejected"}, {"status": "NotSupported"}, CallError("InternalError", "no")], ids=str
)
async def test_a_profile_that_the_station_refuses_changes_nothing(
    ways: Mapping[str, Station16], query: Query, answer: Payload | CallError
) -> None:
    await query(lambda: register(1))
    async with ways["plain, key"] as station:
        await raise_to(2, station, answer)
    assert await query(profile) == (1, None)
    assert await status_of(ways["TLS, key"]) == 101
    assert await status_of(ways["plain, key"]) == 101


async def test_after_a_lost_answer_the_station_tells_by_connecting_which_profile_it_has(
    ways: Mapping[str, Station16], query: Query
) -> None:
    await query(lambda: register(1))
    await ways["plain, key"].connect()
    assert (await raise_to(2, ways["plain, key"], None)).status == "offline"
    assert await status_of(ways["plain, key"]) == 101
    assert await status_of(ways["TLS, key"]) == 101
    assert await status_of(ways["plain, key"]) == 403


async def test_a_profile_that_was_never_sent_is_forgotten(ways: Mapping[str, Station16], query: Query) -> None:
    await query(lambda: register(1))
    async with ways["plain, key"] as station:
        await station.heartbeat()
        station.answers["Reset"] = None
        await operator.ask("Reset", {"type": "Soft"})
        await station.expect_call("Reset")
        command_id = await operator.ask("ChangeConfiguration", {"key": "securityprofile", "value": "2"})
    assert (await operator.end_of(command_id)).status == "offline"
    await until(lambda: profile() == (1, None))


async def refused(value: str) -> str:
    with pytest.raises(InvalidBody) as error:
        await operator.ask("ChangeConfiguration", {"key": "SecurityProfile", "value": value})
    ((reason,),) = error.value.fields.values()
    assert error.value.fields.keys() == {"value"}
    return str(reason)


@pytest.mark.parametrize("value", ["", "0", "4", "-1", "2.0", " 2", "two", "\u0662"])
async def test_a_profile_that_is_none_is_refused_before_it_is_sent(
    ways: Mapping[str, Station16], query: Query, value: str
) -> None:
    await query(lambda: register(1))
    async with ways["plain, key"] as station:
        await station.heartbeat()
        assert "1, 2 or 3" in await refused(value)
        assert station.calls == []


async def test_what_the_station_could_not_use_is_refused_before_it_is_sent(
    ways: Mapping[str, Station16], query: Query, settings: Settings, data_dir: Path
) -> None:
    await query(lambda: register(0, key_hash=""))
    async with ways["plain"] as station:
        await station.heartbeat()
        assert "no key" in await refused("1")
        assert "no key" in await refused("2")
        settings.CSMS_TLS_CLIENT_CA = ""
        assert "no certificate authority" in await refused("3")
        settings.CSMS_TLS_CERTIFICATES = []
        assert "no TLS port" in await refused("3")
        await query(lambda: ChargePoint.objects.update(security_profile=1, key_hash=stations.hash_key(KEY.encode())))
        assert "can only raise it" in await refused("1")
        assert "no TLS port" in await refused("2")
        assert station.calls == []
