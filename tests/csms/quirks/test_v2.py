"""Habits of stations of OCPP 2.0.1: the group V2 of docs/quirks.md."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from chargers.models import Connector, IdTag, MeterValue, Transaction
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.simulator.station import CallError
from tests.simulator.v2 import Station201, sample, token
from tests.simulator.v2.members import energy

TAG = token("TAG1")


@pytest.fixture
async def station(transactional_db: None, url: str) -> AsyncIterator[Station201]:
    """CP1 with two EVSEs, booted, and a tag that it may show."""
    await query_in_thread(lambda: IdTag.objects.create(id_token="TAG1"))
    async with Station201(url, "CP1", evses=2) as connected:
        await connected.start_up()
        yield connected


async def refused(station: Station201, action: str, payload: dict[str, Any]) -> CallError:
    with pytest.raises(CallError) as caught:
        await station.call(action, payload)
    return caught.value


async def test_v2_01_payloads_of_1_6_are_refused_and_the_connection_stays(station: Station201) -> None:
    start = {"connectorId": 1, "idTag": "TAG1", "meterStart": 0, "timestamp": "2026-01-01T10:00:00Z"}
    assert (await refused(station, "StartTransaction", start)).code == "NotImplemented"
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    assert (await refused(station, "StatusNotification", status)).code == "OccurrenceConstraintViolation"
    assert "currentTime" in await station.heartbeat()


async def test_v2_02_a_request_that_a_station_measures_by_1_6_ends_with_its_words(station: Station201) -> None:
    station.answers["ClearChargingProfile"] = CallError("FormationViolation", "id is missing")
    command = await operator.perform("ClearChargingProfile", {"chargingProfileId": 1})
    assert command.status == "error"
    assert command.error is not None
    assert (command.error["code"], command.error["description"]) == ("FormationViolation", "id is missing")


@pytest.mark.parametrize("kind", ["NoAuthorization", "Central"])
async def test_v2_04_an_empty_token_charges_and_names_nobody(station: Station201, query: Query, kind: str) -> None:
    assert await station.started(1, token("", kind)) == {"idTokenInfo": {"status": "Accepted"}}
    row = await query(lambda: Transaction.objects.get())
    assert (row.id_tag_id, row.transaction_status) == (None, "Started")


async def test_v2_05_an_evse_alone_means_its_only_connector(station: Station201, query: Query) -> None:
    await station.started(2, TAG, connector=None)
    row = await query(lambda: Transaction.objects.select_related("connector").get())
    assert (row.connector.evse_id, row.connector.connectorid) == (2, 1)


async def test_v2_05_events_out_of_order_with_gaps_and_repeats_leave_one_session(
    station: Station201, query: Query
) -> None:
    await station.started(1, TAG)
    await station.meter(seq_no=3, charging_state="Charging")
    for _ in range(2):
        await station.updated("ChargingStateChanged", seq_no=1, charging_state="SuspendedEV", offline=True)
    row = await query(lambda: Transaction.objects.get())
    assert (row.charging_state, row.flags) == ("Charging", ["offline"])
    station.running().seq_no = 4
    running = station.running()
    await station.ended()
    assert (await query(lambda: Transaction.objects.get())).flags == ["events_missing", "offline"]
    station.evses[1].running = running
    await station.updated("ChargingStateChanged", seq_no=2, offline=True)
    row = await query(lambda: Transaction.objects.get())
    assert (row.flags, row.transaction_status, row.is_open) == (["offline"], "Finished", False)


async def test_v2_06_available_after_the_end_and_a_meter_of_each_session(station: Station201, query: Query) -> None:
    for used in (800, 700):
        station.evses[1].energy = 0
        await station.started(1, TAG)
        station.evses[1].energy = used
        await station.ended()
        await station.status(1, "Available")
    rows = await query(lambda: list(Transaction.objects.order_by("pk")))
    assert [(row.energy_wh, row.flags) for row in rows] == [(Decimal(800), []), (Decimal(700), [])]
    assert (await query(lambda: Connector.objects.get(evse_id=1))).connector_status == "Available"


async def test_v2_07_a_token_and_an_evse_in_each_event_change_nothing(station: Station201, query: Query) -> None:
    answers = [await station.started(1, TAG)]
    answers += [await station.meter(id_token=TAG) for _ in range(3)]
    answers.append(await station.ended(id_token=TAG))
    assert [answer["idTokenInfo"]["status"] for answer in answers] == ["Accepted"] * 5
    assert (await query(lambda: Transaction.objects.get())).transaction_status == "Finished"


async def test_v2_10_names_of_ocpp_2_0_are_refused_by_name(station: Station201) -> None:
    event = {
        "eventType": "Started",
        "timestamp": "2026-01-01T10:00:00Z",
        "triggerReason": "EVDetected",
        "seqNo": 0,
        "transactionData": {"id": "1"},
    }
    error = await refused(station, "TransactionEvent", event)
    assert error.code == "OccurrenceConstraintViolation"
    assert "transactionInfo" in error.description


async def test_v2_11_meter_values_of_an_evse_belong_to_what_runs_there(station: Station201, query: Query) -> None:
    await station.started(1, TAG)
    assert await station.meter_values(1, [energy(400), sample(7000, "Power.Active.Import", "W")]) == {}
    assert await station.meter_values(2, [energy(900)]) == {}
    row = await query(lambda: Transaction.objects.get())
    assert (row.wh_meter_last, row.energy_wh) == (Decimal(400), Decimal(400))
    kept = await query(lambda: list(MeterValue.objects.order_by("pk").values_list("evse_id", "transaction")))
    assert kept == [(1, row.pk), (1, row.pk), (2, None)]
