"""Tags as real stations send them: the group ID of the habits that docs/quirks.md lists."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Deviation, IdTag, MeterValue, Transaction
from tests.csms import operator
from tests.csms.conftest import Query
from tests.fixtures_subtests import Subtests
from tests.simulator.station import CALLRESULT, Payload, Station
from tests.simulator.v16 import Station16

NOW = datetime.now(UTC).replace(microsecond=0)
LONG = "BA86I250X5G6MOD5DL00"
ACCEPTED = {"idTagInfo": {"status": "Accepted"}}
INVALID = {"idTagInfo": {"status": "Invalid"}}
# The boot of a station whose serial number does not fit into a tag.
SERIALS = {
    "chargePointSerialNumber": "ACE0345678",
    "chargeBoxSerialNumber": "3N650100-BOX-00000012345",
}


def at(minutes: float) -> str:
    """Spell the time so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_start(tag: Any, minutes: float = -4, **more: Any) -> Payload:
    return {"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": at(minutes), **more}


def a_stop(number: int, minutes: float = -1, **more: Any) -> Payload:
    return {"transactionId": number, "meterStop": 2500, "timestamp": at(minutes), **more}


async def start(station: Station16, tag: Any, minutes: float = -4, **more: Any) -> int:
    answer = await station.call("StartTransaction", a_start(tag, minutes, **more))
    number: int = answer["transactionId"]
    return number


async def give(query: Query, *tags: str, **members: Any) -> None:
    """Register tags that may charge, unless `members` say otherwise."""
    await query(lambda: [IdTag.objects.create(id_token=tag, **members) for tag in tags])


def the_transaction() -> Transaction:
    return Transaction.objects.get()


def deviations() -> dict[str, str]:
    return dict(Deviation.objects.values_list("kind", "example"))


# ID-01: bytes behind a tag


TAILS = ["\x10\x0e", "\x00", "\x00\x00", "  ", "\r\n", "7", "7F", "\x10A", "\ufffd\ufffd", "\N{DEGREE SIGN}"]


async def test_id_01_a_tag_with_bytes_behind_it_is_that_tag(
    station: Station16, query: Query, subtests: Subtests
) -> None:
    await give(query, LONG)
    for index, tail in enumerate(TAILS, 1):
        with subtests.test(ascii(tail)):
            assert await station.call("Authorize", {"idTag": LONG + tail}) == ACCEPTED
            started = await station.call("StartTransaction", a_start(LONG + tail, connectorId=index))
            number = started["transactionId"]
            assert started["idTagInfo"] == {"status": "Accepted"}
            assert await station.call("StopTransaction", a_stop(number, idTag=LONG + tail)) == ACCEPTED
            transaction = await query(lambda number=number: Transaction.objects.get(pk=number))
            assert (transaction.id_tag_id, transaction.is_open, transaction.flags) == (LONG, False, [])
            assert transaction.stop_id_tag.startswith(LONG)
    assert await query(lambda: IdTag.objects.count()) == 1
    assert (await query(deviations)).keys() == {"control-characters", "id-tag-padded", "text-too-long"}


async def test_id_01_bytes_that_no_json_may_hold_are_read_over(station: Station16, query: Query) -> None:
    await give(query, LONG)
    number = await start(station, LONG)
    text = json.dumps([2, "100000023", "StopTransaction", a_stop(number, idTag=f"{LONG}??", reason="EVDisconnected")])
    answer = await station.exchange(text.replace("??", "\x10\x0e"))
    assert answer.json() == [CALLRESULT, "100000023", ACCEPTED]
    transaction = await query(the_transaction)
    assert (transaction.pk, transaction.stop_id_tag, transaction.energy_wh) == (number, LONG, 1500)


async def test_id_01_a_stop_with_bytes_behind_a_shorter_tag_is_accepted_as_well(
    station: Station16, query: Query, settings: Settings, subtests: Subtests
) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    tags = ("APP-7C21", "0123456789ABCDEF", "evcc")
    await give(query, *tags)
    for index, (tag, tail) in enumerate(itertools.product(tags, ("\x10\x0e", "Z", "Z9")), 1):
        with subtests.test(ascii(tag + tail)):
            number = await start(station, tag, connectorId=index)
            assert await station.call("StopTransaction", a_stop(number, idTag=tag + tail)) == ACCEPTED
            transaction = await query(lambda number=number: Transaction.objects.get(pk=number))
            assert (transaction.id_tag_id, transaction.is_open, transaction.energy_wh) == (tag, False, 1500)
    # No driver has a tag with a tail.
    assert await query(lambda: set(IdTag.objects.values_list("pk", flat=True))) == set(tags)


async def test_id_01_a_stop_is_told_by_its_number_whatever_its_tag(station: Station16, query: Query) -> None:
    await give(query, LONG, "OTHER")
    for minutes, tag, answer in ((-60, "OTHER", ACCEPTED), (-40, "????????????????????##", INVALID), (-20, "", {})):
        number = await start(station, LONG, minutes)
        assert await station.call("StopTransaction", a_stop(number, minutes + 10, idTag=tag)) == answer
        transaction = await query(lambda number=number: Transaction.objects.get(pk=number))
        assert (transaction.is_open, transaction.id_tag_id, transaction.energy_wh) == (False, LONG, 1500)
    assert await query(lambda: Transaction.objects.count()) == 3


async def test_id_01_a_stop_without_a_number_is_told_by_its_tag_and_what_is_behind_it(
    station: Station16, query: Query
) -> None:
    await give(query, "APP-7C21", "APP-7C22")
    first = await start(station, "APP-7C21", connectorId=1)
    second = await start(station, "APP-7C22", connectorId=2)
    assert await station.call("StopTransaction", a_stop(-1, idTag="APP-7C21Z9")) == ACCEPTED
    still_open = await query(lambda: Transaction.objects.get(stop_transaction_timestamp=None))
    assert (still_open.pk, await query(lambda: Transaction.objects.count())) == (second, 2)
    assert first != second


async def test_id_01_a_tag_is_no_other_that_begins_the_same(station: Station16, query: Query) -> None:
    await give(query, "APP-7C21", LONG[:19])
    for tag in ("APP-7C21Z9", "APP-7C2", LONG, LONG + "\x10\x0e"):
        assert await station.call("Authorize", {"idTag": tag}) == INVALID


async def test_id_01_a_blocked_tag_stays_blocked_with_bytes_behind_it(station: Station16, query: Query) -> None:
    await give(query, LONG, "APP-7C21", revoked=True)
    blocked = {"idTagInfo": {"status": "Blocked"}}
    assert await station.call("Authorize", {"idTag": LONG + "\x10\x0e"}) == blocked
    number = await start(station, "APP-7C21")
    assert await station.call("StopTransaction", a_stop(number, idTag="APP-7C21Z9")) == blocked


# ID-02: another spelling


# As the platform lists it, as a station sends it.
SPELLINGS = {
    "2069C021": "20:69:C0:21",
    "30:69:C0:21": "3069c021",
    "40-69-C0-21": "40 69 c0 21",
    "04a1b2c3d4e5f6": "04A1B2C3D4E5F6",
    "VID:00112233445566": "vid:00112233445566",
    "VID:001122334455": "VID00:11:22:33:44:55",
    "DE-ABC-C12345678-X": "deabcc12345678x",
    "Not_Hex/at all!": "NOT_HEX/AT ALL!",
    "Stra\N{LATIN SMALL LETTER SHARP S}e": "STRASSE",
}


async def test_id_02_a_tag_is_the_same_in_another_case_and_with_other_separators(
    station: Station16, query: Query, subtests: Subtests
) -> None:
    await give(query, *SPELLINGS)
    for index, (listed, shown) in enumerate(SPELLINGS.items(), 1):
        with subtests.test(shown):
            assert await station.call("Authorize", {"idTag": shown}) == ACCEPTED
            number = await start(station, shown, connectorId=index)
            assert await station.call("StopTransaction", a_stop(number, idTag=shown.upper())) == ACCEPTED
            transaction = await query(lambda number=number: Transaction.objects.get(pk=number))
            assert (transaction.id_tag_id, transaction.authorization_status) == (listed, "Accepted")
            assert (transaction.is_open, transaction.flags) == (False, [])
    assert await query(deviations) == {}


async def test_id_02_two_spellings_count_as_one_tag_for_what_may_run_at_once(station: Station16, query: Query) -> None:
    await give(query, "2069C021", max_active_transactions=1)
    await start(station, "20:69:c0:21", connectorId=1)
    second = await station.call("StartTransaction", a_start("20-69-C0-21", connectorId=2))
    assert second["idTagInfo"]["status"] == "ConcurrentTx"


async def test_id_02_a_tag_is_registered_in_one_spelling_where_unknown_tags_are_welcome(
    station: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    tags = ("20:69:C0:21", "vid:00ff", "Hallo Welt")
    for tag in tags:
        for spelling in (tag, tag.lower(), tag.upper(), tag.replace(":", "")):
            assert await station.call("Authorize", {"idTag": spelling}) == ACCEPTED
    assert await query(lambda: set(IdTag.objects.values_list("pk", flat=True))) == set(tags)


async def test_id_02_a_number_for_a_tag_is_its_digits(station: Station16, query: Query) -> None:
    await give(query, "12345678")
    assert await station.call("Authorize", {"idTag": 12345678}) == ACCEPTED
    assert (await query(deviations)).keys() == {"value-for-text"}


async def test_id_02_a_tag_of_2_0_1_is_the_same_in_another_spelling(url: str, query: Query) -> None:
    await give(query, *SPELLINGS)
    async with Station(url, "CP1", subprotocols=("ocpp2.0.1",)) as station:
        for shown in SPELLINGS.values():
            token = {"idToken": shown, "type": "ISO14443"}
            answer = await station.call("Authorize", {"idToken": token})
            assert answer["idTokenInfo"]["status"] == "Accepted"


# ID-03: charging for free

NO_TAG: list[Payload] = [
    {"idTag": "NoAuthorization"},
    {"idTag": "noauthorization"},
    {"idTag": "NO AUTHORIZATION"},
    {"idTag": ""},
    {"idTag": "   "},
    {"idTag": None},
    {},
    {"idTag": "ACE0345678"},
    {"idTag": "ace0345678"},
    {"idTag": "3N650100-BOX-00000012345"},
    {"idTag": "3N650100-BOX-0000001"},
    {"idTag": "CP1"},
]


@pytest.mark.parametrize("allowed", [True, False])
async def test_id_03_a_setting_says_whether_a_station_may_charge_for_free_and_its_start_is_kept(
    station: Station16, query: Query, settings: Settings, subtests: Subtests, allowed: bool
) -> None:
    settings.OCPP_ACCEPT_NO_TAG = allowed
    # That is about tags which somebody shows.
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    await station.call("BootNotification", {**station.boot_payload, **SERIALS})
    answer = ACCEPTED if allowed else INVALID
    for index, shown in enumerate(NO_TAG, 1):
        with subtests.test(str(shown)):
            assert await station.call("Authorize", shown) == answer
            place = {"connectorId": index, "meterStart": 1000, "timestamp": at(-4)}
            started = await station.call("StartTransaction", {**place, **shown})
            assert started["idTagInfo"] == answer["idTagInfo"]
            number = started["transactionId"]
            assert number > 0
            told = answer if (shown.get("idTag") or "").strip() else {}
            assert await station.call("StopTransaction", a_stop(number, **shown)) == told
            transaction = await query(lambda number=number: Transaction.objects.get(pk=number))
            assert (transaction.is_open, transaction.energy_wh, transaction.flags) == (False, 1500, [])
            assert transaction.authorization_status == answer["idTagInfo"]["status"]
            assert transaction.transaction_status == ("Finished" if allowed else "Unauthorized")
    assert await query(lambda: IdTag.objects.count()) == 0


async def test_id_03_a_tag_of_such_a_name_is_a_tag(station: Station16, query: Query, settings: Settings) -> None:
    settings.OCPP_ACCEPT_NO_TAG = True
    await give(query, "NoAuthorization", revoked=True)
    assert await station.call("Authorize", {"idTag": "noauthorization"}) == {"idTagInfo": {"status": "Blocked"}}


async def test_id_03_the_number_of_another_station_is_no_way_to_charge_for_free(
    station: Station16, url: str, settings: Settings
) -> None:
    settings.OCPP_ACCEPT_NO_TAG = True
    async with Station16(url, "CP2", boot=SERIALS) as other:
        await other.boot()
        assert await other.call("Authorize", {"idTag": "ACE0345678"}) == ACCEPTED
    for tag in ("ACE0345678", "CP2", "3N650100-BOX-0000001"):
        assert await station.call("Authorize", {"idTag": tag}) == INVALID


async def test_id_03_starts_without_a_tag_may_run_at_once(station: Station16, query: Query, settings: Settings) -> None:
    settings.OCPP_ACCEPT_NO_TAG = True
    numbers = [await start(station, "", connectorId=connector) for connector in (1, 2)]
    running = await query(lambda: list(Transaction.objects.order_by("pk").values_list("pk", "authorization_status")))
    assert running == [(number, "Accepted") for number in numbers]


# ID-04: a start although refused

REFUSED: dict[str, Payload] = {
    "Blocked": {"revoked": True},
    "Expired": {"expiry_date": NOW - timedelta(days=1)},
    "ConcurrentTx": {"max_active_transactions": 0},
    "Invalid": {},
}


@pytest.mark.parametrize(
    ("status", "asks"),
    [("Invalid", True), ("Invalid", False), ("Blocked", True), ("Expired", False), ("ConcurrentTx", True)],
)
async def test_id_04_a_start_that_was_refused_is_recorded_with_the_status_given(
    station: Station16, query: Query, status: str, asks: bool
) -> None:
    if status != "Invalid":
        await give(query, "TAG1", **REFUSED[status])
    if asks:
        # How many run at once is judged at the start.
        answered = (await station.authorize("TAG1"))["status"]
        assert answered == ("Accepted" if status == "ConcurrentTx" else status)
    started = await station.call("StartTransaction", a_start("TAG1"))
    assert started["idTagInfo"]["status"] == status
    number = started["transactionId"]
    assert number > 0

    sample = {"value": "1800", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    values = {
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [{"timestamp": at(-2), "sampledValue": [sample]}],
    }
    assert await station.call("MeterValues", values) == {}
    running = await query(the_transaction)
    assert (running.pk, running.id_tag_id, running.is_open) == (number, "TAG1", True)
    assert (running.authorization_status, running.transaction_status) == (status, "Unauthorized")
    assert running.energy_wh == 800
    assert await query(lambda: MeterValue.objects.get().transaction_id) == number

    await station.call("StopTransaction", a_stop(number, idTag="TAG1", reason="DeAuthorized"))
    stopped = await query(the_transaction)
    assert (stopped.is_open, stopped.transaction_status, stopped.energy_wh) == (False, "Unauthorized", 1500)
    assert stopped.flags == []


async def test_id_04_each_refused_start_gets_a_number_of_its_own(station: Station16, query: Query) -> None:
    numbers = {await start(station, "NOBODY", minutes) for minutes in (-50, -40, -30)}
    assert len(numbers) == 3
    assert min(numbers) > 0
    assert await query(lambda: set(Transaction.objects.values_list("pk", flat=True))) == numbers


async def test_id_04_a_refused_start_does_not_keep_its_tag_from_charging_elsewhere(
    station: Station16, query: Query
) -> None:
    await give(query, "TAG1", expiry_date=NOW - timedelta(days=1))
    await start(station, "TAG1", connectorId=1)
    await query(lambda: IdTag.objects.update(expiry_date=None))
    answer = await station.call("StartTransaction", a_start("TAG1", connectorId=2))
    assert answer["idTagInfo"] == {"status": "Accepted"}


# ID-05: stations that take only certain tags from afar


async def test_id_05_a_remote_start_carries_the_tag_the_operator_chose_as_it_is(station: Station16) -> None:
    await station.heartbeat()
    for tag in ("04A1B2C3D4E5F6", "deadbeef", "APP-7C21", "VID:00112233", LONG):
        command = await operator.perform("RemoteStartTransaction", {"idTag": tag, "connectorId": 1})
        assert (command.status, command.response) == ("answered", {"status": "Accepted"})
        assert (await station.expect_call("RemoteStartTransaction")).payload == {"idTag": tag, "connectorId": 1}


async def test_id_05_a_tag_that_the_station_does_not_take_is_shown_and_another_may_be_tried(
    station: Station16, query: Query
) -> None:
    def only_hex(payload: Payload) -> Payload:
        return {"status": "Accepted" if set(payload["idTag"]) <= set("0123456789ABCDEF") else "Rejected"}

    station.answers["RemoteStartTransaction"] = only_hex
    await give(query, "APP-7C21", "04A1B2C3")
    await station.heartbeat()
    refused = await operator.perform("RemoteStartTransaction", {"idTag": "APP-7C21"})
    assert (refused.status, refused.response) == ("answered", {"status": "Rejected"})
    assert await query(lambda: Transaction.objects.count()) == 0
    taken = await operator.perform("RemoteStartTransaction", {"idTag": "04A1B2C3"})
    assert taken.response == {"status": "Accepted"}
    assert [call.payload for call in station.calls] == [{"idTag": "APP-7C21"}, {"idTag": "04A1B2C3"}]
    started = await station.call("StartTransaction", a_start("04a1b2c3"))
    assert started["idTagInfo"] == {"status": "Accepted"}
