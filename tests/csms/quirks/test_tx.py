"""Transactions as real stations tell them: the group TX of the habits that docs/quirks.md lists."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chargers.models import Connector, Deviation, IdTag, MeterValue, Transaction
from tasks import tasks
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

NOW = datetime.now(UTC).replace(microsecond=0)
BIGGEST = 2**63 - 1


def at(minutes: float) -> str:
    """Spell the time so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def reading(minutes: float, energy: object, **more: str) -> Payload:
    sample = {"value": str(energy), "measurand": "Energy.Active.Import.Register", "unit": "Wh", **more}
    return {"timestamp": at(minutes), "sampledValue": [sample]}


class Teller:
    """What a station tells of its transactions."""

    def __init__(self, station: Station16) -> None:
        self.station = station

    async def started(self, meter: Any = 1000, *, tag: str = "TAG1", minutes: float = -4, **more: Any) -> Payload:
        start = {"connectorId": 1, "idTag": tag, "meterStart": meter, "timestamp": at(minutes), **more}
        return await self.station.call("StartTransaction", start)

    async def start(self, meter: Any = 1000, **more: Any) -> int:
        number: int = (await self.started(meter, **more))["transactionId"]
        return number

    async def stop(self, number: Any, meter: Any = 2000, *, minutes: float = -1, **more: Any) -> Payload:
        stop = {"transactionId": number, "meterStop": meter, "timestamp": at(minutes), **more}
        return await self.station.call("StopTransaction", stop)

    async def values(self, number: Any, *readings: Payload, connector: int = 1) -> None:
        values = {"connectorId": connector, "meterValue": list(readings)}
        if number is not None:
            values["transactionId"] = number
        assert await self.station.call("MeterValues", values) == {}

    async def status(self, status: str, minutes: float, connector: int = 1) -> None:
        told = {"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": at(minutes)}
        assert await self.station.call("StatusNotification", told) == {}


@pytest.fixture
async def teller(station: Station16, query: Query) -> Teller:
    """A station that the database knows as connected, and two tags of its drivers."""
    await query(lambda: [IdTag.objects.create(id_token=tag) for tag in ("TAG1", "TAG2")])
    await station.heartbeat()
    return Teller(station)


@pytest.fixture
async def other(url: str, teller: Teller) -> Any:
    """Another station of the same operator."""
    async with Station16(url, "CP2") as connected:
        yield Teller(connected)


def one(number: int | None = None) -> Transaction:
    return Transaction.objects.get(pk=number) if number else Transaction.objects.get()


def deviations() -> dict[str, str]:
    return dict(Deviation.objects.values_list("kind", "example"))


# TX-01: the number that stands for none


@pytest.mark.parametrize("none", [-1, -2, "-1"])
@pytest.mark.parametrize("tag", [{"idTag": "TAG1"}, {"idTag": "tag1"}, {}])
async def test_tx_01_a_stop_without_a_number_ends_the_open_transaction(
    teller: Teller, query: Query, none: Any, tag: Payload
) -> None:
    number = await teller.start(51880)
    assert await teller.stop(none, 52880, **tag) == ({"idTagInfo": {"status": "Accepted"}} if tag else {})
    transaction = await query(one)
    assert (transaction.pk, transaction.is_open, transaction.energy_wh) == (number, False, Decimal(1000))
    assert transaction.flags == []


async def test_tx_01_a_stop_without_a_number_ends_the_one_of_its_tag(teller: Teller, query: Query) -> None:
    first = await teller.start(tag="TAG1", connectorId=1)
    second = await teller.start(tag="TAG2", connectorId=2)
    await teller.stop(-1, idTag="TAG1")
    open_ones = await query(lambda: set(Transaction.objects.filter(stop_transaction_timestamp=None)))
    assert {each.pk for each in open_ones} == {second}
    assert await query(lambda: Transaction.objects.count()) == 2
    assert not (await query(lambda: one(first))).is_open


async def test_tx_01_a_stop_that_could_mean_two_transactions_ends_neither(teller: Teller, query: Query) -> None:
    await teller.start(tag="TAG1", connectorId=1)
    await teller.start(tag="TAG2", connectorId=2)
    assert await teller.stop(-1) == {}
    assert await query(lambda: Transaction.objects.filter(stop_transaction_timestamp=None).count()) == 2
    orphan = await query(lambda: Transaction.objects.get(flags__icontains="orphan_stop"))
    assert orphan.wh_meter_stop == 2000


async def test_tx_01_a_stop_of_a_refused_start_ends_that_one(teller: Teller, query: Query) -> None:
    running = await teller.start(tag="TAG1", connectorId=1)
    refused = await teller.started(51880, tag="TAG1", connectorId=4, minutes=-3)
    assert refused["idTagInfo"]["status"] == "ConcurrentTx"
    assert refused["transactionId"] > 0
    await teller.stop(-1, 51880, idTag="TAG1")
    assert (await query(lambda: one(running))).is_open
    ended = await query(lambda: one(refused["transactionId"]))
    assert (ended.is_open, ended.transaction_status, ended.energy_wh) == (False, "Unauthorized", 0)


async def test_tx_01_a_stop_without_a_number_and_without_a_transaction_is_kept(teller: Teller, query: Query) -> None:
    for _ in range(3):
        assert await teller.stop(-1, 51880, idTag="TAG2") == {"idTagInfo": {"status": "Accepted"}}
    transaction = await query(one)
    assert (transaction.flags, transaction.id_tag_id, transaction.wh_meter_stop) == (["orphan_stop"], "TAG2", 51880)


# TX-02: zero


async def test_tx_02_a_stop_with_zero_ends_the_open_transaction_each_time(teller: Teller, query: Query) -> None:
    for round_, minutes in enumerate((-30, -20, -10)):
        number = await teller.start(1000 * round_, minutes=minutes)
        await teller.stop(0, 1000 * round_ + 700, minutes=minutes + 5)
        transaction = await query(lambda number=number: one(number))
        assert (transaction.is_open, transaction.energy_wh) == (False, 700)
    assert await query(lambda: Transaction.objects.count()) == 3


async def test_tx_02_values_with_zero_belong_to_the_transaction_of_their_connector(
    teller: Teller, query: Query
) -> None:
    await teller.values(0, reading(-6, 900))
    first = await teller.start(1000, connectorId=1)
    await teller.start(500, tag="TAG2", connectorId=2)
    await teller.values(0, reading(-2, 1200))
    assert (await query(lambda: one(first))).wh_meter_last == 1200
    assert await query(lambda: list(MeterValue.objects.values_list("transaction", flat=True))) == [None, first]
    assert await query(lambda: Transaction.objects.count()) == 2


# TX-03: the biggest number


@pytest.mark.parametrize("number", [BIGGEST, 2**31 - 1, 2**32 - 1, 2**64, 10**30, "9223372036854775807"])
async def test_tx_03_values_under_the_biggest_number_are_kept_without_a_transaction(
    teller: Teller, query: Query, number: Any
) -> None:
    open_one = await teller.start()
    await teller.values(number, reading(-500_000, 5995441), reading(-2, 5995500))
    assert await query(lambda: list(MeterValue.objects.values_list("transaction", "energy_wh"))) == [
        (None, 5995441),
        (None, 5995500),
    ]
    transaction = await query(one)
    assert (transaction.pk, transaction.wh_meter_last) == (open_one, None)


async def test_tx_03_an_old_stop_under_the_biggest_number_is_answered_and_ends_nothing(
    teller: Teller, query: Query
) -> None:
    number = await teller.start()
    for _ in range(3):
        assert await teller.stop(BIGGEST, 400, minutes=-90_000) == {}
    assert (await query(lambda: one(number))).is_open
    orphan = await query(lambda: Transaction.objects.exclude(pk=number).get())
    assert orphan.flags == ["offline", "orphan_stop"]


# TX-04: a number nobody gave


@pytest.mark.parametrize("number", [1706601047, 387801, 2**40])
async def test_tx_04_a_stop_for_an_unknown_number_is_answered_and_kept(
    teller: Teller, query: Query, number: int
) -> None:
    running = await teller.start()
    for _ in range(3):
        answer = await teller.stop(number, 2259988, idTag="TAG2", reason="EVDisconnected")
        assert answer == {"idTagInfo": {"status": "Accepted"}}
    orphan = await query(lambda: Transaction.objects.exclude(pk=running).get())
    assert (orphan.uuid, orphan.wh_meter_stop, orphan.reason_stopped) == (str(number), 2259988, "EVDisconnected")
    assert orphan.flags == ["orphan_stop"]
    assert (await query(lambda: one(running))).is_open


async def test_tx_04_a_stop_under_the_number_of_another_station_leaves_that_alone(
    teller: Teller, other: Teller, query: Query
) -> None:
    number = await teller.start()
    assert await other.stop(number, idTag="NOBODY") == {"idTagInfo": {"status": "Invalid"}}
    assert (await query(lambda: one(number))).is_open
    assert (await query(lambda: Transaction.objects.get(chargepoint="CP2"))).flags == ["orphan_stop"]


# TX-05: the same start again


async def test_tx_05_a_repeated_start_gets_the_same_transaction(teller: Teller, query: Query) -> None:
    answers = [await teller.started(1, tag="TAG1", minutes=-500) for _ in range(4)]
    assert answers == [answers[0]] * 4
    assert answers[0]["idTagInfo"] == {"status": "Accepted"}
    assert (await query(one)).is_open


async def test_tx_05_a_start_repeated_after_a_reconnect_gets_the_same_transaction(teller: Teller, query: Query) -> None:
    start = {"connectorId": 1, "idTag": "TAG1", "meterStart": 10, "timestamp": at(-3)}
    first = await teller.station.call("StartTransaction", start, message_id="1000005")
    await teller.station.disconnect()
    await teller.station.connect()
    again = await teller.station.call("StartTransaction", start, message_id="1000005")
    assert again == first
    assert await query(lambda: Transaction.objects.count()) == 1


async def test_tx_05_a_start_repeated_after_its_stop_does_not_open_it_again(teller: Teller, query: Query) -> None:
    number = await teller.start()
    await teller.stop(number)
    assert await teller.start() == number
    assert not (await query(one)).is_open


async def test_tx_05_a_repeat_from_a_station_without_a_clock_is_known_by_its_meter(
    teller: Teller, query: Query
) -> None:
    first = await teller.start(77, timestamp="1970-01-01T00:00:31Z")
    assert await teller.start(77, timestamp="1970-01-01T00:00:52Z") == first
    assert (await query(one)).flags == ["clock_unreliable"]


@pytest.mark.parametrize("change", [{"minutes": -2}, {"meter": 1001}, {"tag": "TAG2"}, {"connectorId": 2}])
async def test_tx_05_a_start_that_differs_is_another(teller: Teller, query: Query, change: Payload) -> None:
    first = await teller.start()
    assert await teller.start(**change) != first


# TX-06: the same stop again


async def test_tx_06_the_first_of_two_stops_counts(teller: Teller, query: Query) -> None:
    number = await teller.start()
    first = await teller.stop(number, 2000, minutes=-2, idTag="TAG1", reason="Local")
    again = await teller.stop(number, 2003, minutes=-1, idTag="TAG1", reason="EVDisconnected")
    assert first == again == {"idTagInfo": {"status": "Accepted"}}
    transaction = await query(one)
    assert (transaction.energy_wh, transaction.reason_stopped) == (1000, "Local")
    assert transaction.stop_transaction_timestamp == NOW - timedelta(minutes=2)
    assert transaction.flags == ["stop_differs"]


async def test_tx_06_a_stop_repeated_as_it_was_is_no_reason_to_look_twice(teller: Teller, query: Query) -> None:
    number = await teller.start()
    data = [reading(-4, 1000, context="Transaction.Begin"), reading(-1, 2000, context="Transaction.End")]
    for _ in range(3):
        assert await teller.stop(number, transactionData=data) == {}
    assert (await query(one)).flags == []
    assert await query(lambda: MeterValue.objects.count()) == 2


# TX-07: a start while the last one is open


async def test_tx_07_a_start_closes_what_is_open_on_the_connector_with_its_last_reading(
    teller: Teller, query: Query
) -> None:
    elsewhere = await teller.start(tag="TAG2", connectorId=2, minutes=-60)
    old = await teller.start(1000, minutes=-50)
    await teller.values(old, reading(-40, 3500), reading(-30, 4200))
    answer = await teller.started(5000, minutes=-3)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    closed = await query(lambda: one(old))
    assert (closed.energy_wh, closed.flags) == (3200, ["offline", "superseded"])
    assert closed.stop_transaction_timestamp == NOW - timedelta(minutes=3)
    open_ones = await query(lambda: list(Transaction.objects.filter(stop_transaction_timestamp=None)))
    assert {each.pk for each in open_ones} == {elsewhere, answer["transactionId"]}


async def test_tx_07_the_late_stop_of_a_closed_one_replaces_the_guess(teller: Teller, query: Query) -> None:
    old = await teller.start(1000, minutes=-4)
    await teller.values(old, reading(-3, 1400))
    await teller.start(2000, minutes=-1)
    await teller.stop(old, 1900, minutes=-2, reason="PowerLoss")
    stopped = await query(lambda: one(old))
    assert (stopped.energy_wh, stopped.reason_stopped) == (900, "PowerLoss")
    assert stopped.stop_transaction_timestamp == NOW - timedelta(minutes=2)
    assert stopped.flags == ["late_stop", "superseded"]


# TX-08: told long after


async def test_tx_08_a_burst_of_old_sessions_is_recorded_beside_the_one_that_runs(teller: Teller, query: Query) -> None:
    await teller.status("Charging", -4)
    running = await teller.start(90_000, minutes=-4)
    await teller.values(running, reading(-2, 91_000))
    days = (3000, 400, 30, 2)
    for index, day in enumerate(days):
        begin = -day * 1440
        answer = await teller.started(1000 * index, minutes=begin)
        assert answer["idTagInfo"] == {"status": "Accepted"}
        await teller.values(answer["transactionId"], reading(begin + 30, 1000 * index + 500))
        await teller.stop(answer["transactionId"], 1000 * index + 800, minutes=begin + 60, idTag="TAG1")
    await teller.status("Available", -2 * 1440)

    told = await query(lambda: list(Transaction.objects.exclude(pk=running).order_by("pk")))
    assert [(each.energy_wh, each.flags) for each in told] == [(800, ["offline"])] * len(days)
    assert [NOW - each.start_transaction_timestamp for each in told] == [timedelta(days=day) for day in days]
    live = await query(lambda: one(running))
    assert (live.is_open, live.wh_meter_last, live.flags) == (True, 91_000, [])
    assert (await query(lambda: Connector.objects.get())).connector_status == "Charging"


async def test_tx_08_old_values_of_the_running_transaction_do_not_turn_its_meter_back(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(1000)
    await teller.values(number, reading(-1, 3000))
    await teller.values(number, reading(-3, 1500), reading(-2, 2200))
    assert await query(lambda: MeterValue.objects.filter(transaction=number).count()) == 3
    transaction = await query(one)
    assert (transaction.wh_meter_last, transaction.flags) == (3000, [])


@pytest.mark.parametrize("number", [0, -1])
async def test_tx_08_old_values_that_name_no_transaction_do_not_move_the_running_one(
    teller: Teller, query: Query, number: int
) -> None:
    running = await teller.start(90_000)
    await teller.values(number, reading(-50_000, 1500), reading(-49_000, 2200))
    assert await query(lambda: list(MeterValue.objects.values_list("transaction", flat=True))) == [None, None]
    await teller.values(number, reading(-4.5, 90_000), reading(-3, 90_500))
    transaction = await query(one)
    assert (transaction.pk, transaction.wh_meter_last, transaction.flags) == (running, 90_500, [])


# TX-09: only the stop


@pytest.mark.parametrize("number", [-1, 0, 55512])
async def test_tx_09_a_stop_alone_becomes_a_transaction_as_far_as_its_data_tell(
    teller: Teller, query: Query, number: int
) -> None:
    data = [
        reading(-300, 1644, context="Transaction.Begin"),
        reading(-200, 2000, context="Sample.Periodic"),
        reading(-100, 2421, context="Transaction.End"),
    ]
    stop = {"transactionData": data, "idTag": "TAG1"}
    assert await teller.stop(number, 2421, minutes=-100, **stop) == {"idTagInfo": {"status": "Accepted"}}
    transaction = await query(one)
    assert (transaction.wh_meter_start, transaction.energy_wh) == (1644, 777)
    assert transaction.start_transaction_timestamp == NOW - timedelta(minutes=300)
    assert transaction.flags == ["offline", "orphan_stop"]
    assert await query(lambda: MeterValue.objects.filter(transaction=transaction.pk).count()) == 3


async def test_tx_09_a_stop_alone_without_data_says_when_and_where_the_meter_stood(
    teller: Teller, query: Query
) -> None:
    await teller.stop(4711, 2310)
    transaction = await query(one)
    assert (transaction.is_open, transaction.wh_meter_start, transaction.wh_meter_stop) == (False, None, 2310)
    assert transaction.energy_wh is None


# TX-10: a stop below the start


@pytest.mark.parametrize(("stop", "flag"), [(999, "stop_below_start"), (0, "stop_below_start"), (-1, "meter_unknown")])
async def test_tx_10_a_stop_below_the_start_counts_the_last_reading(
    teller: Teller, query: Query, stop: int, flag: str
) -> None:
    number = await teller.start(1000)
    await teller.values(number, reading(-2, 1750))
    await teller.stop(number, stop, reason="PowerLoss")
    transaction = await query(one)
    assert (transaction.energy_wh, transaction.flags) == (750, [flag])


@pytest.mark.parametrize("stop", [999, -1])
async def test_tx_10_energy_is_never_negative(teller: Teller, query: Query, stop: int) -> None:
    number = await teller.start(1000)
    await teller.stop(number, stop)
    assert (await query(one)).energy_wh == 0


@pytest.mark.parametrize(("start", "stop", "energy"), [(1000.9, 1501, "500.1"), ("1000.25", "1000.5", "0.25")])
async def test_tx_10_registers_with_fractions_count_as_they_are(
    teller: Teller, query: Query, start: Any, stop: Any, energy: str
) -> None:
    number = await teller.start(start)
    await teller.stop(number, stop)
    assert (await query(one)).energy_wh == Decimal(energy)


# TX-11: two scales


async def test_tx_11_values_that_count_from_the_start_of_the_session_are_put_on_its_scale(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(7_530_100)
    for minutes, energy in ((-3.5, 0), (-3, 250.5), (-2, 900)):
        await teller.values(number, reading(minutes, energy))
    transaction = await query(one)
    assert (transaction.wh_meter_last, transaction.energy_wh) == (7_531_000, 900)
    assert transaction.flags == ["session_meter"]
    await teller.stop(number, 7_531_050)
    assert (await query(one)).energy_wh == 950


async def test_tx_11_a_session_may_begin_and_end_with_readings_of_the_meters_life(teller: Teller, query: Query) -> None:
    number = await teller.start(7_530_100)
    await teller.values(number, reading(-4, 7_530_100, context="Transaction.Begin"))
    for minutes, energy in ((-3.5, 0), (-3, 250), (-2, 900)):
        await teller.values(number, reading(minutes, energy))
    assert (await query(one)).energy_wh == 900
    await teller.stop(number, 7_531_050, transactionData=[reading(-1, 7_531_050, context="Transaction.End")])
    transaction = await query(one)
    assert (transaction.wh_meter_last, transaction.energy_wh) == (7_531_050, 950)
    assert transaction.flags == ["session_meter"]


async def test_tx_11_a_session_whose_start_is_always_zero_is_billed_from_start_to_stop(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(0)
    await teller.values(number, reading(-2, 400))
    await teller.stop(number, 650)
    transaction = await query(one)
    assert (transaction.energy_wh, transaction.flags) == (650, [])


async def test_tx_11_a_start_of_zero_against_a_stop_of_the_meters_life_is_not_believed(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(0)
    await teller.stop(number, 7_531_050)
    assert (await query(one)).flags == ["meter_implausible"]


# TX-12 and TX-13: no stop


async def test_tx_12_a_start_in_place_of_the_stop_ends_when_the_connector_is_available(
    teller: Teller, query: Query
) -> None:
    begun = await teller.start(1000, minutes=-60)
    await teller.values(begun, reading(-40, 4000))
    ended = await teller.started(4500, minutes=-20)
    assert ended["idTagInfo"] == {"status": "Accepted"}
    await teller.status("Available", -19)
    await query(tasks.close_abandoned_transactions)
    first, second = await query(lambda: list(Transaction.objects.order_by("pk")))
    assert (first.energy_wh, first.flags) == (3000, ["offline", "superseded"])
    assert (second.energy_wh, second.flags) == (0, ["no_stop", "offline"])
    assert second.stop_transaction_timestamp == NOW - timedelta(minutes=19)


async def test_tx_13_a_transaction_without_a_stop_ends_when_the_connector_was_long_available(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(1000, minutes=-60)
    await teller.values(number, reading(-40, 4000), reading(-30, 4700))
    await teller.status("Finishing", -21)
    await query(tasks.close_abandoned_transactions)
    assert (await query(one)).is_open
    await teller.status("Available", -20)
    await query(tasks.close_abandoned_transactions)
    transaction = await query(one)
    assert (transaction.wh_meter_stop, transaction.energy_wh) == (4700, 3700)
    assert transaction.stop_transaction_timestamp == NOW - timedelta(minutes=20)
    assert transaction.flags == ["no_stop", "offline"]


async def test_tx_13_a_connector_just_available_leaves_the_station_time_for_its_stop(
    teller: Teller, query: Query
) -> None:
    number = await teller.start(1000)
    await teller.status("Available", -2)
    await query(tasks.close_abandoned_transactions)
    assert (await query(one)).is_open
    await teller.stop(number)
    transaction = await query(one)
    assert (transaction.energy_wh, transaction.flags) == (1000, [])


async def test_tx_13_a_stop_that_comes_after_all_replaces_the_guess(teller: Teller, query: Query) -> None:
    number = await teller.start(1000, minutes=-60)
    await teller.status("Available", -20)
    await query(tasks.close_abandoned_transactions)
    await teller.stop(number, 5000, minutes=-21)
    transaction = await query(one)
    assert (transaction.energy_wh, transaction.stop_transaction_timestamp) == (4000, NOW - timedelta(minutes=21))
    assert transaction.flags == ["late_stop", "no_stop", "offline"]


# TX-14: values after the stop


@pytest.mark.parametrize("more", [{"context": "Transaction.End"}, {"context": "Sample.Periodic"}, {}])
async def test_tx_14_values_after_the_stop_belong_to_it_and_do_not_open_it(
    teller: Teller, query: Query, more: dict[str, str]
) -> None:
    number = await teller.start(1000)
    await teller.stop(number, 1384, minutes=-2)
    await teller.values(number, reading(-1, 1388, **more))
    transaction = await query(one)
    assert (transaction.is_open, transaction.energy_wh, transaction.flags) == (False, 384, [])
    assert await query(lambda: MeterValue.objects.get().transaction_id) == number


async def test_tx_14_values_after_the_stop_leave_the_next_transaction_alone(teller: Teller, query: Query) -> None:
    number = await teller.start(1000)
    await teller.stop(number, 1384, minutes=-3)
    following = await teller.start(1390, minutes=-2)
    await teller.values(number, reading(-1, 1388))
    assert (await query(lambda: one(following))).wh_meter_last is None
    assert not (await query(lambda: one(number))).is_open


# TX-15: reasons


@pytest.mark.parametrize("absent", [{}, {"reason": ""}, {"reason": None}])
async def test_tx_15_no_reason_means_local(teller: Teller, query: Query, absent: Payload) -> None:
    await teller.stop(await teller.start(), **absent)
    assert (await query(one)).reason_stopped == "Local"


@pytest.mark.parametrize("reason", ["Reason_Timeout", "SuspendedEV", "StoppedByEV", "x" * 100, 7])
async def test_tx_15_an_unknown_reason_is_other_and_noted(teller: Teller, query: Query, reason: Any) -> None:
    number = await teller.start()
    assert await teller.stop(number, reason=reason) == {}
    assert (await query(one)).reason_stopped == "Other"
    assert (await query(deviations))["unknown-reason"] == f"transaction {number}: {reason}"


@pytest.mark.parametrize("reason", ["deauthorized", "EVDISCONNECTED", "Remote"])
async def test_tx_15_a_reason_is_taken_as_told_whatever_its_case(teller: Teller, query: Query, reason: str) -> None:
    await teller.stop(await teller.start(), reason=reason)
    assert (await query(one)).reason_stopped.casefold() == reason.casefold()


# TX-16 and TX-17: nothing, spelt out


@pytest.mark.parametrize(("sent", "kept"), [(0, None), (-1, None), ("0", None), (None, None), ("", None), (12, 12)])
async def test_tx_16_a_reservation_of_zero_is_none(teller: Teller, query: Query, sent: Any, kept: int | None) -> None:
    answer = await teller.started(reservationId=sent)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    assert (await query(one)).reservation_id == kept


@pytest.mark.parametrize(
    "data", [[], None, {}, [{"timestamp": at(-1), "sampledValue": []}]], ids=["list", "null", "object", "no samples"]
)
async def test_tx_17_a_stop_with_empty_data_ends_its_transaction(teller: Teller, query: Query, data: Any) -> None:
    number = await teller.start(2_259_000)
    answer = await teller.stop(number, 2_259_988, idTag="TAG2", transactionData=data)
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    assert (await query(one)).energy_wh == 988
    assert await query(lambda: MeterValue.objects.count()) == 0


# TX-18: begun elsewhere


async def test_tx_18_values_under_a_foreign_number_become_a_transaction_that_can_be_stopped(
    teller: Teller, query: Query
) -> None:
    foreign = 1786705612
    await teller.values(foreign, reading(-30, 10_798), reading(-20, 11_500))
    await teller.values(foreign, reading(-10, 12_000))
    adopted = await query(one)
    assert (adopted.uuid, adopted.is_open, adopted.flags) == (str(foreign), True, ["foreign"])
    assert (adopted.wh_meter_start, adopted.wh_meter_last, adopted.evse_id) == (10_798, 12_000, 1)
    assert adopted.start_transaction_timestamp == NOW - timedelta(minutes=30)

    teller.station.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    command = await operator.perform("RemoteStopTransaction", {"transactionId": int(adopted.uuid)})
    assert (command.status, command.response) == ("answered", {"status": "Accepted"})
    (call,) = [call for call in teller.station.calls if call.action == "RemoteStopTransaction"]
    assert call.payload == {"transactionId": foreign}

    assert await teller.stop(foreign, 12_100, reason="Remote") == {}
    stopped = await query(one)
    assert (stopped.pk, stopped.energy_wh, stopped.reason_stopped) == (adopted.pk, 1302, "Remote")
    assert stopped.flags == ["foreign"]


async def test_tx_18_the_same_foreign_number_at_two_stations_is_two_transactions(
    teller: Teller, other: Teller, query: Query
) -> None:
    number = await teller.start(1000)
    for foreign in (3, number):
        await other.values(foreign, reading(-2, 10_798))
    assert (await query(lambda: one(number))).wh_meter_last is None
    adopted = await query(lambda: list(Transaction.objects.filter(chargepoint="CP2").order_by("uuid")))
    assert sorted(each.uuid for each in adopted) == sorted(["3", str(number)])


# TX-19: hesitation


@pytest.mark.parametrize(
    "hesitation", [["Preparing"], ["Preparing", "SuspendedEV"], ["SuspendedEVSE", "SuspendedEV", "SuspendedEVSE"]]
)
async def test_tx_19_a_station_that_hesitates_after_a_remote_start_has_not_stopped(
    teller: Teller, query: Query, hesitation: list[str]
) -> None:
    teller.station.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    command = await operator.perform("RemoteStartTransaction", {"idTag": "TAG1", "connectorId": 1})
    assert (command.status, command.response) == ("answered", {"status": "Accepted"})
    number = await teller.start(1000, minutes=-30)
    for step, status in enumerate(hesitation):
        await teller.status(status, -29 + step)
        await query(tasks.close_abandoned_transactions)
        assert (await query(lambda: one(number))).is_open
    await teller.status("Charging", -20)
    await teller.values(number, reading(-10, 1500))
    transaction = await query(one)
    assert (transaction.is_open, transaction.wh_meter_last, transaction.flags) == (True, 1500, ["offline"])
    assert not [call for call in teller.station.calls if call.action == "RemoteStopTransaction"]
    assert (await query(lambda: Connector.objects.get())).connector_status == "Charging"


async def test_tx_19_available_before_the_start_ends_nothing(teller: Teller, query: Query) -> None:
    await teller.status("Available", -60)
    await teller.start(1000, minutes=-30)
    await query(tasks.close_abandoned_transactions)
    assert (await query(one)).is_open
