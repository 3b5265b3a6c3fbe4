"""Customers whom a station has cleared leave its local list as well (N10.FR.02)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chargers.changes import Changes
from chargers.models import IdTag, LocalList
from chargers.models.locallist import FIRST_RETRY
from chargers.services.locallists import compare
from tasks import commands, locallists
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.v2.reports import report_of
from tests.csms.v2.test_locallists import OK, held, listed, send, sent
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token

ENTRY = {"status": "Accepted", "token_type": "ISO14443"}


async def clear(name: str = "A", kind: str = "ISO14443", **more: Any) -> UUID:
    """Let CP1 clear a customer; return the command."""
    asked = {"report": True, "clear": True, "idToken": token(name, kind), **more}
    command = await operator.perform("CustomerInformation", asked)
    return command.pk


async def forget(later: timedelta = timedelta(0)) -> Sequence[UUID]:
    """Let beat do what is due, now or later."""

    def store() -> list[UUID]:
        return locallists.forget_customers(now=datetime.now(UTC) + later, changes=Changes())

    return await query_in_thread(store)  # type: ignore[no-any-return]


async def forgotten() -> Payload:
    """Let beat do what is due, which must be one command; return how it was answered."""
    [command_id] = await forget()
    await query_in_thread(lambda: operator.relay(command_id))
    return dict((await operator.end_of(command_id)).response)


async def test_a_customer_who_is_cleared_is_taken_out_of_the_list_and_nobody_else(
    booted: Station201, query: Query
) -> None:
    await send("Full", listed("A"), listed("B"))
    await report_of(await clear("a"), "Complete")
    assert await forgotten() == OK
    assert booted.calls[-1].payload == {
        "versionNumber": 2,
        "updateType": "Differential",
        "localAuthorizationList": [{"idToken": token("A")}],
    }
    assert await query(held) == (2, {"B": ENTRY})
    assert not await forget()


async def test_a_station_is_not_disturbed_while_it_tells_what_it_had(station: Station201) -> None:
    station.answers["CustomerInformation"] = OK
    await send("Full", listed("A"))
    command = await clear()
    request_id = (await station.expect_call("CustomerInformation")).payload["requestId"]
    await report_of(command, "Collecting")
    assert not await forget()
    await station.report_customer(request_id, ["all of it"])
    await report_of(command, "Complete")
    assert await forgotten() == OK
    assert station.local_list == {}


async def test_a_list_that_is_automatic_is_not_sent_the_customer_again_until_an_operator_says_so(
    booted: Station201, query: Query
) -> None:
    def prepare() -> None:
        for name in "AB":
            IdTag.objects.create(id_token=name)
        LocalList.objects.create(chargepoint_id="CP1", automatic=True)

    def synchronise() -> Any:
        return locallists.synchronise_automatic(now=datetime.now(UTC), changes=Changes())

    await query(prepare)
    [command_id] = await query(synchronise)
    await query(lambda: operator.relay(command_id))
    await operator.end_of(command_id)
    await report_of(await clear(), "Complete")
    assert await forgotten() == OK
    assert booted.local_list == {"B": OK}
    assert not await query(synchronise)
    [row] = await query(lambda: compare(list(LocalList.objects.all()), now=datetime.now(UTC)))
    assert (row.in_sync, list(row.wanted), row.withheld) == (True, ["B"], ["A"])
    await send("Differential", listed("A"))
    assert sorted(booted.local_list) == ["A", "B"]
    assert not await query(synchronise)
    assert (await query(LocalList.objects.get)).withheld == []


async def test_a_list_that_nobody_knows_is_sent_as_a_whole(booted: Station201, query: Query) -> None:
    await query(lambda: IdTag.objects.create(id_token="A"))
    await query(lambda: IdTag.objects.create(id_token="B"))
    booted.list_version, booted.local_list = 7, {"A": OK, "C": OK}
    await operator.perform("GetLocalListVersion")
    await report_of(await clear(), "Complete")
    assert await forgotten() == OK
    assert sent(booted) == [("Full", 8, ["B"])]
    assert not await forget()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({}, {"status": "Rejected"}),
        ({"clear": False}, OK),
        ({"idToken": token("A", "KeyCode")}, OK),
        ({"idToken": token("C")}, OK),
        ({"idToken": None, "customerIdentifier": "A"}, OK),
    ],
)
async def test_who_is_not_cleared_or_not_in_the_list_changes_nothing(
    station: Station201, query: Query, asked: Payload, answer: Payload
) -> None:
    station.answers["CustomerInformation"] = answer
    await send("Full", listed("A"))
    body = {"report": True, "clear": True, "idToken": token("A"), **asked}
    await operator.perform("CustomerInformation", {name: each for name, each in body.items() if each is not None})
    await query(lambda: LocalList.objects.get().chargepoint.reports.update(status="Complete"))
    assert not await forget()
    assert (await query(LocalList.objects.get)).withheld == []


async def test_a_station_that_was_never_sent_a_list_is_sent_none(booted: Station201) -> None:
    await report_of(await clear(), "Complete")
    assert not await forget()


async def test_what_a_killed_process_left_undone_is_done_later(booted: Station201, query: Query) -> None:
    await send("Full", listed("A"))
    await report_of(await clear(), "Complete")
    # The worker stored the command and was killed before it handed it over.
    [lost] = await forget()
    assert not await forget()

    def sweep() -> None:
        commands.sweep(now=datetime.now(UTC) + timedelta(hours=1), changes=Changes())

    await query(sweep)
    assert not (await operator.row_of(lost)).is_open
    assert not await forget()

    def long_ago() -> None:
        LocalList.objects.update(last_attempt=datetime.now(UTC) - FIRST_RETRY)

    await query(long_ago)
    assert await forgotten() == OK
    assert booted.local_list == {}
