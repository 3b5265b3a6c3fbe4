"""Failed attempts to connect are slowed and refused, and nobody else is."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping

import pytest
import uvloop
from pytest_django.fixtures import Settings

from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, SecurityEvent
from chargers.services import stations
from csms import attempts
from csms.attempts import Attempts, Pair
from csms.server import OcppServer
from tests.csms.conftest import Query
from tests.csms.raw import exchange
from tests.csms.test_tls import metric
from tests.csms.waiting import until
from tests.simulator.v16 import Station16

LOOP = uvloop.new_event_loop

KEY = "00112233445566778899aabbccddeeff00112233"
LIMIT = 3


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> None:
    settings.OCPP_MAX_FAILED_ATTEMPTS = LIMIT
    settings.OCPP_ATTEMPT_WINDOW = 60
    settings.OCPP_ATTEMPT_DELAY = 4
    settings.OCPP_HANDSHAKE_TIMEOUT = 20


@pytest.fixture
def counted(clock: Clock) -> Attempts:
    made = Attempts()
    made.clock = clock
    return made


def fail(counted: Attempts, pair: Pair, times: int, *, guess: bool = True) -> float:
    """Fail and return the delay of the last answer."""
    return [counted.failed(pair, guess=guess).delay for _ in range(times)][-1]


A1, A2, B1 = Pair("10.0.0.1", "cp1"), Pair("10.0.0.1", "cp2"), Pair("10.0.0.2", "cp1")


def test_a_pair_is_shut_out_at_its_limit_until_its_window_ends(counted: Attempts, clock: Clock) -> None:
    fail(counted, A1, LIMIT - 1)
    clock.now += 20
    assert counted.shut_out(A1) == 0
    assert counted.failed(A1, guess=True).shut_out == 60
    assert counted.shut_out(A1) == 40
    clock.now += 39.5
    assert counted.shut_out(A1) == 1
    clock.now += 0.5
    assert counted.shut_out(A1) == 0
    fail(counted, A1, 1)
    assert counted.shut_out(A1) == 0
    assert counted.unseen == {A1: 2}


def test_a_pair_shuts_out_neither_its_neighbours_nor_its_station_elsewhere(counted: Attempts) -> None:
    fail(counted, A1, LIMIT)
    assert [bool(counted.shut_out(pair)) for pair in (A1, A2, B1)] == [True, False, False]


def test_whoever_proves_himself_begins_anew(counted: Attempts) -> None:
    fail(counted, A1, LIMIT - 1)
    counted.passed(A1)
    fail(counted, A1, LIMIT - 1)
    assert counted.shut_out(A1) == 0


@pytest.mark.parametrize("right", [True, False])
async def test_attempts_that_are_sent_at_once_are_no_way_around_the_limit(counted: Attempts, right: bool) -> None:
    fail(counted, A1, 1)
    async with asyncio.timeout(5):
        assert await counted.turn(A1) == 0
        with counted.under_way(A1), counted.under_way(A1):
            waiting = asyncio.create_task(counted.turn(A1))
            await asyncio.sleep(0)
            assert not waiting.done()
            assert await counted.turn(A2) == 0
            if not right:
                fail(counted, A1, 2)
        assert await waiting == (0 if right else 60)


@pytest.mark.parametrize(("failures", "delay"), [(LIMIT, 0), (LIMIT + 1, 4 / 3), (2 * LIMIT, 4), (50 * LIMIT, 4)])
def test_answers_to_an_address_get_slower_with_its_failures(counted: Attempts, failures: int, delay: float) -> None:
    assert [fail(counted, Pair("10.0.0.1", f"cp{n}"), 1) for n in range(failures)][-1] == pytest.approx(delay)
    assert fail(counted, B1, 1) == 0


@pytest.mark.parametrize(("failures", "delay"), [(LIMIT, 0), (2 * LIMIT, 4)])
def test_answers_for_a_station_get_slower_with_its_failures_anywhere(
    counted: Attempts, failures: int, delay: float
) -> None:
    assert [fail(counted, Pair(f"10.0.0.{n}", "cp1"), 1) for n in range(failures)][-1] == pytest.approx(delay)


def test_no_answer_is_later_than_the_handshake_allows(counted: Attempts, settings: Settings) -> None:
    settings.OCPP_HANDSHAKE_TIMEOUT = 1
    assert fail(counted, A1, 10 * LIMIT) == 0.5


def test_many_stations_that_first_ask_without_a_key_are_not_slowed(counted: Attempts) -> None:
    for number in range(5000):
        pair = Pair("10.0.0.1", f"cp{number}")
        assert counted.shut_out(pair) == 0
        assert fail(counted, pair, 1, guess=False) == 0
        counted.passed(pair)
    assert fail(counted, A1, 1) == 0


def test_zero_switches_all_of_it_off(counted: Attempts, settings: Settings) -> None:
    settings.OCPP_MAX_FAILED_ATTEMPTS = 0
    assert fail(counted, A1, 100) == 0
    assert counted.shut_out(A1) == 0


def test_a_network_of_addresses_is_one_client() -> None:
    assert {Attempts.pair(f"2001:db8::{n:x}", "CP1") for n in (1, 2)} == {Pair("2001:db8::/64", "cp1")}
    assert Attempts.pair("2001:db8:0:1::1", "CP1").address == "2001:db8:0:1::/64"
    assert Attempts.pair(None, "CP1") == Pair("", "cp1")


def test_memory_is_bounded_and_what_is_over_is_forgotten(
    counted: Attempts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_KEPT", 100)
    for number in range(1000):
        fail(counted, Pair(f"10.0.{number // 250}.{number % 250}", f"cp{number}"), 1)
    monkeypatch.setattr(attempts, "MOST_TOLD", 1)
    for pair in (A1, A2, A1):
        fail(counted, pair, LIMIT)
        assert counted.shut_out(pair)
    assert counted.unseen == {A1: 2}
    tallies = (counted._pairs, counted._addresses, counted._stations, counted._logged)
    assert [len(tally) for tally in tallies] == [100] * 4
    clock.now += 61
    fail(counted, A1, 1)
    assert [len(tally) for tally in tallies] == [1] * 4
    assert not counted._under_way


async def test_only_so_many_answers_wait_and_a_drain_lets_them_go(
    counted: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_HELD", 2)
    async with asyncio.timeout(5):
        waiting = [asyncio.create_task(counted.hold(60)) for _ in range(2)]
        await asyncio.sleep(0)
        assert await counted.hold(60) is False
        counted.release()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await counted.hold(60) is True


# Over real sockets


@pytest.fixture
async def node(transactional_db: None, redis_settings: None, query: Query) -> AsyncIterator[OcppServer]:
    def register() -> None:
        for name in ("CP1", "CP2"):
            ChargePoint.objects.create(
                chargepoint_id=name,
                security_profile=SecurityProfile.BASIC,
                key_hash=stations.hash_key(KEY.encode()),
            )

    await query(register)
    async with OcppServer("127.0.0.1", 0) as running:
        yield running


@pytest.fixture
def quick(settings: Settings) -> None:
    """Nothing is held back."""
    settings.OCPP_ATTEMPT_DELAY = 0


def account(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


async def attempt(node: OcppServer, name: str, password: str = "wrong") -> tuple[int, Mapping[str, str]]:
    async with exchange(node.port, f"/ws/ocpp/{name}", headers=account(name, password)) as reply:
        return reply.status, reply.headers


async def statuses(node: OcppServer, name: str, times: int, password: str = "wrong") -> list[int]:
    return [(await attempt(node, name, password))[0] for _ in range(times)]


def events() -> list[tuple[str, int]]:
    return list(SecurityEvent.objects.order_by("pk").values_list("tech_info", "count"))


@pytest.mark.usefixtures("quick")
async def test_a_station_that_fails_too_often_is_told_when_to_come_again_and_its_neighbours_are_served(
    node: OcppServer, clock: Clock, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    node.attempts.clock = clock
    before = await metric(node, 'ocpp_handshakes_total{result="too many attempts"}')
    assert await statuses(node, "CP1", LIMIT + 2) == [401] * LIMIT + [429] * 2
    clock.now += 10
    # The right key is not looked at either.
    status, headers = await attempt(node, "cp1", KEY)
    assert (status, headers["retry-after"]) == (429, "50")
    assert await statuses(node, "CP2", 1, KEY) == [101]
    assert await metric(node, 'ocpp_handshakes_total{result="too many attempts"}') == before + 3
    assert caplog.text.count("refused without a look, for up to 60 seconds") == 1
    clock.now += 50
    assert await statuses(node, "CP1", 1, KEY) == [101]
    await node.report()
    assert await query(events) == [
        ("127.0.0.1: the key is wrong", LIMIT),
        ("127.0.0.1: too many attempts have failed, and more are refused without a look", 3),
    ]
    await node.report()
    assert await query(events) == await query(events)


@pytest.mark.usefixtures("quick")
async def test_a_success_in_between_keeps_a_station_from_being_shut_out(node: OcppServer) -> None:
    for _ in range(3):
        assert await statuses(node, "CP1", LIMIT - 1) == [401] * (LIMIT - 1)
        assert await statuses(node, "CP1", 1, KEY) == [101]


@pytest.mark.usefixtures("quick")
async def test_unknown_stations_count_as_well_and_leave_no_event(
    node: OcppServer, settings: Settings, query: Query
) -> None:
    settings.OCPP_PREREGISTRATION = True
    assert await statuses(node, "CP9", LIMIT + 1) == [404] * LIMIT + [429]
    await node.report()
    assert await query(events) == []


@pytest.mark.usefixtures("quick")
async def test_attempts_in_parallel_are_not_looked_at_beyond_the_limit(node: OcppServer) -> None:
    outcomes = await asyncio.gather(*[attempt(node, "CP1") for _ in range(20)])
    assert sorted(status for status, _ in outcomes) == [401] * LIMIT + [429] * 17


@pytest.mark.usefixtures("quick")
async def test_an_attack_with_many_names_does_not_flood_the_log(
    node: OcppServer, monkeypatch: pytest.MonkeyPatch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("csms.server.MOST_LOGGED", 5)
    settings.OCPP_PREREGISTRATION = True
    await asyncio.gather(*[attempt(node, f"X{number}") for number in range(30)])
    assert caplog.text.count("refused: it is unknown") == 5
    assert caplog.text.count("not logged for now") == 1


async def test_wrong_answers_are_held_back_while_right_ones_are_not(
    node: OcppServer, settings: Settings, query: Query
) -> None:
    settings.OCPP_ATTEMPT_DELAY = 30
    settings.OCPP_HANDSHAKE_TIMEOUT = 60
    settings.OCPP_PREREGISTRATION = True
    before = await metric(node, "ocpp_handshakes_slowed_total")
    # Each is another pair at one address.
    for number in range(2 * LIMIT):
        node.attempts.failed(Attempts.pair("127.0.0.1", f"X{number}"), guess=True)
    held = asyncio.create_task(attempt(node, "CP1"))
    await until(lambda: SecurityEvent.objects.exists())
    async with asyncio.timeout(5):
        storm = [Station16(f"ws://127.0.0.1:{node.port}/ws/ocpp", name, password=KEY) for name in ("CP1", "CP2")]
        for station in storm:
            async with station:
                await station.heartbeat()
    assert not held.done()
    node.attempts.release()
    assert (await held)[0] == 401
    assert await metric(node, "ocpp_handshakes_slowed_total") == before + 1


async def test_a_drain_does_not_wait_for_answers_that_are_held_back(
    transactional_db: None, redis_settings: None, settings: Settings
) -> None:
    settings.OCPP_ATTEMPT_DELAY = 30
    settings.OCPP_HANDSHAKE_TIMEOUT = 60
    settings.OCPP_PREREGISTRATION = True
    began = time.monotonic()
    async with OcppServer("127.0.0.1", 0) as node:
        for number in range(2 * LIMIT):
            node.attempts.failed(Attempts.pair("127.0.0.1", f"X{number}"), guess=True)
        held = asyncio.create_task(attempt(node, "X99"))
        async with asyncio.timeout(5):
            while not node.attempts._held:
                await asyncio.sleep(0.01)
    assert (await held)[0] == 404
    assert time.monotonic() - began < settings.OCPP_DRAIN_TIMEOUT


@pytest.mark.usefixtures("quick")
async def test_what_was_refused_while_the_database_was_away_is_told_later(
    node: OcppServer, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    from csms.errors import IntakeUnavailable

    assert await statuses(node, "CP1", LIMIT + 2) == [401] * LIMIT + [429] * 2

    async def away(*work: object) -> None:
        raise IntakeUnavailable

    with monkeypatch.context() as outage:
        outage.setattr(node.intake, "submit", away)
        with pytest.raises(IntakeUnavailable):
            await node.report()
    await node.report()
    assert (await query(events))[1][1] == 2
