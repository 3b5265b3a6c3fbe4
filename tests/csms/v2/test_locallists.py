"""Local lists over real sockets: in parts, in full where changes are refused, and by themselves (block D)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chargers.changes import Changes
from chargers.models import ChargePoint, IdTag, LocalList, Variable
from tasks import locallists
from tasks.models import Command
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token

OK = {"status": "Accepted"}


async def send(update: str, *entries: Payload, **more: Any) -> Command:
    body = {"updateType": update, **({"localAuthorizationList": list(entries)} if entries else {}), **more}
    return await operator.perform("SendLocalList", body)


def listed(name: str, info: Payload | None = OK, kind: str = "ISO14443") -> Payload:
    return {"idToken": token(name, kind), **({"idTokenInfo": info} if info else {})}


async def synchronise() -> Command:
    """Send what the station lacks, and return how that ended."""

    def ask() -> Any:
        now = datetime.now(UTC)
        station = ChargePoint.objects.with_connected(now).get(pk="CP1")
        command = locallists.synchronise(station, requested_by=None, now=now, changes=Changes())
        assert command is not None
        operator.relay(command.pk)
        return command.pk

    return await operator.end_of(await query_in_thread(ask))


def held() -> Any:
    row = LocalList.objects.get()
    return row.version, row.entries


def limit(**values: str) -> None:
    for name, value in values.items():
        Variable.objects.create(
            chargepoint_id="CP1",
            component="LocalAuthListCtrlr",
            variable=name,
            value=value,
            read_at=datetime.now(UTC),
        )


def sent(station: Station201) -> list[tuple[str, int, list[str]]]:
    return [
        (
            call.payload["updateType"],
            call.payload["versionNumber"],
            [each["idToken"]["idToken"] for each in call.payload.get("localAuthorizationList", [])],
        )
        for call in station.calls
        if call.action == "SendLocalList"
    ]


async def test_a_full_list_and_changes_of_it_are_known_afterwards(station: Station201, query: Query) -> None:
    info = {"status": "Accepted", "cacheExpiryDateTime": "2030-01-01T00:00:00Z", "groupIdToken": token("G", "Central")}
    assert (await send("Full", listed("A", info), listed("B", {"status": "NoCredit"}))).response == OK
    entry = {"status": "Accepted", "token_type": "ISO14443", "expiry_date": "2030-01-01T00:00:00Z", "parent": "G"}
    refused = {"status": "NoCredit", "token_type": "ISO14443"}
    assert await query(held) == (1, {"A": entry, "B": refused})
    await send("Differential", listed("A", None), listed("C"))
    assert await query(held) == (2, {"B": refused, "C": {"status": "Accepted", "token_type": "ISO14443"}})
    assert (station.list_version, station.local_list) == (2, {"B": {"status": "NoCredit"}, "C": OK})


async def test_a_full_update_without_tokens_empties_the_list(station: Station201, query: Query) -> None:
    await send("Full", listed("A"))
    await send("Full")
    assert await query(held) == (2, {})
    assert station.local_list == {}


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ([listed("A"), listed("a")], "local_authorization_list.1.id_token"),
        ([listed("A", None)], "local_authorization_list.0.id_token_info"),
    ],
)
async def test_what_can_be_no_list_is_refused(station: Station201, entries: list[Payload], field: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        await send("Full", *entries)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("update", ["Full", "Differential"])
async def test_a_text_under_two_types_is_two_tokens_and_the_list_is_not_known_then(
    station: Station201, query: Query, update: str
) -> None:
    await query(lambda: IdTag.objects.create(id_token="A"))
    card, code = listed("A"), listed("a", kind="KeyCode")
    await send("Full", card)
    command = await send(update, *([card, code] if update == "Full" else [code]))
    assert command.response == OK
    assert await query(held) == (2, None)
    # What should be there is sent as a whole then.
    await synchronise()
    assert sent(station)[-1] == ("Full", 3, ["A"])
    assert await query(held) == (3, {"A": {"status": "Accepted", "token_type": "ISO14443"}})


async def test_a_token_that_is_taken_out_as_another_type_stays(station: Station201, query: Query) -> None:
    await send("Full", listed("A"), listed("B"))
    await send("Differential", listed("A", None, "KeyCode"), listed("B", None))
    assert await query(held) == (2, {"A": {"status": "Accepted", "token_type": "ISO14443"}})


@pytest.mark.parametrize("first", ["out", "in"])
async def test_a_token_that_changes_its_type_is_one_token(station: Station201, query: Query, first: str) -> None:
    await send("Full", listed("A"))
    changes = [listed("A", None), listed("A", kind="KeyCode")]
    await send("Differential", *(changes if first == "out" else reversed(changes)))
    known = {"A": {"status": "Accepted", "token_type": "KeyCode"}}
    # Told the other way round, it is better sent once more than believed.
    assert await query(held) == (2, known if first == "out" else None)


async def test_a_list_goes_in_parts_of_so_many_entries(station: Station201, query: Query) -> None:
    await query(lambda: limit(ItemsPerMessage="2"))
    await send("Full", *(listed(f"T{number}") for number in range(5)))
    assert sent(station) == [
        ("Full", 1, ["T0", "T1"]),
        ("Differential", 2, ["T2", "T3"]),
        ("Differential", 3, ["T4"]),
    ]
    assert (await query(held))[0] == 3
    assert sorted(station.local_list) == ["T0", "T1", "T2", "T3", "T4"]


async def test_no_message_is_larger_than_the_station_takes(station: Station201, query: Query) -> None:
    await query(lambda: limit(BytesPerMessage="600"))
    await send("Full", *(listed(f"TOKEN{number:031}") for number in range(20)))
    texts = [call.text for call in station.calls if call.action == "SendLocalList"]
    assert 1 < len(texts) < 20
    assert max(len(text.encode()) for text in texts) <= 600
    assert len(station.local_list) == 20


async def test_changes_that_are_refused_are_followed_by_all_of_the_list(station: Station201, query: Query) -> None:
    await query(lambda: IdTag.objects.create(id_token="MINE"))
    station.list_version = 7
    station.local_list = {"OLD": OK}
    command = await send("Differential", listed("A"))
    assert command.response == OK
    assert [(update, tokens) for update, _, tokens in sent(station)] == [
        ("Differential", ["A"]),
        ("Full", ["MINE", "A"]),
    ]
    assert sorted(station.local_list) == ["A", "MINE"]


async def test_a_station_is_brought_to_what_authorize_would_answer(station: Station201, query: Query) -> None:
    def tags() -> None:
        group = IdTag.objects.create(id_token="GROUP")
        IdTag.objects.create(id_token="CODE", token_type="KeyCode", parent=group)
        IdTag.objects.create(id_token="POOR", refusal="NoCredit")
        IdTag.objects.create(id_token="L" * 37)

    await query(tags)
    await synchronise()
    assert station.local_list == {
        "GROUP": OK,
        "CODE": {"status": "Accepted", "groupIdToken": {"idToken": "GROUP", "type": "Central"}},
        "POOR": {"status": "NoCredit"},
    }
    types = {
        each["idToken"]["idToken"]: each["idToken"]["type"]
        for each in station.calls[-1].payload["localAuthorizationList"]
    }
    assert types == {"GROUP": "ISO14443", "CODE": "KeyCode", "POOR": "ISO14443"}

    await query(lambda: IdTag.objects.filter(pk="CODE").delete())
    await query(lambda: IdTag.objects.filter(pk="POOR").update(token_type="ISO15693"))
    await synchronise()
    # What it holds under another type goes, and what comes out goes as what it was.
    assert station.calls[-1].payload["localAuthorizationList"] == [
        {"idToken": token("CODE", "KeyCode")},
        {"idToken": token("POOR", "ISO14443")},
        {"idToken": token("POOR", "ISO15693"), "idTokenInfo": {"status": "NoCredit"}},
    ]


async def test_a_station_that_keeps_few_gets_those_that_may_charge(station: Station201, query: Query) -> None:
    def prepare() -> None:
        for name, revoked in {"A": True, "B": False, "C": False}.items():
            IdTag.objects.create(id_token=name, revoked=revoked)
        limit(Entries="0")
        Variable.objects.update(characteristics={"max_limit": 2.0})

    await query(prepare)
    await synchronise()
    assert sorted(station.local_list) == ["B", "C"]


async def test_a_list_that_is_automatic_follows_by_itself(station: Station201, query: Query) -> None:
    def prepare() -> list[Any]:
        IdTag.objects.create(id_token="A")
        LocalList.objects.create(chargepoint_id="CP1", automatic=True)
        stored = locallists.synchronise_automatic(now=datetime.now(UTC), changes=Changes())
        for each in stored:
            operator.relay(each)
        return stored

    [command_id] = await query(prepare)
    assert (await operator.end_of(command_id)).response == OK
    assert station.local_list == {"A": OK}


async def test_the_version_is_kept_as_reported(station: Station201, query: Query) -> None:
    station.answers["GetLocalListVersion"] = {"versionNumber": 5}
    assert (await operator.perform("GetLocalListVersion")).response == {"versionNumber": 5}
    assert (await query(lambda: LocalList.objects.get())).reported_version == 5
