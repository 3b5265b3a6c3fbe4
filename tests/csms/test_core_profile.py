"""OCPP 1.6 Core over real sockets: what a station tells and what an operator asks, and what stands in the end."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import RegistrationStatus, TransactionFlag
from chargers.models import (
    ChargePoint,
    Connector,
    IdTag,
    MeterValue,
    StatusNotification,
    Transaction,
    Variable,
)
from chargers.services import connectors
from tasks.errors import NotAccepted
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload, dumps
from tests.simulator.v16 import Station16, meter_value, sample, timestamp

now = datetime.now(UTC)


@pytest.fixture(autouse=True)
def set_the_clock() -> None:
    """Count from where the test begins: what happened minutes before it is told is told late."""
    global now
    now = datetime.now(UTC).replace(microsecond=0)


def ago(**members: float) -> datetime:
    return now - timedelta(**members)


def make_tags() -> None:
    """A tag of each kind: TAG1 is an ordinary one."""
    IdTag.objects.create(id_token="TAG1")
    IdTag.objects.create(id_token="BLOCKED", revoked=True)
    IdTag.objects.create(id_token="EXPIRED", expiry_date="2020-01-01T00:00:00Z")
    IdTag.objects.create(id_token="UNTIL2099", expiry_date="2099-01-01T00:00:00.5Z")
    for name, members in {
        "FAMILY": {"expiry_date": "2098-01-01T00:00:00Z"},
        "BADFAMILY": {"revoked": True},
        "OLDFAMILY": {"expiry_date": "2020-01-01T00:00:00Z"},
    }.items():
        parent = IdTag.objects.create(id_token=name, **members)
        IdTag.objects.create(id_token=f"OF-{name}", parent=parent)


# The idTagInfo that each of them is answered, whatever asks for it.
ANSWERS: dict[str, Payload] = {
    "TAG1": {"status": "Accepted"},
    "tag-1": {"status": "Accepted"},
    "NOBODY": {"status": "Invalid"},
    "BLOCKED": {"status": "Blocked"},
    "EXPIRED": {"expiryDate": "2020-01-01T00:00:00Z", "status": "Expired"},
    "UNTIL2099": {"expiryDate": "2099-01-01T00:00:00Z", "status": "Accepted"},
    "OF-FAMILY": {"expiryDate": "2098-01-01T00:00:00Z", "parentIdTag": "FAMILY", "status": "Accepted"},
    "OF-BADFAMILY": {"parentIdTag": "BADFAMILY", "status": "Blocked"},
    "OF-OLDFAMILY": {"expiryDate": "2020-01-01T00:00:00Z", "parentIdTag": "OLDFAMILY", "status": "Expired"},
}


@pytest.fixture
async def tags(transactional_db: None) -> None:
    await query_in_thread(make_tags)


@pytest.fixture
async def ready(tags: None, url: str) -> AsyncIterator[Station16]:
    """CP1 with two connectors, booted and with a tag it may charge with."""
    async with Station16(url, "CP1", connectors=2) as station:
        await station.boot()
        yield station


@pytest.fixture
async def living(tags: None, url: str) -> AsyncIterator[Station16]:
    """CP1 with two connectors and a life of its own: it does what it is asked."""
    async with Station16(url, "CP1", connectors=2, autonomous=True, meter_interval=0.02) as station:
        await station.start_up()
        yield station


def the_transaction() -> Transaction:
    return Transaction.objects.select_related("connector").get()


def flags() -> list[list[str]]:
    return list(Transaction.objects.order_by("pk").values_list("flags", flat=True))


def a_start(connector: int = 1, tag: str = "TAG1", meter: int = 1000, at: datetime | None = None) -> Payload:
    moment = timestamp(at or ago(minutes=2))
    return {"connectorId": connector, "idTag": tag, "meterStart": meter, "timestamp": moment}


def a_stop(number: int, meter: int = 2000, at: datetime | None = None, **members: Any) -> Payload:
    moment = timestamp(at or ago(minutes=1))
    return {"transactionId": number, "idTag": "TAG1", "meterStop": meter, "timestamp": moment, **members}


def values(number: int | None, readings: Sequence[tuple[datetime, float]], connector: int = 1) -> Payload:
    told = [meter_value(at, [sample(value, "Energy.Active.Import.Register", "Wh")]) for at, value in readings]
    named = {"transactionId": number} if number is not None else {}
    return {"connectorId": connector, "meterValue": told, **named}


async def begin(station: Station16, **members: Any) -> int:
    """Start a transaction; return its number."""
    return int((await station.call("StartTransaction", a_start(**members)))["transactionId"])


# BootNotification and what follows from it

REQUESTS: dict[str, Payload] = {
    "Authorize": {"idTag": "TAG1"},
    "DataTransfer": {"vendorId": "com.example"},
    "Heartbeat": {},
    "MeterValues": values(None, [(ago(minutes=1), 5)]),
    "StartTransaction": a_start(),
    "StatusNotification": {"connectorId": 1, "status": "Available", "errorCode": "NoError"},
    "StopTransaction": a_stop(1),
}


def stored() -> int:
    return sum(model.objects.count() for model in (Transaction, MeterValue, StatusNotification, Connector))


async def outcomes(station: Station16) -> set[str]:
    """Send everything a station may send but a boot; return how it was taken."""
    found = set()
    for action, payload in REQUESTS.items():
        try:
            await station.call(action, payload)
            found.add("served")
        except CallError as error:
            found.add(error.code)
    return found


@pytest.mark.parametrize("status", RegistrationStatus.values)
async def test_a_boot_is_answered_the_registration_status_which_is_enforced(
    tags: None, url: str, query: Query, settings: Settings, status: str
) -> None:
    settings.OCPP_HEARTBEAT_INTERVAL = 77
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=status))
    async with Station16(url, "CP1") as station:
        answer = await station.boot()
        assert (answer["status"], answer["interval"]) == (status, 77)
        assert abs(datetime.fromisoformat(answer["currentTime"]) - datetime.now(UTC)) < timedelta(seconds=5)
        accepted = status == "Accepted"
        assert await outcomes(station) == {"served" if accepted else "SecurityError"}
        assert (await query(stored) > 0) is accepted
    # So it is on the next connection, before any boot.
    async with Station16(url, "CP1") as station:
        assert await outcomes(station) == {"served" if accepted else "SecurityError"}


async def test_a_boot_after_the_operator_has_accepted_the_station_lets_it_work(url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status="Pending"))
    async with Station16(url, "CP1") as station:
        assert (await station.boot())["status"] == "Pending"
        await query(lambda: ChargePoint.objects.update(registration_status="Accepted"))
        with pytest.raises(CallError, match="SecurityError"):
            await station.heartbeat()
        assert (await station.boot())["status"] == "Accepted"
        assert "currentTime" in await station.heartbeat()
        await query(lambda: ChargePoint.objects.update(registration_status="Rejected"))
        assert (await station.boot())["status"] == "Rejected"
        with pytest.raises(CallError, match="SecurityError"):
            await station.heartbeat()


async def test_a_pending_station_is_set_up_and_sends_what_it_is_asked_for(url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status="Pending"))
    async with Station16(url, "CP1", autonomous=True) as station:
        await station.boot()
        asked = {"requestedMessage": "StatusNotification", "connectorId": 1}
        assert (await operator.perform("TriggerMessage", asked)).response == {"status": "Accepted"}
        await until(lambda: Connector.objects.filter(connector_status="Available").exists())
        assert (await operator.perform("GetConfiguration")).status == "answered"
        for action, payload in (
            ("RemoteStartTransaction", {"idTag": "TAG1"}),
            ("RemoteStopTransaction", {"transactionId": 1}),
        ):
            with pytest.raises(NotAccepted):
                await operator.ask(action, payload)


async def test_a_rejected_station_is_asked_nothing(url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status="Rejected"))
    async with Station16(url, "CP1") as station:
        await station.boot()
        with pytest.raises(NotAccepted):
            await operator.ask("Reset", {"type": "Soft"})
        assert station.calls == []


async def test_a_boot_keeps_what_the_station_says_of_itself(url: str, query: Query) -> None:
    told = {
        "chargePointSerialNumber": "SN1",
        "chargeBoxSerialNumber": "BOX1",
        "firmwareVersion": "1.2.3",
        "iccid": "8930",
        "imsi": "2620",
        "meterType": "Landis",
        "meterSerialNumber": "M1",
    }
    async with Station16(url, "CP1", vendor="Acme", model="One", boot=told) as station:
        await station.boot()
    row = await query(lambda: ChargePoint.objects.get())
    assert (row.chargepoint_vendor, row.chargepoint_model, row.firmware_version) == ("Acme", "One", "1.2.3")
    assert (row.chargepoint_serial_number, row.chargebox_serial_number) == ("SN1", "BOX1")
    assert (row.iccid, row.imsi, row.meter_type, row.meter_serial_number) == ("8930", "2620", "Landis", "M1")
    assert row.last_boot is not None


# Heartbeat, StatusNotification, DataTransfer


async def test_a_heartbeat_is_answered_the_time_and_noted(ready: Station16, query: Query) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    answer = await ready.heartbeat()
    assert list(answer) == ["currentTime"]
    assert before <= datetime.fromisoformat(answer["currentTime"]) <= datetime.now(UTC)
    row = await query(lambda: ChargePoint.objects.get())
    assert row.last_heartbeat == row.last_seen >= before


async def test_statuses_are_history_and_the_newest_is_the_live_state(ready: Station16, query: Query) -> None:
    told = [
        (0, "Available", "NoError", 30),
        (1, "Preparing", "NoError", 30),
        (1, "Faulted", "GroundFailure", 20),
        (2, "Charging", "NoError", 20),
        # Told late: it was so before.
        (1, "Charging", "NoError", 25),
        (0, "Unavailable", "NoError", 40),
    ]
    for connector, status, error_code, minutes in told:
        payload = {"connectorId": connector, "status": status, "errorCode": error_code}
        assert await ready.call("StatusNotification", payload | {"timestamp": timestamp(ago(minutes=minutes))}) == {}
    history = await query(
        lambda: list(
            StatusNotification.objects.order_by("pk").values_list("evse_id", "status", "error_code", "timestamp")
        )
    )
    assert history == [(number, status, code, ago(minutes=minutes)) for number, status, code, minutes in told]
    live = await query(lambda: list(Connector.objects.values_list("evse_id", "connector_status", "error_code")))
    assert live == [(1, "Faulted", "GroundFailure"), (2, "Charging", "NoError")]
    assert (await query(lambda: ChargePoint.objects.get())).chargepoint_status == "Available"


@pytest.mark.parametrize("more", [{}, {"messageId": "m", "data": '{"a": 1}'}], ids=["bare", "full"])
async def test_a_stations_data_of_a_vendor_nobody_knows_is_answered_so(ready: Station16, more: Payload) -> None:
    assert await ready.call("DataTransfer", {"vendorId": "com.example", **more}) == {"status": "UnknownVendorId"}


async def test_an_operators_data_goes_to_the_station_and_its_answer_is_kept(ready: Station16) -> None:
    ready.answers["DataTransfer"] = {"status": "Accepted", "data": "pong"}
    command = await operator.perform("DataTransfer", {"vendorId": "com.example", "messageId": "ping", "data": "ping"})
    assert (command.status, command.response) == ("answered", {"status": "Accepted", "data": "pong"})
    assert ready.calls[-1].payload == {"vendorId": "com.example", "messageId": "ping", "data": "ping"}


# Id tags


async def test_each_tag_is_answered_the_same_by_authorize_start_and_stop(ready: Station16, query: Query) -> None:
    for tag, info in ANSWERS.items():
        assert await ready.call("Authorize", {"idTag": tag}) == {"idTagInfo": info}, tag
        started = await ready.call("StartTransaction", a_start(tag=tag))
        assert started == {"idTagInfo": info, "transactionId": started["transactionId"]}, tag
        assert started["transactionId"] > 0
        row = await query(lambda: Transaction.objects.first())
        assert row.authorization_status == info["status"]
        assert row.transaction_status == ("Started" if info["status"] == "Accepted" else "Unauthorized")
        stop = a_stop(started["transactionId"], idTag=tag)
        assert await ready.call("StopTransaction", stop) == {"idTagInfo": info}, tag
    assert await query(lambda: Transaction.objects.filter(stop_transaction_timestamp=None).count()) == 0


@pytest.mark.parametrize(("allowed", "accepted"), [(1, 1), (2, 2), (None, 3)])
async def test_a_tag_may_charge_as_often_at_once_as_it_is_allowed(
    tags: None, url: str, query: Query, allowed: int | None, accepted: int
) -> None:
    await query(lambda: IdTag.objects.update(max_active_transactions=allowed))
    async with Station16(url, "CP1") as one, Station16(url, "CP2", connectors=2) as two:
        answers = [
            await one.call("StartTransaction", a_start()),
            await two.call("StartTransaction", a_start()),
            await two.call("StartTransaction", a_start(2)),
        ]
        statuses = [answer["idTagInfo"]["status"] for answer in answers]
        assert statuses == ["Accepted"] * accepted + ["ConcurrentTx"] * (3 - accepted)
        assert len({answer["transactionId"] for answer in answers}) == 3
        # Only relevant for a StartTransaction (section 7.2).
        assert await one.authorize("TAG1") == {"status": "Accepted"}
        await one.call("StopTransaction", a_stop(answers[0]["transactionId"]))
        again = await one.call("StartTransaction", a_start(at=ago(seconds=30)))
        assert again["idTagInfo"]["status"] == "Accepted"


async def test_an_unknown_tag_is_registered_where_that_is_allowed(
    ready: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_AUTHORIZE_UNKNOWN = True
    assert await ready.authorize("NEW1") == {"status": "Accepted"}
    started = await ready.call("StartTransaction", a_start(tag="NEW2"))
    assert started["idTagInfo"] == {"status": "Accepted"}
    assert await query(lambda: set(IdTag.objects.filter(id_token__startswith="NEW").values_list("pk", flat=True))) == {
        "NEW1",
        "NEW2",
    }
    assert (await query(the_transaction)).id_tag_id == "NEW2"


# Transactions and meter values


async def test_values_with_a_transaction_move_it_and_those_without_move_nothing(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    assert await ready.call("MeterValues", values(number, [(ago(seconds=90), 1500), (ago(seconds=80), 1600)])) == {}
    assert await ready.call("MeterValues", values(None, [(ago(seconds=70), 9000)])) == {}
    assert await ready.call("MeterValues", values(None, [(ago(seconds=70), 99_000)], connector=0)) == {}
    row = await query(the_transaction)
    assert (row.wh_meter_last, row.energy_wh, row.flags) == (1600, 600, [])
    kept = await query(lambda: list(MeterValue.objects.values_list("transaction", "evse_id", "energy_wh")))
    assert kept == [(number, 1, 1500), (number, 1, 1600), (None, 1, 9000), (None, 0, 99_000)]


async def test_values_after_the_stop_are_kept_and_reopen_nothing(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    await ready.call("StopTransaction", a_stop(number))
    assert await ready.call("MeterValues", values(number, [(ago(seconds=30), 2001)])) == {}
    row = await query(the_transaction)
    assert (row.is_open, row.energy_wh, row.flags) == (False, 1000, [])
    assert (await query(lambda: MeterValue.objects.get())).transaction_id == number


async def test_a_stop_keeps_its_transaction_data_once(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    middle = ago(seconds=90)
    await ready.call("MeterValues", values(number, [(middle, 1500)]))
    data = values(number, [(ago(minutes=2), 1000), (middle, 1500), (ago(minutes=1), 2000)])["meterValue"]
    stop = a_stop(number, transactionData=data, reason="EVDisconnected")
    assert await ready.call("StopTransaction", stop) == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert (row.reason_stopped, row.stop_id_tag, row.energy_wh) == ("EVDisconnected", "TAG1", 1000)
    assert (row.transaction_status, row.stop_transaction_timestamp) == ("Finished", ago(minutes=1))
    energies = await query(lambda: sorted(MeterValue.objects.values_list("energy_wh", flat=True)))
    assert energies == [1000, 1500, 2000]


async def test_a_stop_without_a_tag_is_answered_without_one(ready: Station16, query: Query) -> None:
    stop = a_stop(await begin(ready))
    del stop["idTag"]
    assert await ready.call("StopTransaction", stop) == {}
    row = await query(the_transaction)
    assert (row.id_tag_id, row.stop_id_tag, row.is_open) == ("TAG1", "", False)


async def test_a_start_that_uses_a_reservation_names_it(ready: Station16, query: Query) -> None:
    await ready.call("StartTransaction", a_start() | {"reservationId": 7})
    assert (await query(the_transaction)).reservation_id == 7


# Repeats


async def repeat(station: Station16, action: str, payload: Payload, how: str) -> Payload:
    """Send a message and send it again; return the second answer."""
    first = await station.call(action, payload, message_id="m1")
    if how == "after a reconnect":
        await station.drop()
        await station.connect()
    again = await station.call(action, payload, message_id="m2" if how == "under a new id" else "m1")
    assert again == first
    return again


HOW = ["under the same id", "under a new id", "after a reconnect"]


@pytest.mark.parametrize("how", HOW)
async def test_a_repeated_start_is_the_same_transaction(ready: Station16, query: Query, how: str) -> None:
    answer = await repeat(ready, "StartTransaction", a_start(), how)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    row = await query(the_transaction)
    assert (row.pk, row.is_open, row.flags) == (answer["transactionId"], True, [])


@pytest.mark.parametrize("how", HOW)
async def test_a_repeated_stop_changes_nothing(ready: Station16, query: Query, how: str) -> None:
    number = await begin(ready)
    data = values(number, [(ago(minutes=1), 2000)])["meterValue"]
    await repeat(ready, "StopTransaction", a_stop(number, transactionData=data), how)
    row = await query(the_transaction)
    assert (row.energy_wh, row.flags) == (1000, [])
    assert await query(lambda: MeterValue.objects.count()) == 1


@pytest.mark.parametrize("how", HOW)
async def test_a_stop_for_an_unknown_transaction_is_one_orphan(ready: Station16, query: Query, how: str) -> None:
    answer = await repeat(ready, "StopTransaction", a_stop(4711), how)
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert (row.uuid, row.wh_meter_stop, row.flags) == ("4711", 2000, [TransactionFlag.ORPHAN_STOP])


async def test_a_repeated_stop_that_says_something_else_is_flagged(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    await ready.call("StopTransaction", a_stop(number))
    assert await ready.call("StopTransaction", a_stop(number, meter=2500)) == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert (row.energy_wh, row.flags) == (1000, [TransactionFlag.STOP_DIFFERS])


async def test_a_repeated_status_or_value_under_the_same_id_is_stored_once(ready: Station16, query: Query) -> None:
    await repeat(ready, "MeterValues", values(None, [(ago(minutes=1), 5)]), HOW[0])
    status = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
    await repeat(ready, "StatusNotification", status, HOW[0])
    assert await query(lambda: (MeterValue.objects.count(), StatusNotification.objects.count())) == (1, 1)


# Contradictions


async def test_a_backlog_told_in_one_burst_stands_as_it_was_and_moves_nothing_live(
    ready: Station16, query: Query
) -> None:
    await ready.status(1, "Charging")
    live = await begin(ready)
    await ready.call("MeterValues", values(live, [(ago(seconds=60), 1500)]))
    for days in (400, 3, 2):
        at = ago(days=days)
        number = await begin(ready, at=at, meter=days)
        await ready.call("MeterValues", values(number, [(at + timedelta(hours=1), days + 500)]))
        status = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
        await ready.call("StatusNotification", status | {"timestamp": timestamp(at + timedelta(hours=2))})
        await ready.call("StopTransaction", a_stop(number, days + 1000, at + timedelta(hours=2)))
    rows = await query(lambda: list(Transaction.objects.order_by("pk")))
    running, *old = rows
    assert (running.pk, running.is_open, running.wh_meter_last, running.flags) == (live, True, 1500, [])
    assert [row.start_transaction_timestamp for row in old] == [ago(days=days) for days in (400, 3, 2)]
    assert {(row.energy_wh, row.authorization_status, tuple(row.flags)) for row in old} == {
        (Decimal(1000), "Accepted", (TransactionFlag.OFFLINE,))
    }
    assert (await query(lambda: Connector.objects.get())).connector_status == "Charging"


async def test_a_meter_that_jumps_back_is_flagged_and_never_counts_negative(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    for seconds, value in ((100, 1500), (90, 1400), (80, 0)):
        assert await ready.call("MeterValues", values(number, [(ago(seconds=seconds), value)])) == {}
    assert await ready.call("StopTransaction", a_stop(number, 900)) == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert row.flags == [TransactionFlag.METER_JUMPED_BACK, TransactionFlag.STOP_BELOW_START]
    assert (row.wh_meter_stop, row.energy_wh) == (900, 500)
    assert await query(lambda: MeterValue.objects.count()) == 3


async def test_a_start_on_a_busy_connector_ends_what_was_open(ready: Station16, query: Query) -> None:
    first = await begin(ready)
    other = await begin(ready, connector=2, tag="OF-FAMILY")
    await ready.call("MeterValues", values(first, [(ago(seconds=90), 1500)]))
    answer = await ready.call("StartTransaction", a_start(at=ago(seconds=30)))
    assert answer["idTagInfo"]["status"] == "Accepted"
    assert await query(flags) == [[TransactionFlag.SUPERSEDED], [], []]
    rows = await query(lambda: {row.pk: row for row in Transaction.objects.all()})
    assert (rows[first].energy_wh, rows[first].stop_transaction_timestamp) == (500, ago(seconds=30))
    assert rows[other].is_open
    assert rows[answer["transactionId"]].is_open


async def test_a_boot_leaves_an_open_transaction_open_and_flags_it(ready: Station16, query: Query) -> None:
    number = await begin(ready)
    await ready.boot()
    assert await ready.call("MeterValues", values(number, [(ago(seconds=90), 1500)])) == {}
    row = await query(the_transaction)
    assert (row.is_open, row.wh_meter_last, row.flags) == (True, 1500, [TransactionFlag.BOOTED_DURING])
    stop = a_stop(number, reason="PowerLoss")
    assert await ready.call("StopTransaction", stop) == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert (row.energy_wh, row.reason_stopped, row.flags) == (1000, "PowerLoss", [TransactionFlag.BOOTED_DURING])


async def test_a_boot_that_was_asked_for_flags_nothing(living: Station16, query: Query) -> None:
    await begin(living)
    before = (await query(lambda: ChargePoint.objects.get())).last_boot
    await operator.perform("TriggerMessage", {"requestedMessage": "BootNotification"})
    await until(lambda: ChargePoint.objects.get().last_boot > before)
    assert await query(flags) == [[]]


async def test_a_transaction_the_platform_never_saw_begin_is_adopted(ready: Station16, query: Query) -> None:
    await ready.call("MeterValues", values(4711, [(ago(seconds=90), 1500)]))
    assert await ready.call("StopTransaction", a_stop(4711)) == {"idTagInfo": {"status": "Accepted"}}
    row = await query(the_transaction)
    assert (row.uuid, row.energy_wh, row.flags) == ("4711", 500, [TransactionFlag.FOREIGN])


# What an operator asks


def operative() -> dict[int, str]:
    return dict(Connector.objects.values_list("evse_id", "availability_status"))


OUT, IN = "Inoperative", "Operative"


@pytest.mark.parametrize(
    ("connector", "change", "before", "after"),
    [
        (1, OUT, {1: IN, 2: IN}, {1: OUT, 2: IN}),
        (0, OUT, {1: IN, 2: IN}, {1: OUT, 2: OUT}),
        (0, IN, {1: OUT, 2: IN}, {1: IN, 2: IN}),
        (2, IN, {1: OUT, 2: OUT}, {1: OUT, 2: IN}),
    ],
)
@pytest.mark.parametrize("answer", ["Accepted", "Scheduled", "Rejected"])
async def test_availability_changes_where_the_station_takes_it(
    ready: Station16,
    query: Query,
    connector: int,
    change: str,
    before: dict[int, str],
    after: dict[int, str],
    answer: str,
) -> None:
    def prepare() -> None:
        places = connectors.ensure([("CP1", number, 1) for number in before], Changes())
        for place, row in places.items():
            row.availability_status = before[place[1]]
            row.save()

    await query(prepare)
    ready.answers["ChangeAvailability"] = {"status": answer}
    command = await operator.perform("ChangeAvailability", {"connectorId": connector, "type": change})
    assert command.response == {"status": answer}
    assert await query(operative) == (before if answer == "Rejected" else after)


async def test_a_connector_that_cannot_be_is_none(ready: Station16, query: Query) -> None:
    ready.answers["ChangeAvailability"] = {"status": "Accepted"}
    command = await operator.perform("ChangeAvailability", {"connectorId": 2**40, "type": OUT})
    assert command.status == "answered"
    assert await query(operative) == {}


async def test_a_connector_put_out_of_service_says_so(living: Station16, query: Query) -> None:
    await operator.perform("ChangeAvailability", {"connectorId": 2, "type": OUT})
    await until(lambda: Connector.objects.filter(evse_id=2, connector_status="Unavailable").exists())
    assert await query(operative) == {1: IN, 2: OUT}


def variables() -> dict[str, tuple[str | None, str]]:
    return {row.variable: (row.value, row.mutability) for row in Variable.objects.all()}


async def test_a_configuration_is_read_and_kept_as_variables(ready: Station16, query: Query) -> None:
    command = await operator.perform("GetConfiguration")
    kept = await query(variables)
    assert kept["HeartbeatInterval"] == ("300", "ReadWrite")
    assert kept["NumberOfConnectors"] == ("2", "ReadOnly")
    assert len(kept) == len(command.response["configurationKey"]) == len(ready.configuration)

    # A firmware update took one key away and changed another.
    del ready.configuration["ResetRetries"]
    ready.configuration["ConnectionTimeOut"].value = "90"
    asked = {"key": ["ConnectionTimeOut", "ResetRetries", "NeverHeardOf"]}
    command = await operator.perform("GetConfiguration", asked)
    assert command.response["unknownKey"] == ["ResetRetries", "NeverHeardOf"]
    now = await query(variables)
    assert now == {key: value for key, value in kept.items() if key != "ResetRetries"} | {
        "ConnectionTimeOut": ("90", "ReadWrite")
    }


@pytest.mark.parametrize(
    ("key", "value", "status", "kept"),
    [
        ("ResetRetries", "5", "Accepted", "5"),
        ("ResetRetries", "5", "RebootRequired", "5"),
        ("ResetRetries", "5", "Rejected", "1"),
        ("ResetRetries", "5", "NotSupported", "1"),
        ("Vendor.New", "x", "Accepted", "x"),
        ("Vendor.New", "x", "NotSupported", None),
        ("AuthorizationKey", "0" * 40, "Accepted", None),
        ("authorizationkey", "0" * 40, "Accepted", None),
    ],
)
async def test_a_configuration_key_changes_where_the_station_takes_it(
    ready: Station16, query: Query, key: str, value: str, status: str, kept: str | None
) -> None:
    await operator.perform("GetConfiguration", {"key": ["ResetRetries"]})
    ready.answers["ChangeConfiguration"] = {"status": status}
    command = await operator.perform("ChangeConfiguration", {"key": key, "value": value})
    assert command.response == {"status": status}
    assert (await query(variables)).get(key, (None, ""))[0] == kept


async def test_a_key_that_a_station_must_not_tell_is_not_kept(ready: Station16, query: Query) -> None:
    told = {"key": "AuthorizationKey", "readonly": False, "value": "0" * 40}
    ready.answers["GetConfiguration"] = {"configurationKey": [told]}
    await operator.perform("GetConfiguration")
    assert await query(variables) == {"AuthorizationKey": (None, "WriteOnly")}


@pytest.mark.parametrize(
    ("action", "payload", "answers"),
    [
        ("Reset", {"type": "Hard"}, ["Accepted", "Rejected"]),
        ("ClearCache", {}, ["Accepted", "Rejected"]),
        ("UnlockConnector", {"connectorId": 1}, ["Unlocked", "UnlockFailed", "NotSupported"]),
        ("RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG1"}, ["Accepted", "Rejected"]),
        ("RemoteStopTransaction", {"transactionId": 1}, ["Accepted", "Rejected"]),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}, ["Accepted", "Rejected", "NotImplemented"]),
    ],
)
async def test_whatever_a_station_answers_is_kept_and_changes_nothing_by_itself(
    ready: Station16, query: Query, action: str, payload: Payload, answers: list[str]
) -> None:
    for answer in answers:
        ready.answers[action] = {"status": answer}
        command = await operator.perform(action, payload)
        assert (command.status, command.response) == ("answered", {"status": answer})
        assert ready.calls[-1].text == dumps([2, str(command.pk), action, payload])
    assert await query(stored) == 0


async def test_a_remote_start_and_stop_make_a_whole_session(living: Station16, query: Query) -> None:
    start = await operator.perform("RemoteStartTransaction", {"connectorId": 2, "idTag": "TAG1"})
    assert start.response == {"status": "Accepted"}
    await until(lambda: MeterValue.objects.filter(transaction__isnull=False).exists())
    row = await query(the_transaction)
    assert (row.evse_id, row.id_tag_id, row.is_open) == (2, "TAG1", True)
    stop = await operator.perform("RemoteStopTransaction", {"transactionId": row.pk})
    assert stop.response == {"status": "Accepted"}
    await until(lambda: not Transaction.objects.get().is_open)
    row = await query(the_transaction)
    assert (row.reason_stopped, row.transaction_status, row.flags) == ("Remote", "Finished", [])


async def test_a_remote_stop_of_a_foreign_transaction_names_it_as_the_station_does(
    ready: Station16, query: Query
) -> None:
    await ready.call("MeterValues", values(4711, [(ago(seconds=90), 1500)]))
    row = await query(the_transaction)
    await operator.perform("RemoteStopTransaction", {"transactionId": row.pk})
    assert ready.calls[-1].payload == {"transactionId": 4711}


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_a_reset_ends_the_session_and_boots_the_station(living: Station16, query: Query, kind: str) -> None:
    before = (await query(lambda: ChargePoint.objects.get())).last_boot
    await operator.perform("RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG1"})
    await until(lambda: MeterValue.objects.exists())
    assert (await operator.perform("Reset", {"type": kind})).response == {"status": "Accepted"}
    await until(lambda: ChargePoint.objects.get().last_boot > before)
    row = await query(the_transaction)
    assert (row.is_open, row.reason_stopped, row.flags) == (False, f"{kind}Reset", [])


async def test_unlocking_a_connector_ends_its_session(living: Station16, query: Query) -> None:
    await operator.perform("RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG1"})
    await until(lambda: MeterValue.objects.exists())
    assert (await operator.perform("UnlockConnector", {"connectorId": 1})).response == {"status": "Unlocked"}
    await until(lambda: not Transaction.objects.get().is_open)
    assert (await query(the_transaction)).reason_stopped == "UnlockCommand"


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("Heartbeat", lambda: ChargePoint.objects.filter(last_heartbeat__isnull=False).count()),
        ("StatusNotification", lambda: StatusNotification.objects.count()),
        ("MeterValues", lambda: MeterValue.objects.filter(transaction=None, evse_id=1).count()),
    ],
)
async def test_a_message_that_is_asked_for_comes(ready: Station16, query: Query, message: str, count: Any) -> None:
    ready.autonomous = True
    assert await query(count) == 0
    command = await operator.perform("TriggerMessage", {"requestedMessage": message, "connectorId": 1})
    assert command.response == {"status": "Accepted"}
    await until(count)
