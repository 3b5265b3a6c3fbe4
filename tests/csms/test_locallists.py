"""Local lists over real sockets: what a station is sent, in how many parts, and what it is then known to hold."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import ChargePoint, IdTag, Limitation, LocalList, Variable
from chargers.services import locallists as services
from chargers.services.locallists import compare
from tasks import locallists
from tasks.errors import StationUnable
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.gate import Gate
from tests.csms.waiting import until
from tests.simulator.station import Answer, CallError, Payload
from tests.simulator.v16 import Station16

OK: Payload = {"status": "Accepted"}
BLOCKED: Payload = {"status": "Blocked"}


class Keeper:
    """A station's memory of its local list, as section 5.15 has it; `parts` is how many tags it takes at once."""

    def __init__(self, parts: int = 10_000) -> None:
        self.version = 0
        self.entries: dict[str, Payload] = {}
        self.parts = parts
        # The answers to give first, whatever is sent.
        self.moods: list[Answer] = []

    def take(self, sent: Payload) -> Answer:
        if self.moods:
            return self.moods.pop(0)
        listed = sent.get("localAuthorizationList", [])
        if len(listed) > self.parts:
            return {"status": "Failed"}
        if sent["updateType"] == "Full":
            self.entries = {}
        elif sent["listVersion"] <= self.version:
            return {"status": "VersionMismatch"}
        for each in listed:
            self.entries.pop(each["idTag"], None)
            if "idTagInfo" in each:
                self.entries[each["idTag"]] = each["idTagInfo"]
        self.version = sent["listVersion"]
        return OK

    def tell(self, _: Payload) -> Answer:
        return {"listVersion": self.version}


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def ready(transactional_db: None, url: str, keeper: Keeper) -> AsyncIterator[Station16]:
    """CP1, booted, which keeps a list."""
    async with Station16(url, "CP1") as station:
        await station.boot()
        station.answers["SendLocalList"] = keeper.take
        station.answers["GetLocalListVersion"] = keeper.tell
        yield station


def make_tags(number: int) -> None:
    IdTag.objects.bulk_create(IdTag(id_token=f"TAG{n:04}", lookup_key=f"tag{n:04}") for n in range(number))


def listed(*tags: str, info: Payload | None = OK) -> list[Payload]:
    return [{"idTag": tag, **({"idTagInfo": info} if info else {})} for tag in tags]


async def send(update: str, entries: list[Payload] | None = None, **more: Any) -> Command:
    members = {"localAuthorizationList": entries} if entries is not None else {}
    return await operator.perform("SendLocalList", {**members, "updateType": update, **more})


async def synchronise() -> Command:
    """Send what the station lacks, the way REST and the worker do; return how that ended."""

    def ask() -> Any:
        now = datetime.now(UTC)
        station = ChargePoint.objects.with_connected(now).get()
        command = locallists.synchronise(station, requested_by=None, now=now, changes=Changes())
        assert command is not None
        operator.relay(command.pk)
        return command.pk

    return await operator.end_of(await query_in_thread(ask))


def limit(key: str, value: int) -> None:
    Variable.objects.create(chargepoint_id="CP1", variable=key, value=str(value), read_at=datetime.now(UTC))


def known() -> tuple[int | None, Any, str]:
    row = LocalList.objects.get()
    return row.version, row.entries, row.last_outcome


def in_sync() -> bool:
    [row] = compare([LocalList.objects.get()], now=datetime.now(UTC))
    return row.in_sync


def limitations() -> list[tuple[str, str, bool]]:
    return list(Limitation.objects.values_list("kind", "reason", "certain"))


def sent(station: Station16) -> list[tuple[int, str, int]]:
    """Tell what was sent: version, kind and number of tags of each part."""
    payloads = [call.payload for call in station.calls if call.action == "SendLocalList"]
    return [(each["listVersion"], each["updateType"], len(each.get("localAuthorizationList", []))) for each in payloads]


# One part


async def test_a_full_list_is_sent_as_it_is_and_known_afterwards(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    command = await send("Full", listed("A", "B"))
    assert (command.status, command.response, command.calls) == ("answered", OK, [])
    assert ready.calls[-1].payload == {
        "listVersion": 1,
        "localAuthorizationList": listed("A", "B"),
        "updateType": "Full",
    }
    assert list(ready.calls[-1].payload) == ["listVersion", "localAuthorizationList", "updateType"]
    assert await query(known) == (1, {"A": OK, "B": OK}, "Accepted")
    assert keeper.entries == {"A": OK, "B": OK}


async def test_changes_are_added_to_what_is_known(ready: Station16, keeper: Keeper, query: Query) -> None:
    await send("Full", listed("A", "B", "C"))
    info = {"expiryDate": "2030-01-01T00:00:00Z", "parentIdTag": "P", "status": "Blocked"}
    await send("Differential", [*listed("A", info=None), *listed("B", info=info), *listed("D")])
    told = {"status": "Blocked", "expiry_date": "2030-01-01T00:00:00Z", "parent": "P"}
    assert await query(known) == (2, {"B": told, "C": OK, "D": OK}, "Accepted")
    assert keeper.entries == {"B": info, "C": OK, "D": OK}


async def test_a_full_update_without_tags_empties_the_list(ready: Station16, keeper: Keeper, query: Query) -> None:
    await send("Full", listed("A"))
    await send("Full")
    assert await query(known) == (2, {}, "Accepted")
    assert keeper.entries == {}
    await send("Differential", [])
    assert (await query(known), keeper.version) == ((3, {}, "Accepted"), 3)


async def test_a_platforms_tags_reach_the_station_as_authorize_would_answer_them(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    def prepare() -> None:
        family = IdTag.objects.create(id_token="FAMILY", expiry_date=datetime(2099, 1, 1, 0, 0, 0, 500_000, UTC))
        IdTag.objects.create(id_token="CHILD", parent=family)
        IdTag.objects.create(id_token="BAD", revoked=True)

    await query(prepare)
    assert (await synchronise()).response == OK
    assert keeper.entries == {
        tag: (await ready.call("Authorize", {"idTag": tag}))["idTagInfo"] for tag in ("FAMILY", "CHILD", "BAD")
    }
    await query(lambda: IdTag.objects.get(pk="BAD").delete())
    await synchronise()
    assert sent(ready) == [(1, "Full", 3), (2, "Differential", 1)]
    assert set(keeper.entries) == {"FAMILY", "CHILD"}
    assert await query(in_sync)


# Several parts


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (None, [(1, "Full", 30)]),
        (30, [(1, "Full", 30)]),
        (31, [(1, "Full", 30)]),
        (12, [(1, "Full", 12), (2, "Differential", 12), (3, "Differential", 6)]),
        (10, [(1, "Full", 10), (2, "Differential", 10), (3, "Differential", 10)]),
    ],
)
async def test_a_list_goes_in_parts_no_larger_than_the_station_takes(
    ready: Station16, keeper: Keeper, query: Query, size: int | None, parts: list[tuple[int, str, int]]
) -> None:
    await query(lambda: make_tags(30))
    if size is not None:
        keeper.parts = size
        await query(lambda: limit("SendLocalListMaxLength", size))
    command = await synchronise()
    assert command.response == OK
    assert sent(ready) == parts
    assert len(command.calls) == (len(parts) if len(parts) > 1 else 0)
    version, entries, outcome = await query(known)
    assert (version, outcome) == (len(parts), "Accepted")
    assert entries == keeper.entries
    assert len(entries) == 30


async def test_changes_go_in_parts_too(ready: Station16, keeper: Keeper, query: Query) -> None:
    await send("Full", listed("A"))
    await query(lambda: limit("SendLocalListMaxLength", 1))
    await send("Differential", [*listed("A", info=None), *listed("B", "C")])
    assert sent(ready)[1:] == [(2, "Differential", 1), (3, "Differential", 1), (4, "Differential", 1)]
    assert await query(known) == (4, {"B": OK, "C": OK}, "Accepted")


async def test_a_thousand_tags_reach_a_station_that_takes_fifty_at_once(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    keeper.parts = 50
    await query(lambda: make_tags(1000))
    await query(lambda: limit("SendLocalListMaxLength", 50))
    await synchronise()
    assert [version for version, _, _ in sent(ready)] == list(range(1, 21))
    assert len(keeper.entries) == 1000
    assert (await query(known))[:2] == (20, keeper.entries)


async def test_a_part_that_is_refused_is_the_last_and_what_was_taken_counts(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    await query(lambda: limit("SendLocalListMaxLength", 1))
    keeper.moods = [OK, {"status": "Failed"}]
    command = await send("Full", listed("A", "B", "C"))
    assert (command.status, command.response) == ("answered", {"status": "Failed"})
    assert [call["response"]["status"] for call in command.calls] == ["Accepted", "Failed"]
    assert sent(ready) == [(1, "Full", 1), (2, "Differential", 1)]
    assert await query(known) == (1, {"A": OK}, "Failed")


async def test_a_connection_that_is_lost_between_parts_leaves_what_was_taken(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    await query(lambda: limit("SendLocalListMaxLength", 1))
    keeper.moods = [OK, None]
    asked = {"localAuthorizationList": listed("A", "B"), "updateType": "Full"}
    command_id = await operator.ask("SendLocalList", asked)
    for _ in range(2):
        await ready.expect_call("SendLocalList")
    await ready.drop()
    assert (await operator.end_of(command_id)).status == "offline"
    assert await query(known) == (1, {"A": OK}, "offline")


async def test_a_station_with_a_memory_of_its_own_ends_up_with_the_tags_that_it_has_room_for(
    transactional_db: None, url: str, query: Query
) -> None:
    await query(lambda: make_tags(70))
    async with Station16(url, "CP1") as station:
        station.configuration["LocalAuthListMaxLength"].value = "50"
        await station.boot()
        await operator.perform("GetConfiguration")
        await operator.perform("GetLocalListVersion")
        assert (await synchronise()).response == OK
        assert await query(in_sync)
        assert set(station.local_list) == {f"tag{n:04}" for n in range(50)}
        await query(lambda: IdTag.objects.filter(id_token__lt="TAG0030").delete())
        assert (await synchronise()).response == OK
        assert set(station.local_list) == {f"tag{n:04}" for n in range(30, 70)}
        assert (await query(known))[0] == station.local_list_version


# Where the station holds another list


@pytest.mark.parametrize("word", ["VersionMismatch", "Failed"])
async def test_changes_that_do_not_fit_are_followed_by_all_that_should_be_held(
    ready: Station16, keeper: Keeper, query: Query, word: str
) -> None:
    await query(lambda: make_tags(3))
    keeper.moods = [{"status": word}]
    keeper.entries = {"STALE": OK}
    change = [*listed("TAG0001", info=None), *listed("MORE", info=BLOCKED)]
    command = await send("Differential", change)
    assert command.response == OK
    assert [call["response"]["status"] for call in command.calls] == [word, "Accepted"]
    assert sent(ready) == [(1, "Differential", 2), (1, "Full", 3)]
    # With what the operator asked for.
    assert keeper.entries == {"TAG0000": OK, "TAG0002": OK, "MORE": BLOCKED}
    assert await query(known) == (1, keeper.entries, "Accepted")


async def test_a_station_that_came_to_another_version_is_sent_all_of_the_list(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    await query(lambda: make_tags(30))
    await query(lambda: limit("SendLocalListMaxLength", 20))
    await synchronise()
    # Somebody else has been at it.
    keeper.version, keeper.entries = 40, {"STRANGE": OK}
    await query(lambda: IdTag.objects.create(id_token="NEW"))
    assert (await synchronise()).response == OK
    assert sent(ready)[2:] == [(3, "Differential", 1), (3, "Full", 20), (4, "Differential", 11)]
    assert set(keeper.entries) == {"NEW", *(f"TAG{n:04}" for n in range(30))}
    assert (await query(known))[:2] == (4, keeper.entries)


async def test_nobody_waits_while_it_is_read_what_a_station_should_hold(
    ready: Station16, keeper: Keeper, url: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(services.wanted_by)
    monkeypatch.setattr(services, "wanted_by", gate)
    await query(lambda: make_tags(3))
    keeper.moods = [{"status": "VersionMismatch"}]
    command_id = await operator.ask(
        "SendLocalList", {"updateType": "Differential", "localAuthorizationList": listed("A")}
    )
    await gate.entered()
    async with asyncio.timeout(5), Station16(url, "CP2") as other:
        await other.boot()
        await ready.status(1, "Charging")
    assert await query(lambda: known()[2]) == "VersionMismatch"
    gate.open()
    assert (await operator.end_of(command_id)).response == OK
    assert set(keeper.entries) == {"A", "TAG0000", "TAG0001", "TAG0002"}


async def test_a_list_is_tried_in_full_once(ready: Station16, keeper: Keeper, query: Query) -> None:
    await query(lambda: make_tags(3))
    keeper.moods = [{"status": "VersionMismatch"}, {"status": "Failed"}, {"status": "Failed"}]
    command = await send("Differential", listed("A"))
    assert command.response == {"status": "Failed"}
    assert sent(ready) == [(1, "Differential", 1), (1, "Full", 4)]
    assert await query(known) == (None, None, "Failed")
    await send("Full", listed("A"))
    assert len(sent(ready)) == 3


async def test_a_station_that_keeps_few_is_sent_no_more_in_full(ready: Station16, keeper: Keeper, query: Query) -> None:
    await query(lambda: make_tags(5))
    await query(lambda: limit("LocalAuthListMaxLength", 2))
    keeper.moods = [{"status": "VersionMismatch"}]
    await send("Differential", [])
    assert sent(ready)[-1] == (1, "Full", 2)
    assert await query(in_sync)


# Versions


async def test_a_version_is_kept_as_reported(ready: Station16, keeper: Keeper, query: Query) -> None:
    keeper.version = 12
    command = await operator.perform("GetLocalListVersion")
    assert command.response == {"listVersion": 12}
    row = await query(lambda: LocalList.objects.get())
    assert (row.reported_version, row.version, row.is_known) == (12, None, False)
    await send("Full", listed("A"))
    assert sent(ready) == [(13, "Full", 1)]
    await operator.perform("GetLocalListVersion")
    assert (await query(lambda: LocalList.objects.get())).is_known


async def test_an_empty_list_is_known_to_be_empty(ready: Station16, keeper: Keeper, query: Query) -> None:
    await query(lambda: make_tags(1))
    await operator.perform("GetLocalListVersion")
    assert await query(known) == (0, {}, "")
    await synchronise()
    assert sent(ready) == [(1, "Differential", 1)]


@pytest.mark.parametrize("answer", [{"listVersion": 2**40}, {"listVersion": -7}])
async def test_a_version_that_is_none_is_not_kept(ready: Station16, query: Query, answer: Payload) -> None:
    ready.answers["GetLocalListVersion"] = answer
    assert (await operator.perform("GetLocalListVersion")).response == answer
    assert not await query(lambda: LocalList.objects.exists())


# Stations that keep none


async def test_a_station_that_keeps_no_list_is_remembered_until_it_does(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    keeper.version = -1
    await operator.perform("GetLocalListVersion")
    assert await query(limitations) == [("local_list", "told the list version -1", True)]
    assert (await query(lambda: LocalList.objects.get())).reported_version == -1
    with pytest.raises(StationUnable):
        await send("Full")
    keeper.version = 0
    await operator.perform("GetLocalListVersion")
    assert await query(limitations) == []


async def test_a_station_that_supports_no_list_is_remembered_until_it_takes_one(
    ready: Station16, keeper: Keeper, query: Query
) -> None:
    keeper.moods = [{"status": "NotSupported"}]
    await query(lambda: limit("SendLocalListMaxLength", 1))
    command = await send("Full", listed("A", "B"))
    assert command.response == {"status": "NotSupported"}
    assert len(sent(ready)) == 1
    assert await query(known) == (None, None, "NotSupported")
    assert await query(limitations) == [("local_list", "answered NotSupported", True)]
    forced = await operator.perform("SendLocalList", {"updateType": "Full"}, force=True)
    assert forced.response == OK
    assert await query(limitations) == []


async def test_a_callerror_changes_nothing_that_is_known(ready: Station16, keeper: Keeper, query: Query) -> None:
    await send("Full", listed("A"))
    keeper.moods = [CallError("InternalError", "no space")]
    assert (await send("Differential", listed("B"))).status == "error"
    assert await query(known) == (1, {"A": OK}, "InternalError")
    assert len(sent(ready)) == 2


# Answers that come late or twice


async def test_a_late_answer_still_counts_and_a_repeated_one_does_not(
    ready: Station16, keeper: Keeper, query: Query, settings: Settings
) -> None:
    await send("Full", listed("A"))
    settings.OCPP_TIMEOUT = 0.4
    keeper.moods = [None]
    command = await send("Differential", listed("B"))
    assert command.status == "timeout"
    assert await query(known) == (1, {"A": OK}, "timeout")
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Accepted"}}]')
    await until(lambda: known() == (2, {"A": OK, "B": OK}, "Accepted"))
    await ready.send_raw(f'[3,"{command.pk}",{{"status":"Failed"}}]')
    await ready.heartbeat()
    assert await query(known) == (2, {"A": OK, "B": OK}, "Accepted")
