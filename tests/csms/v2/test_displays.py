"""Messages on displays, and customer information, over real sockets (block O, N09, N10)."""

from typing import Any

import pytest

from chargers.models import DisplayMessage
from tasks.models import Command
from tasks.schemas import InvalidBody
from tasks.updates import represent_command
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.v2.reports import report_of
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token


def message(content: str = "Welcome", **more: Any) -> Payload:
    return {"priority": "NormalCycle", "message": {"format": "UTF8", "language": "en", "content": content}, **more}


async def put(content: str = "Welcome", **more: Any) -> Command:
    return await operator.perform("SetDisplayMessage", {"message": message(content, **more)})


async def shown() -> dict[int, str]:
    """Return what is believed of CP1's display."""

    def read() -> dict[int, str]:
        return dict(DisplayMessage.objects.filter(chargepoint="CP1").values_list("message_id", "content"))

    return await query_in_thread(read)  # type: ignore[no-any-return]


async def test_a_message_gets_a_number_of_its_own_and_is_kept_once_it_is_taken(
    booted: Station201, query: Query
) -> None:
    place = {"display": {"name": "Display", "evse": {"id": 2}}}
    times = {"startDateTime": "2030-01-01T10:00:00Z", "endDateTime": "2030-01-01T11:00:00Z"}
    first = await put("one", state="Idle", transactionId="T1", **times, **place)
    await put("two")
    assert sorted(booted.messages) == sorted(await shown())
    assert len(booted.messages) == 2
    row = await query(lambda: DisplayMessage.objects.get(content="one"))
    assert row.message_id == first.payload["message"]["id"]
    assert (row.status, row.state, row.priority, row.format, row.language) == (
        "Accepted",
        "Idle",
        "NormalCycle",
        "UTF8",
        "en",
    )
    assert (row.transaction_uuid, row.display, row.evse_id) == ("T1", "Display", 2)
    assert (row.start.hour, row.end.hour) == (10, 11)


async def test_a_message_of_the_same_number_takes_the_place_of_the_one_before(booted: Station201) -> None:
    await put("one", id=7)
    await put("two", id=7)
    assert await shown() == {7: "two"}


@pytest.mark.parametrize("status", ["Rejected", "NotSupportedPriority", "UnknownTransaction"])
async def test_a_message_that_is_refused_is_not_kept_and_the_one_before_stays(booted: Station201, status: str) -> None:
    await put("one", id=7)
    booted.answers["SetDisplayMessage"] = {"status": status}
    await put("two", id=7)
    await put("three")
    assert await shown() == {7: "one"}


async def test_a_message_for_which_no_answer_comes_is_not_kept(booted: Station201, settings: Any) -> None:
    settings.OCPP_TIMEOUT = 0.1
    booted.answers["SetDisplayMessage"] = None
    assert (await put()).status == "timeout"
    assert await shown() == {}


@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
async def test_a_message_that_is_cleared_or_not_there_is_forgotten(booted: Station201, status: str) -> None:
    await put("one", id=7)
    booted.answers["ClearDisplayMessage"] = {"status": status}
    await operator.perform("ClearDisplayMessage", {"id": 7})
    assert await shown() == {}


async def test_a_report_of_all_messages_replaces_what_was_believed(booted: Station201) -> None:
    await put("one", id=7)
    booted.messages = {number: message(f"number {number}", id=number) for number in (8, 9)}
    command = await operator.perform("GetDisplayMessages", {})
    report = await report_of(command.pk, "Complete")
    assert report.parts == 2
    assert await shown() == {8: "number 8", 9: "number 9"}
    booted.messages = {}
    command = await operator.perform("GetDisplayMessages", {})
    await report_of(command.pk, "Empty")
    assert await shown() == {}


async def test_a_report_of_some_messages_forgets_none(booted: Station201) -> None:
    await put("one", id=7)
    await put("two", id=8, state="Idle")
    for wanted in ({"id": [7]}, {"state": "Idle"}, {"priority": "NormalCycle"}):
        await report_of((await operator.perform("GetDisplayMessages", wanted)).pk, "Complete")
    assert await shown() == {7: "one", 8: "two"}


async def test_the_messages_of_a_transaction_are_forgotten_with_its_end(
    tags: None, booted: Station201, query: Query
) -> None:
    await booted.started(1, token("TAG1"))
    mine = booted.evses[1].running
    assert mine is not None
    await put("charging", id=7, transactionId=mine.id)
    await put("of another", id=8, transactionId="T2")
    await put("for all", id=9)
    await booted.ended()
    assert await shown() == {8: "of another", 9: "for all"}


async def test_the_messages_of_a_transaction_that_is_gone_are_forgotten(
    tags: None, booted: Station201, query: Query
) -> None:
    await booted.started(1, token("TAG1"))
    mine = booted.evses[1].running
    assert mine is not None
    await put("charging", id=7, transactionId=mine.id)
    booted.answers["GetTransactionStatus"] = {"ongoingIndicator": False, "messagesInQueue": False}
    await operator.perform("GetTransactionStatus", {"transactionId": mine.id})
    assert await shown() == {}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"startDateTime": "2030-01-01T23:59:60Z"}, r"message\.start_date_time: Is no time"),
        (
            {"startDateTime": "2030-01-01T10:00:00Z", "endDateTime": "2030-01-01T10:00:00Z"},
            r"message\.end_date_time: Must lie after",
        ),
    ],
)
async def test_a_message_of_impossible_times_is_refused(booted: Station201, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidBody, match=reason):
        await operator.ask("SetDisplayMessage", {"message": message(**more)})


CUSTOMER = {"idToken": token("TAG1"), "report": True, "clear": False}


async def test_what_a_station_holds_of_a_customer_is_shown_in_the_command(booted: Station201, query: Query) -> None:
    booted.customer = ["TAG1 charged on Monday", "and on Tuesday"]
    command = await operator.perform("CustomerInformation", CUSTOMER)
    await report_of(command.pk, "Complete")
    row = await query(lambda: Command.objects.select_related("report").get(pk=command.pk))
    report = represent_command(row)["report"]
    assert (report["content"], report["parts"]) == (["TAG1 charged on Monday", "and on Tuesday"], 2)


async def test_what_a_station_holds_of_a_customer_is_cleared(booted: Station201) -> None:
    booted.customer = ["TAG1 charged on Monday"]
    command = await operator.perform("CustomerInformation", {**CUSTOMER, "report": False, "clear": True})
    report = await report_of(command.pk, "Complete")
    assert (report.content, booted.customer) == ({"0": ""}, [])


@pytest.mark.parametrize("status", ["Rejected", "Invalid"])
async def test_customer_information_may_be_refused(booted: Station201, status: str) -> None:
    booted.answers["CustomerInformation"] = {"status": status}
    command = await operator.perform("CustomerInformation", CUSTOMER)
    await report_of(command.pk, "Refused")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"report": True, "clear": False}, "id_token: Exactly one of"),
        ({**CUSTOMER, "customerIdentifier": "Someone"}, "id_token: Exactly one of"),
        ({**CUSTOMER, "report": False}, "report: Is required"),
    ],
)
async def test_a_customer_is_named_in_one_way_and_something_is_asked(
    booted: Station201, payload: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidBody, match=reason):
        await operator.ask("CustomerInformation", payload)
