"""Remote control of transactions over real sockets (blocks E, F and I)."""

from typing import Any

import pytest

from chargers.models import Transaction
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.v2 import Station201, token

ACCEPTED = {"status": "Accepted"}
TAG = token("TAG1")
GROUP = {"idToken": "FAMILY", "type": "Central"}


@pytest.fixture(autouse=True)
def with_tags(tags: None) -> None:
    """The id tags."""


def the_transaction() -> Transaction:
    return Transaction.objects.get()


async def test_a_remote_start_is_numbered_and_the_transaction_that_follows_tells_the_number(
    station: Station201, query: Query
) -> None:
    command = await operator.perform("RequestStartTransaction", {"evseId": 1, "idToken": TAG})
    assert command.response == ACCEPTED
    sent = station.calls[-1].payload
    assert sent == {"evseId": 1, "groupIdToken": GROUP, "idToken": TAG, "remoteStartId": sent["remoteStartId"]}
    assert 0 < sent["remoteStartId"] < 2**31
    await station.started(1, TAG, remote_start_id=sent["remoteStartId"])
    assert (await query(the_transaction)).remote_start_id == sent["remoteStartId"]


async def test_an_autonomous_station_goes_through_a_remote_start_and_stop(url: str, query: Query) -> None:
    async with Station201(url, "CP2", autonomous=True) as station:
        await station.start_up()
        started = await operator.perform("RequestStartTransaction", {"idToken": TAG}, "CP2")
        await until(lambda: Transaction.objects.filter(remote_start_id=started.payload["remoteStartId"]).exists())
        number = str((await query(the_transaction)).pk)
        stopped = await operator.perform("RequestStopTransaction", {"transactionId": number}, "CP2")
        assert stopped.response == ACCEPTED
        await until(lambda: not the_transaction().is_open)
    row = await query(the_transaction)
    assert (row.reason_stopped, row.transaction_status) == ("Remote", "Finished")


async def test_a_transaction_that_began_when_the_cable_was_plugged_in_is_matched_by_the_answer(
    station: Station201, query: Query
) -> None:
    await station.started(1, transaction_id="CABLE-FIRST")
    station.answers["RequestStartTransaction"] = {"status": "Accepted", "transactionId": "CABLE-FIRST"}
    command = await operator.perform("RequestStartTransaction", {"evseId": 1, "idToken": TAG})
    assert (await query(the_transaction)).remote_start_id == command.payload["remoteStartId"]


async def test_a_refused_remote_start_matches_nothing(station: Station201, query: Query) -> None:
    await station.started(1, transaction_id="CABLE-FIRST")
    station.answers["RequestStartTransaction"] = {"status": "Rejected", "transactionId": "CABLE-FIRST"}
    command = await operator.perform("RequestStartTransaction", {"evseId": 1, "idToken": TAG})
    assert command.response is not None
    assert command.response["status"] == "Rejected"
    assert (await query(the_transaction)).remote_start_id is None


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        ({"chargingProfilePurpose": "TxDefaultProfile"}, "charging_profile.charging_profile_purpose"),
        (
            {"chargingProfilePurpose": "TxProfile", "transactionId": "T"},
            "charging_profile.transaction_id",
        ),
    ],
)
async def test_a_remote_start_takes_a_profile_of_the_transaction_to_come_only(
    station: Station201, profile: dict[str, Any], field: str
) -> None:
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]}
    told = {"stackLevel": 0, "chargingProfileKind": "Relative", "chargingSchedule": [schedule], **profile}
    with pytest.raises(InvalidBody) as caught:
        await operator.perform("RequestStartTransaction", {"idToken": TAG, "chargingProfile": told})
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("action", ["RequestStopTransaction", "GetTransactionStatus"])
async def test_a_transaction_is_named_as_the_station_does(station: Station201, query: Query, action: str) -> None:
    await station.started(1, transaction_id="any id-of/36 characters 0123456789")
    number = (await query(the_transaction)).pk
    for named in (str(number), station.running().id):
        await operator.perform(action, {"transactionId": named})
        assert station.calls[-1].payload == {"transactionId": station.running().id}


async def test_a_number_that_is_a_stations_own_id_is_meant_so(station: Station201, query: Query) -> None:
    await station.started(1, transaction_id="first")
    number = str((await query(the_transaction)).pk)
    await station.started(2, transaction_id=number)
    await operator.perform("RequestStopTransaction", {"transactionId": number})
    assert station.calls[-1].payload == {"transactionId": number}


async def test_a_transaction_that_is_over_for_the_station_and_was_lost_is_closed(
    station: Station201, query: Query
) -> None:
    await station.started(1, TAG)
    lost = station.running().id
    station.evses[1].running = None
    command = await operator.perform("GetTransactionStatus", {"transactionId": lost})
    assert command.response == {"messagesInQueue": False, "ongoingIndicator": False}
    row = await query(the_transaction)
    assert (row.is_open, row.flags) == (False, ["no_stop"])


async def test_a_transaction_that_is_in_the_stations_queue_is_left_open(station: Station201, query: Query) -> None:
    await station.started(1, TAG)
    station.answers["GetTransactionStatus"] = {"messagesInQueue": True, "ongoingIndicator": False}
    await operator.perform("GetTransactionStatus", {"transactionId": station.running().id})
    assert (await query(the_transaction)).is_open


async def test_what_a_station_was_told_of_a_cost_is_kept(station: Station201, query: Query) -> None:
    await station.started(1, TAG)
    await operator.perform("CostUpdated", {"totalCost": 3.14, "transactionId": str((await query(the_transaction)).pk)})
    assert station.calls[-1].payload == {"totalCost": 3.14, "transactionId": station.running().id}
    assert float((await query(the_transaction)).total_cost) == 3.14


async def test_a_cost_below_nothing_is_refused(station: Station201) -> None:
    with pytest.raises(InvalidBody, match="total_cost"):
        await operator.perform("CostUpdated", {"totalCost": -1, "transactionId": "T"})


async def test_events_kept_while_offline_come_in_order_and_are_flagged(station: Station201, query: Query) -> None:
    await station.started(1, TAG)
    await station.disconnect()
    for energy in (100, 200):
        station.evses[1].energy = energy
        await station.meter()
    await station.ended()
    await station.connect()
    await station.flush()
    row = await query(the_transaction)
    assert (row.flags, row.last_seq_no, float(row.energy_wh)) == (["offline"], 3, 200)
