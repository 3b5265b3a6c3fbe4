"""Meter values as real stations send them: the group MV of the habits that docs/quirks.md lists."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chargers.models import Deviation, IdTag, MeterValue, Transaction
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

NOW = datetime.now(UTC).replace(microsecond=0)
ENERGY = "Energy.Active.Import.Register"

Rows = Callable[[], Awaitable[list[MeterValue]]]


def at(minutes: float) -> str:
    """Spell the time so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def energy(value: object, **more: Any) -> Payload:
    return {"value": value, "measurand": ENERGY, "unit": "Wh", **more}


def element(*samples: Any, minutes: float = -1) -> Payload:
    return {"timestamp": at(minutes), "sampledValue": list(samples)}


async def send(station: Station16, *elements: Any, connector: int = 1, **more: Any) -> None:
    values = {"connectorId": connector, "meterValue": list(elements), **more}
    assert await station.call("MeterValues", values) == {}


async def start(station: Station16, meter: Any = 1000, minutes: float = -60) -> int:
    started = {"connectorId": 1, "idTag": "TAG1", "meterStart": meter, "timestamp": at(minutes)}
    answer = await station.call("StartTransaction", started)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    number: int = answer["transactionId"]
    return number


@pytest.fixture
async def tag(transactional_db: None, query: Query) -> None:
    """A tag that may charge."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))


@pytest.fixture
def rows(query: Query) -> Rows:
    """The readings in the database, in the order they came."""
    return lambda: query(lambda: list(MeterValue.objects.all()))


def deviations() -> set[str]:
    return set(Deviation.objects.values_list("kind", flat=True))


# MV-01 to MV-05: how a value is written


@pytest.mark.parametrize(
    ("value", "text"), [(10, "10"), (0, "0"), (231.25, "231.25"), (-3.5, "-3.5"), (5_000_000_000, "5000000000")]
)
async def test_mv_01_a_number_for_a_value_is_taken(
    station: Station16, rows: Rows, query: Query, value: float, text: str
) -> None:
    await send(station, element(energy(value)))
    (row,) = await rows()
    assert (row.energy_wh, row.samples) == (Decimal(text), [energy(text)])
    assert "value-for-text" in await query(deviations)


@pytest.mark.parametrize("empty", ["", "   ", None])
async def test_mv_02_an_empty_value_is_no_zero(station: Station16, rows: Rows, query: Query, empty: Any) -> None:
    power = {"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}
    await send(station, element(energy(empty), power))
    (row,) = await rows()
    assert (row.energy_wh, row.power_w, row.samples) == (None, 7000, [power])
    assert await query(deviations) & {"empty-value", "empty-member"}


@pytest.mark.usefixtures("tag")
async def test_mv_02_only_empty_values_are_answered_and_move_nothing(
    station: Station16, rows: Rows, query: Query
) -> None:
    number = await start(station)
    await send(station, element(energy(""), {"value": ""}, {"value": "", "unit": "A"}), transactionId=number)
    assert await rows() == []
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.wh_meter_last, transaction.flags) == (None, ["offline"])


@pytest.mark.parametrize("value", [" 1785508.0", "1785508.0 ", "\t1785508.0\r\n", "\u00a01785508.0"])
async def test_mv_03_blanks_around_a_value_are_trimmed(
    station: Station16, rows: Rows, query: Query, value: str
) -> None:
    await send(station, element(energy(value)))
    (row,) = await rows()
    assert (row.energy_wh, row.samples[0]["value"]) == (1785508, "1785508.0")
    assert "value-padded" in await query(deviations)


@pytest.mark.parametrize(
    ("measurand", "sent", "kept"),
    [
        ("Frequency", "Hz", "Hz"),
        ("Frequency", "Hertz", "Hz"),
        ("Frequency", None, "Hz"),
        ("Temperature", "Celcius", "Celsius"),
        ("Temperature", "Celsius", "Celsius"),
        ("Temperature", "\N{DEGREE SIGN}C", "Celsius"),
        ("Temperature", None, "Celsius"),
        ("SoC", "%", "Percent"),
        ("SoC", None, "Percent"),
        ("Voltage", None, "V"),
        ("Voltage", "", "V"),
        ("Voltage", "Volts", "V"),
        ("Current.Import", None, "A"),
        ("Current.Offered", "a", "A"),
        ("Power.Active.Import", "KW", "kW"),
        ("Power.Reactive.Import", None, "var"),
        ("Energy.Reactive.Import.Register", None, "varh"),
        ("Energy.Active.Export.Register", None, "Wh"),
        ("Energy.Active.Import.Interval", "KWH", "kWh"),
    ],
)
async def test_mv_04_units_are_read_in_any_spelling_and_told_by_the_measurand(
    station: Station16, rows: Rows, measurand: str, sent: str | None, kept: str
) -> None:
    sample = {"value": "50.01", "measurand": measurand}
    await send(station, element(sample if sent is None else {**sample, "unit": sent}))
    (row,) = await rows()
    assert row.samples == [{**sample, "unit": kept}]


@pytest.mark.parametrize("unit", [{}, {"unit": "Furlong"}])
async def test_mv_04_a_unit_that_nothing_tells_is_not_made_up(
    station: Station16, rows: Rows, unit: dict[str, str]
) -> None:
    sample = {"value": "0.98", "measurand": "Power.Factor", **unit}
    await send(station, element(sample))
    (row,) = await rows()
    assert row.samples == [sample]


@pytest.mark.parametrize(
    ("value", "read"), [("1234,5", "1234.5"), ("0,07", "0.07"), (" 12,0 ", "12"), ("-4,5", "-4.5")]
)
async def test_mv_05_one_comma_is_the_decimal_sign(
    station: Station16, rows: Rows, query: Query, value: str, read: str
) -> None:
    await send(station, element(energy(value)))
    (row,) = await rows()
    assert (row.energy_wh, row.samples[0]["value"]) == (Decimal(read), value.strip())
    assert "decimal-comma" in await query(deviations)


@pytest.mark.parametrize(
    "value", ["1,234.5", "1,234,567", "1.234.567,0", "NaN", "Infinity", "-inf", "n/a", "--", "12.5 kWh", "1e999", " x "]
)
async def test_mv_05_what_is_no_number_is_kept_as_it_is_and_counts_for_nothing(
    station: Station16, rows: Rows, query: Query, value: str
) -> None:
    await send(station, element(energy(value)))
    (row,) = await rows()
    assert (row.energy_wh, row.samples) == (None, [energy(value)])
    assert "value-not-a-number" in await query(deviations)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_mv_05_numbers_that_json_does_not_have_are_kept_too(station: Station16, rows: Rows, number: str) -> None:
    payload = json.dumps({"connectorId": 1, "meterValue": [element(energy("0"), energy("7"))]})
    frame = await station.exchange(f'[2,"1","MeterValues",{payload.replace(chr(34) + "0" + chr(34), number)}]')
    assert frame.json() == [3, "1", {}]
    (row,) = await rows()
    assert row.energy_wh == 7


# MV-06 and MV-07: lists


@pytest.mark.parametrize(
    "nothing",
    [[], [element()], [element(), element()], None, {}, [{}]],
    ids=["no element", "an empty element", "two empty elements", "null", "an object", "an element without members"],
)
async def test_mv_06_lists_with_nothing_in_them_are_answered(
    station: Station16, rows: Rows, query: Query, nothing: Any
) -> None:
    assert await station.call("MeterValues", {"connectorId": 1, "meterValue": nothing}) == {}
    assert await rows() == []
    assert await query(deviations)


async def test_mv_06_an_empty_element_takes_nothing_from_the_others(station: Station16, rows: Rows) -> None:
    await send(station, element(minutes=-3), element(energy("12"), minutes=-2))
    (row,) = await rows()
    assert (row.energy_wh, row.timestamp) == (12, NOW - timedelta(minutes=2))


@pytest.mark.parametrize(
    "values", [element(energy("42")), {**element(), "sampledValue": energy("42")}], ids=["element", "sample"]
)
async def test_mv_07_an_object_in_place_of_a_list_is_its_only_element(
    station: Station16, rows: Rows, query: Query, values: Payload
) -> None:
    assert await station.call("MeterValues", {"connectorId": 1, "meterValue": values}) == {}
    (row,) = await rows()
    assert (row.energy_wh, row.samples) == (42, [energy("42")])
    assert "object-for-list" in await query(deviations)


# MV-08 and MV-09: kWh and fractions


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize("unit", ["kWh", "KWh", "kwh"])
async def test_mv_08_a_register_in_kwh_counts_in_wh_to_the_last_digit(
    station: Station16, rows: Rows, query: Query, unit: str
) -> None:
    number = await start(station, 1_234_560)
    await send(station, element(energy("1234.57", unit=unit), minutes=-50), transactionId=number)
    await send(station, element(energy("1236.89", unit=unit), minutes=-40), transactionId=number)
    assert [row.energy_wh for row in await rows()] == [1_234_570, 1_236_890]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (2330, ["offline"])


@pytest.mark.usefixtures("tag")
async def test_mv_08_kwh_labelled_wh_are_flagged_and_never_scaled(station: Station16, rows: Rows, query: Query) -> None:
    number = await start(station, 0)
    power = {"value": "7200", "measurand": "Power.Active.Import", "unit": "W"}
    for minutes, register in ((-50, "1.2"), (-40, "2.4"), (-30, "3.6")):
        await send(station, element(energy(register), power, minutes=minutes), transactionId=number)
    assert [row.energy_wh for row in await rows()] == [Decimal("1.2"), Decimal("2.4"), Decimal("3.6")]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.wh_meter_last, transaction.flags) == (Decimal("3.6"), ["offline", "unit_suspect"])


@pytest.mark.usefixtures("tag")
async def test_mv_08_a_car_that_takes_little_is_not_suspect(station: Station16, query: Query) -> None:
    number = await start(station, 0)
    for minutes, register, watts in ((-50, "20", "120"), (-40, "40", "120"), (-30, "40", "0"), (-20, "1200", "7000")):
        power = {"value": watts, "measurand": "Power.Active.Import", "unit": "W"}
        await send(station, element(energy(register), power, minutes=minutes), transactionId=number)
    assert (await query(lambda: Transaction.objects.get())).flags == ["offline"]


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize(
    ("value", "wh"), [("165544.5", "165544.5"), ("165544.50000000003", "165544.5"), (165544.7000000001, "165544.7")]
)
async def test_mv_09_fractions_count_beside_a_whole_start(
    station: Station16, rows: Rows, query: Query, value: Any, wh: str
) -> None:
    number = await start(station, 165_000)
    await send(station, element(energy(value)), transactionId=number)
    (row,) = await rows()
    assert row.energy_wh == Decimal(wh)
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.wh_meter_last, transaction.energy_wh) == (Decimal(wh), Decimal(wh) - 165_000)


# MV-10 to MV-14: what a value is about


@pytest.mark.parametrize(
    ("unit", "measurand", "column"),
    [
        ("A", "Current.Import", "current_a"),
        ("V", "Voltage", "voltage_v"),
        ("W", "Power.Active.Import", "power_w"),
        ("Percent", "SoC", "soc_percent"),
        ("%", "SoC", "soc_percent"),
        ("Wh", ENERGY, "energy_wh"),
        (None, ENERGY, "energy_wh"),
    ],
)
async def test_mv_10_a_value_without_a_measurand_is_told_by_its_unit(
    station: Station16, rows: Rows, unit: str | None, measurand: str, column: str
) -> None:
    sample = {"value": "15.630", **({"unit": unit} if unit else {})}
    await send(station, element(sample))
    (row,) = await rows()
    assert row.samples[0]["measurand"] == measurand
    assert float(getattr(row, column)) == 15.63
    columns = ("energy_wh", "power_w", "current_a", "voltage_v", "soc_percent")
    assert [name for name in columns if getattr(row, name) is not None] == [column]


@pytest.mark.parametrize("context", ["CurrentMax", "Vendor.Limit", "max"])
@pytest.mark.parametrize("first", [True, False])
async def test_mv_10_a_context_of_the_vendors_own_is_kept_and_does_not_hide_the_value(
    station: Station16, rows: Rows, query: Query, context: str, first: bool
) -> None:
    limit = {"value": "16.000", "context": context, "unit": "A"}
    value = {"value": "15.630", "context": "Sample.Periodic", "unit": "A"}
    await send(station, element(*([limit, value] if first else [value, limit])))
    (row,) = await rows()
    assert row.current_a == 15.63
    assert {sample["context"]: sample["value"] for sample in row.samples} == {
        context: "16.000",
        "Sample.Periodic": "15.630",
    }
    assert "unknown-word" in await query(deviations)


async def test_mv_10_a_value_in_a_context_of_the_vendors_own_counts_where_there_is_no_other(
    station: Station16, rows: Rows
) -> None:
    await send(station, element({"value": "16.000", "context": "CurrentMax", "unit": "A"}))
    (row,) = await rows()
    assert row.current_a == 16


@pytest.mark.usefixtures("tag")
async def test_mv_11_the_main_meter_is_not_added_to_the_connectors(
    station: Station16, rows: Rows, query: Query
) -> None:
    number = await start(station, 165_000)
    for connector in (0, 1):
        more = {"transactionId": number} if connector else {}
        await send(station, element(energy("165544.5", context="Sample.Clock")), connector=connector, **more)
    told = [(row.evse_id, row.connectorid, row.transaction_id, row.energy_wh) for row in await rows()]
    assert told == [(0, 0, None, Decimal("165544.5")), (1, 1, number, Decimal("165544.5"))]
    transaction = await query(lambda: Transaction.objects.get())
    assert transaction.energy_wh == Decimal("544.5")


async def test_mv_12_elements_of_the_same_time_are_one_reading(station: Station16, rows: Rows) -> None:
    def phases(measurand: str, unit: str, *values: str) -> list[Payload]:
        return [
            {"value": value, "measurand": measurand, "unit": unit, "phase": f"L{number}"}
            for number, value in enumerate(values, 1)
        ]

    samples = [
        [{"value": "3450", "measurand": "Power.Active.Import", "unit": "W"}],
        [energy("4296944685")],
        phases("Current.Import", "A", "5.0", "4.9", "5.1"),
        phases("Voltage", "V", "230.1", "229.8", "231.0"),
    ]
    later = element(energy("4296944700"), minutes=-1)
    await send(station, *[element(*each, minutes=-2) for each in samples], later)
    first, second = await rows()
    assert (first.power_w, first.energy_wh, first.current_a, first.voltage_v) == (3450, 4296944685, 5.1, 230.1)
    assert first.samples == [sample for each in samples for sample in each]
    assert (second.energy_wh, second.power_w) == (4296944700, None)


async def test_mv_12_the_same_time_in_another_spelling_is_the_same_time(station: Station16, rows: Rows) -> None:
    moment = NOW - timedelta(minutes=2)
    spellings = [moment.isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"), at(-2)]
    elements = [
        {"timestamp": each, "sampledValue": [{"value": "1", "unit": unit}]}
        for each, unit in zip(spellings, ("A", "V", "W"), strict=True)
    ]
    await send(station, *elements)
    (row,) = await rows()
    assert (row.current_a, row.voltage_v, row.power_w, row.timestamp) == (1, 1, 1, moment)


@pytest.mark.parametrize("suffix", ["", "-N"])
async def test_mv_13_values_of_phases_are_added_up_only_where_there_is_no_total(
    station: Station16, rows: Rows, suffix: str
) -> None:
    def phases(measurand: str, unit: str, *values: str) -> list[Payload]:
        return [
            {"value": value, "measurand": measurand, "unit": unit, "phase": f"L{number}{suffix}"}
            for number, value in enumerate(values, 1)
        ]

    power = phases("Power.Active.Import", "W", "1000", "1100", "1200")
    registers = phases(ENERGY, "Wh", "10", "20", "30")
    current = phases("Current.Import", "A", "4.3", "4.8", "5.2")
    neutral = {"value": "9", "measurand": "Current.Import", "unit": "A", "phase": "N"}
    total = {"value": "3310", "measurand": "Power.Active.Import", "unit": "W"}
    await send(station, element(*power, *registers, *current, neutral, minutes=-3))
    await send(station, element(*power, total, energy("61"), *registers, minutes=-2))
    summed, told = await rows()
    assert (summed.power_w, summed.energy_wh, summed.current_a) == (3300, 60, 5.2)
    assert (told.power_w, told.energy_wh) == (3310, 61)
    assert {sample["phase"] for sample in summed.samples} == {"L1", "L2", "L3", "N"}


async def test_mv_13_a_phase_told_in_two_spellings_counts_once(station: Station16, rows: Rows) -> None:
    samples = [
        {"value": "1000", "measurand": "Power.Active.Import", "unit": "W", "phase": phase}
        for phase in ("L1", "L1-N", "L2", "L2-N", "N")
    ]
    await send(station, element(*samples))
    (row,) = await rows()
    assert row.power_w == 2000


@pytest.mark.parametrize(
    ("phases", "volts"), [(["L1", "L2", "L3"], 230), (["L1-N", "L2-N"], 230), (["L1-L2", "L2-L3"], 230), ([None], 230)]
)
async def test_mv_13_a_voltage_keeps_its_phase_and_is_never_added_up(
    station: Station16, rows: Rows, phases: list[str | None], volts: float
) -> None:
    samples = [
        {"value": str(volts + index), "measurand": "Voltage", "unit": "V", **({"phase": phase} if phase else {})}
        for index, phase in enumerate(phases)
    ]
    await send(station, element(*samples))
    (row,) = await rows()
    assert (row.voltage_v, row.samples) == (volts, samples)


@pytest.mark.usefixtures("tag")
async def test_mv_14_values_with_and_without_a_transaction_are_two_series(
    station: Station16, rows: Rows, query: Query
) -> None:
    number = await start(station, 0)
    for minutes, session, lifetime in ((-50, "100", "7530100"), (-40, "900", "7530900"), (-30, "1700", "7531700")):
        await send(station, element(energy(lifetime, context="Trigger"), minutes=minutes))
        await send(station, element(energy(session), minutes=minutes), transactionId=number)
    told = [(row.transaction_id, row.energy_wh) for row in await rows()]
    assert [wh for transaction, wh in told if transaction is None] == [7530100, 7530900, 7531700]
    assert [wh for transaction, wh in told if transaction == number] == [100, 900, 1700]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (1700, ["offline"])


# MV-15: what meters do


@pytest.mark.usefixtures("tag")
async def test_mv_15_a_register_beyond_32_bits_counts(station: Station16, query: Query) -> None:
    number = await start(station, 4_296_944_685)
    await send(station, element(energy("4296949685.25")), transactionId=number)
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (Decimal("5000.25"), ["offline"])


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize("after", [["0", "300"], ["500"], ["0", "0", "0"]])
async def test_mv_15_a_register_that_falls_in_mid_session_is_flagged(
    station: Station16, rows: Rows, query: Query, after: list[str]
) -> None:
    number = await start(station, 50_000)
    await send(station, element(energy("53000"), minutes=-50), transactionId=number)
    for index, value in enumerate(after):
        await send(station, element(energy(value), minutes=-40 + index), transactionId=number)
    assert [row.energy_wh for row in await rows()] == [53000, *map(Decimal, after)]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (3000, ["meter_jumped_back", "offline"])
    stop = {"transactionId": number, "meterStop": int(after[-1]), "timestamp": at(-1)}
    assert await station.call("StopTransaction", stop) == {}
    assert (await query(lambda: Transaction.objects.get())).energy_wh == 3000


@pytest.mark.usefixtures("tag")
async def test_mv_15_a_register_that_leaps_is_flagged(station: Station16, query: Query) -> None:
    number = await start(station, 50_000)
    await send(station, element(energy("4294967295"), minutes=-50), transactionId=number)
    assert (await query(lambda: Transaction.objects.get())).flags == ["meter_implausible", "offline"]


@pytest.mark.parametrize("value", ["1e30", "99999999999999999999999999", "-1e25"])
async def test_mv_15_a_number_beyond_any_meter_is_kept_as_text_only(station: Station16, rows: Rows, value: str) -> None:
    await send(station, element(energy(value), {"value": "230", "unit": "V"}))
    (row,) = await rows()
    assert (row.energy_wh, row.voltage_v, row.samples[0]["value"]) == (None, 230, value)


# MV-16: signed values

OCMF = 'OCMF|{"FV":"1.0","RD":[{"TM":"2026-01-01T10:00:00,000+0000 S","TX":"B","RV":1.50}]}|{"SD":"3045\\u00e4"} \n '
JSON = '  {"signature": "MEUC\u20ac", "value": 1.50,\t"unit": "kWh"}  '


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize(
    "signed", [OCMF, JSON, " 12345 ", "<xml>\u00e9</xml>", "A" * 200_000], ids=lambda text: text[:8]
)
@pytest.mark.parametrize("form", ["SignedData", "signeddata"])
async def test_mv_16_a_signed_value_is_kept_byte_by_byte_and_is_no_number(
    station: Station16, rows: Rows, query: Query, signed: str, form: str
) -> None:
    number = await start(station)
    begin = {"value": signed, "format": form, "context": "Transaction.Begin"}
    await send(station, element(begin, energy("1000"), minutes=-59), transactionId=number)
    (row,) = await rows()
    assert row.samples[0] == {**begin, "format": "SignedData"}
    assert (row.energy_wh, row.transaction_id) == (1000, number)

    end = {"value": signed, "format": form, "context": "Transaction.End"}
    data = [element(end, minutes=-1)]
    stop = {"transactionId": number, "meterStop": 2000, "timestamp": at(-1), "transactionData": data}
    assert await station.call("StopTransaction", stop) == {}
    assert (await rows())[1].samples == [{**end, "format": "SignedData"}]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.wh_meter_last, transaction.flags) == (1000, 1000, ["offline"])


async def test_mv_16_a_signed_value_that_is_not_called_one_is_kept_as_well(station: Station16, rows: Rows) -> None:
    await send(station, element({"value": OCMF}))
    (row,) = await rows()
    assert (row.samples[0]["value"], row.energy_wh) == (OCMF, None)


async def test_mv_16_a_signed_value_in_a_message_that_needs_mending_is_kept_byte_by_byte(
    station: Station16, rows: Rows
) -> None:
    signed = {"value": JSON, "format": "SignedData"}
    await send(station, element(signed, {"value": 5, "unit": "A"}), vendor="x")
    (row,) = await rows()
    assert (row.samples[0], row.current_a) == (signed, 5)


# MV-17 and MV-18: how often


async def test_mv_17_a_backlog_sent_at_once_is_answered_and_kept(station: Station16, rows: Rows) -> None:
    count = 300
    for index in range(count):
        payload = {"connectorId": 1, "meterValue": [element(energy(str(index)), minutes=index - 100_000)]}
        await station.send_raw(json.dumps([2, f"id{index}", "MeterValues", payload]))
    answers = [(await station.next_frame()).json() for _ in range(count)]
    assert answers == [[3, f"id{index}", {}] for index in range(count)]
    assert [row.energy_wh for row in await rows()] == list(range(count))
    assert "currentTime" in await station.heartbeat()


async def test_mv_18_a_trigger_that_no_values_follow_holds_nothing_up(station: Station16, rows: Rows) -> None:
    await station.heartbeat()
    station.answers["TriggerMessage"] = {"status": "Accepted"}
    for _ in range(2):
        command = await operator.perform("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1})
        assert (command.status, command.response) == ("answered", {"status": "Accepted"})
    assert (await operator.perform("ClearCache")).status == "answered"
    assert await rows() == []


@pytest.mark.usefixtures("tag")
async def test_mv_18_a_voltage_of_zero_or_always_the_same_is_a_value_like_any(
    station: Station16, rows: Rows, query: Query
) -> None:
    number = await start(station)
    for index, volts in enumerate(("0", "0.1", "230", "230")):
        samples = [{"value": volts, "measurand": "Voltage", "unit": "V", "phase": "L1"}, energy("1000")]
        await send(station, element(*samples, minutes=-50 + index), transactionId=number)
    assert [row.voltage_v for row in await rows()] == [0, 0.1, 230, 230]
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.is_open, transaction.energy_wh, transaction.flags) == (True, 0, ["offline"])
