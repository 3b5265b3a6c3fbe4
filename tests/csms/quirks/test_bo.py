"""Boots, statuses and times as real stations send them: the group BO of the habits that docs/quirks.md lists."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.choices import RegistrationStatus
from chargers.models import (
    ChargePoint,
    Connector,
    Deviation,
    IdTag,
    Location,
    MeterValue,
    SecurityEvent,
    StatusNotification,
    Transaction,
)
from tasks import tasks
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.fixtures_subtests import Subtests
from tests.simulator.station import Payload, Station
from tests.simulator.v16 import Station16

NOW = datetime.now(UTC).replace(microsecond=0)
PLAIN = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# What a boot says, and where it is kept.
COLUMNS = {
    "chargePointVendor": "chargepoint_vendor",
    "chargePointModel": "chargepoint_model",
    "chargePointSerialNumber": "chargepoint_serial_number",
    "chargeBoxSerialNumber": "chargebox_serial_number",
    "firmwareVersion": "firmware_version",
    "iccid": "iccid",
    "imsi": "imsi",
    "meterType": "meter_type",
    "meterSerialNumber": "meter_serial_number",
}


def at(minutes: float) -> str:
    """Spell the time so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def deviations() -> set[str]:
    return set(Deviation.objects.values_list("kind", flat=True))


def the_station() -> ChargePoint:
    return ChargePoint.objects.get(pk="CP1")


def last_status() -> StatusNotification:
    found = StatusNotification.objects.first()
    assert found
    return found


def live(connector: int = 1) -> str:
    return Connector.objects.get(evse_id=connector).connector_status


async def boot(station: Station16, **members: Any) -> None:
    """Boot with exactly these members, and be accepted."""
    answer = await station.call("BootNotification", members)
    assert (answer["status"], answer["interval"]) == ("Accepted", 300)


async def tell(station: Station16, status: Any = "Available", connector: int = 1, **members: Any) -> None:
    """Report a status with these members, and be answered."""
    told = {"connectorId": connector, "errorCode": "NoError", "status": status, **members}
    assert await station.call("StatusNotification", told) == {}


async def start(station: Station16, minutes: float = -4, **members: Any) -> int:
    started = {"connectorId": 1, "idTag": "TAG1", "meterStart": 1000, "timestamp": at(minutes), **members}
    number: int = (await station.call("StartTransaction", started))["transactionId"]
    return number


async def stop(station: Station16, number: int, minutes: float = -1, **members: Any) -> None:
    told = {"transactionId": number, "meterStop": 2500, "timestamp": at(minutes), **members}
    assert await station.call("StopTransaction", told) == {}


def triggered(station: Station16) -> list[Payload]:
    return [call.payload for call in station.calls if call.action == "TriggerMessage"]


@pytest.fixture
async def tag(transactional_db: None, query: Query) -> None:
    """A tag that may charge."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))


@pytest.fixture
def greet(settings: Settings) -> Callable[[], None]:
    """Let stations tell what they have to tell before the silent ones are asked, at the call of this."""
    settings.OCPP_GREETING_GRACE = 60
    # The watch looks as often as half of this.
    settings.OCPP_PING_TIMEOUT = 0.1

    def now() -> None:
        settings.OCPP_GREETING_GRACE = 0.01

    return now


# BO-01, BO-02, BO-05 and BO-06: what a station says of itself

NAMELESS: list[Payload] = [
    {"chargePointVendor": "", "chargePointModel": "ACChargePoint"},
    {"chargePointVendor": "Acme", "chargePointModel": ""},
    {"chargePointVendor": " ", "chargePointModel": " "},
    {"chargePointVendor": None, "chargePointModel": "ACChargePoint"},
    {"chargePointModel": "ACChargePoint"},
    {"chargePointVendor": "Acme"},
    {"chargePointVendor": 7, "chargePointModel": 22.5},
    {},
]


async def test_bo_01_a_boot_without_a_vendor_is_accepted(station: Station16, query: Query, subtests: Subtests) -> None:
    for members in NAMELESS:
        with subtests.test(str(members)):
            await boot(station, **members, chargePointSerialNumber="huawei1")
            row = await query(the_station)
            told = [str(members.get(name) or "").strip() for name in ("chargePointVendor", "chargePointModel")]
            assert [row.chargepoint_vendor, row.chargepoint_model] == told
            assert row.chargepoint_serial_number == "huawei1"
    await tell(station, "Preparing")
    assert await query(live) == "Preparing"


async def test_bo_01_an_empty_vendor_breaks_no_rule(station: Station16, query: Query) -> None:
    await boot(station, chargePointModel="ACChargePoint", chargePointSerialNumber="huawei1", chargePointVendor="")
    assert await query(deviations) == set()


async def test_bo_02_what_is_too_long_is_kept_whole(station: Station16, query: Query) -> None:
    for length in (29, 255, 1000):
        told = {name: f"{name}-".ljust(length, "x") for name in COLUMNS}
        await boot(station, **told)
        row = await query(the_station)
        assert {name: getattr(row, column) for name, column in COLUMNS.items()} == told
    assert await query(deviations) == {"text-too-long"}


async def test_bo_05_empty_texts_are_absent(station: Station16, query: Query) -> None:
    told = dict.fromkeys(COLUMNS, "") | {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "PLP1-0-2-3"}
    await boot(station, **told)
    row = await query(the_station)
    assert {name: getattr(row, column) for name, column in COLUMNS.items()} == told
    assert await query(deviations) == set()
    await boot(station, **told | {"iccid": None, "imsi": "  ", "meterType": None})
    row = await query(the_station)
    assert (row.iccid, row.imsi, row.meter_type) == ("", "", "")


async def test_bo_05_a_text_in_the_wrong_place_is_kept_as_it_is(station: Station16, query: Query) -> None:
    for text in ("-67", "timeout", "RSSI: -71 dBm", "0", "{}", "null"):
        await boot(station, chargePointVendor="V", chargePointModel="GRS-*", iccid=text, imsi=text, meterType=text)
        row = await query(the_station)
        assert [row.iccid, row.imsi, row.meter_type, row.chargepoint_model] == [text, text, text, "GRS-*"]
    assert await query(deviations) == set()


@pytest.mark.usefixtures("tag")
async def test_bo_06_a_station_that_never_sends_meter_values_shows_none_and_is_not_pestered(
    greet: Callable[[], None], station: Station16, url: str, query: Query
) -> None:
    await boot(station, chargePointVendor="Wall Box Chargers", chargePointModel="P", meterType="Internal NON compliant")
    await tell(station, "Charging")
    assert (await query(the_station)).meter_type == "Internal NON compliant"
    number = await start(station)
    running = await query(lambda: Transaction.objects.get())
    assert (running.is_open, running.wh_meter_last, running.energy_wh) == (True, None, 0)
    async with Station16(url, "CP2") as silent:
        greet()
        await silent.expect_call("TriggerMessage")
    await stop(station, number)
    stopped = await query(lambda: Transaction.objects.get())
    assert (stopped.energy_wh, stopped.wh_meter_last, stopped.flags) == (1500, None, [])
    assert await query(lambda: MeterValue.objects.count()) == 0
    assert station.calls == []


# BO-03 and BO-14: stations that say little


async def test_bo_03_a_station_that_does_not_boot_is_served(station: Station16, query: Query) -> None:
    assert "currentTime" in await station.heartbeat()
    await tell(station, "Charging")
    number = await start(station)
    await stop(station, number)
    assert await query(live) == "Charging"
    row = await query(the_station)
    assert (row.registration_status, row.last_boot) == ("Accepted", None)
    assert row.last_heartbeat


@pytest.mark.usefixtures("tag")
async def test_bo_03_a_station_that_goes_on_after_a_restart_of_the_platform_keeps_what_it_said(
    station: Station16, query: Query
) -> None:
    await boot(station, chargePointVendor="A-Tronix", chargePointModel="Wallbox")
    number = await start(station)
    await station.drop()
    await station.connect()
    await tell(station, "SuspendedEV")
    row = await query(the_station)
    assert (row.chargepoint_vendor, row.last_boot is not None) == ("A-Tronix", True)
    assert (await query(lambda: Transaction.objects.get())).is_open
    await stop(station, number)
    assert (await query(lambda: Transaction.objects.get())).flags == []


async def test_bo_03_a_station_that_does_not_boot_is_asked_once_for_a_boot(
    greet: Callable[[], None], url: str, query: Query
) -> None:
    async with Station16(url, "CP1") as station:
        station.answers["TriggerMessage"] = {"status": "Rejected"}
        await tell(station)
        greet()
        await station.expect_call("TriggerMessage")
        async with Station16(url, "CP2") as later:
            await later.expect_call("TriggerMessage")
        assert triggered(station) == [{"requestedMessage": "BootNotification"}]
        await tell(station, "Preparing")
    assert await query(live) == "Preparing"


@pytest.mark.parametrize("told", [[], [0]])
async def test_bo_14_a_station_that_tells_no_connectors_status_is_asked_and_keeps_the_last_known(
    greet: Callable[[], None], url: str, query: Query, told: list[int]
) -> None:
    async with Station16(url, "CP1", connectors=2) as station:
        await station.boot()
        await station.status(1, "Charging")
        await station.status(2, "Faulted")
    async with Station16(url, "CP1", connectors=2, autonomous=True) as station:
        station.answers["TriggerMessage"] = {"status": "Rejected"}
        for connector in told:
            await station.status(connector)
        greet()
        # Which connectors it means is left out: all (section 5.17).
        assert (await station.expect_call("TriggerMessage")).payload == {"requestedMessage": "StatusNotification"}
        assert [await query(lambda number=number: live(number)) for number in (1, 2)] == ["Charging", "Faulted"]


async def test_bo_14_a_station_that_is_asked_tells_each_connectors_status(
    greet: Callable[[], None], url: str, query: Query
) -> None:
    async with Station16(url, "CP1", connectors=2, autonomous=True) as station:
        await station.boot()
        await station.status(0)
        greet()
        await until(lambda: Connector.objects.count() == 2)
        assert triggered(station) == [{"requestedMessage": "StatusNotification"}]
    assert [await query(lambda number=number: live(number)) for number in (1, 2)] == ["Available", "Available"]


@pytest.mark.usefixtures("tag")
async def test_bo_14_a_connector_that_never_told_its_status_is_unknown(station: Station16, query: Query) -> None:
    await tell(station, "Available", connector=0)
    assert not await query(lambda: Connector.objects.exists())
    await start(station, connectorId=2)
    assert await query(lambda: live(2)) == "Unknown"


# BO-04: booting again


@pytest.mark.usefixtures("tag")
async def test_bo_04_a_boot_without_a_reboot_gets_the_same_answer_and_ends_nothing(
    station: Station16, query: Query
) -> None:
    await tell(station, "Charging")
    number = await start(station)
    for _ in range(3):
        await boot(station, chargePointVendor="Wall Box Chargers", chargePointModel="PLP1")
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.is_open, transaction.flags) == (True, ["booted_during"])
    assert await query(live) == "Charging"
    await stop(station, number)
    assert (await query(lambda: Transaction.objects.get())).energy_wh == 1500


@pytest.mark.usefixtures("tag")
async def test_bo_04_a_boot_the_operator_asked_for_flags_nothing(url: str, query: Query) -> None:
    async with Station16(url, "CP1") as station:
        await start(station)
        command = await operator.perform("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert command.response == {"status": "Accepted"}
        await boot(station, chargePointVendor="ABB", chargePointModel="TAC")
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.is_open, transaction.flags) == (True, [])


# BO-07, BO-08, BO-10 and BO-12: what a status says


async def test_bo_07_an_error_nobody_knows_is_another_error_and_kept(
    station: Station16, query: Query, subtests: Subtests
) -> None:
    for word in ("Error", "GenericError", "E-17: Erdschluss", "RelayStuck", "17"):
        with subtests.test(word):
            await tell(station, "Faulted", errorCode=word)
            kept = await query(last_status)
            assert (kept.status, kept.error_code, kept.vendor_error_code) == ("Faulted", "OtherError", word)
            assert (await query(lambda: Connector.objects.get())).error_code == "OtherError"
            assert (await query(lambda: Deviation.objects.get(kind="unknown-word"))).example
    await tell(station, "Faulted", errorCode="Error", vendorErrorCode="0x17", info="relay")
    kept = await query(last_status)
    assert (kept.error_code, kept.vendor_error_code, kept.info) == ("OtherError", "0x17", "relay")


async def test_bo_07_an_error_in_another_spelling_is_that_error(station: Station16, query: Query) -> None:
    spellings = {"groundfailure": "GroundFailure", " OverVoltage ": "OverVoltage", "noerror": "NoError"}
    for sent, known in spellings.items():
        await tell(station, "Faulted", errorCode=sent)
        kept = await query(last_status)
        assert (kept.error_code, kept.vendor_error_code) == (known, "")


async def test_bo_07_a_status_without_an_error_code_has_no_error(station: Station16, query: Query) -> None:
    assert await station.call("StatusNotification", {"connectorId": 1, "status": "Charging"}) == {}
    for nothing in (None, "", "null", "None"):
        await tell(station, "Charging", errorCode=nothing)
    kept = await query(lambda: set(StatusNotification.objects.values_list("error_code", "vendor_error_code")))
    assert kept == {("NoError", "")}


async def test_bo_08_texts_of_a_status_are_kept_whole(station: Station16, query: Query) -> None:
    for length in (51, 80, 1000):
        text = "User didn't disconnect vehicle within 00:10:00 \N{EN DASH} ".ljust(length, ".")
        await tell(station, "Finishing", info=text, vendorId=text, vendorErrorCode=text)
        kept = await query(last_status)
        assert (kept.info, kept.vendor_id, kept.vendor_error_code) == (text,) * 3
    await tell(station, "Finishing", info="x" * 5000)
    assert (await query(last_status)).info == "x" * 1000, "no text is twenty times too long"
    assert await query(live) == "Finishing"
    assert await query(deviations) == {"text-too-long"}


async def test_bo_10_what_says_nothing_is_not_shown(station: Station16, query: Query, subtests: Subtests) -> None:
    codes = ("0x00", "0x0000", "0X00", "0", "0000", "null", "None", "", "00000000000000000000000000000000", 0)
    for code in codes:
        with subtests.test(str(code)):
            await tell(station, "Preparing", info="null", vendorErrorCode=code, vendorId="(null)")
            kept = await query(last_status)
            assert (kept.info, kept.vendor_id, kept.vendor_error_code, kept.error_code) == ("", "", "", "NoError")
            assert (await query(lambda: Connector.objects.get())).error_code == "NoError"


INFOS: list[Payload] = [
    {"info": '{"reason":"faults","cpv":0,"rv":0}', "vendorErrorCode": "00001000000000000000000000000000"},
    {"info": '{"reason":"faults"}', "vendorId": "EN+"},
    {"vendorErrorCode": "0x0040"},
    {"vendorId": "KEBA AG P30 v 3.10.42 (210831:102421)"},
    {"info": "Error"},
]


async def test_bo_10_nothing_but_status_and_error_code_makes_an_alarm(
    station: Station16, query: Query, subtests: Subtests
) -> None:
    for members in INFOS:
        with subtests.test(str(members)):
            await tell(station, "Charging", **members)
            kept = await query(last_status)
            assert kept.info == members.get("info", "")
            assert kept.vendor_id == members.get("vendorId", "")
            assert kept.vendor_error_code == members.get("vendorErrorCode", "")
            connector = await query(lambda: Connector.objects.get())
            assert (connector.connector_status, connector.error_code) == ("Charging", "NoError")


async def test_bo_10_an_object_for_a_text_does_not_cost_the_status(station: Station16, query: Query) -> None:
    await tell(station, "Charging", info={"reason": "faults"}, vendorErrorCode=["E1"], vendorId=17)
    kept = await query(last_status)
    assert (kept.status, kept.info, kept.vendor_id) == ("Charging", "", "17")


@pytest.mark.usefixtures("tag")
async def test_bo_12_any_status_may_follow_any_other(station: Station16, query: Query) -> None:
    await start(station)
    for status in ("Faulted", "Available", "Charging", "Reserved", "Faulted", "Finishing", "Preparing", "Unavailable"):
        await tell(station, status)
        connector = await query(lambda: Connector.objects.get())
        assert (connector.connector_status, connector.error_code) == (status, "NoError")
    assert await query(deviations) == set()
    assert (await query(lambda: Transaction.objects.get())).is_open


async def test_bo_12_a_status_in_another_spelling_is_that_status(station: Station16, query: Query) -> None:
    for sent, shown in (("charging", "Charging"), (" SUSPENDEDEV", "SuspendedEV")):
        await tell(station, sent)
        assert await query(live) == shown


async def test_bo_12_a_status_nobody_knows_is_kept_and_shown_as_unknown(station: Station16, query: Query) -> None:
    await tell(station, "Updating")
    assert ((await query(last_status)).status, await query(live)) == ("Updating", "Unknown")


# BO-09: times


def spelt(minutes: float, form: str) -> str:
    return (NOW + timedelta(minutes=minutes)).strftime(form)


def readable() -> dict[str, str]:
    """Spell the time seven minutes ago."""
    return {
        "no zone": spelt(-7, "%Y-%m-%dT%H:%M:%S"),
        "no zone and a blank": spelt(-7, "%Y-%m-%d %H:%M:%S"),
        "offset of hours": spelt(113, "%Y-%m-%dT%H:%M:%S+02"),
        "offset without a colon": spelt(-307, "%Y-%m-%dT%H:%M:%S.0-0500"),
        "small letters": spelt(-7, "%Y-%m-%dt%H:%M:%Sz"),
        "padded": spelt(-7, " %Y-%m-%dT%H:%M:%SZ\r\n"),
        "slashes": spelt(-7, "%Y/%m/%d %H:%M:%S"),
        "nanoseconds": spelt(-7, "%Y-%m-%dT%H:%M:%S.000000000Z"),
        "decimal comma": spelt(-7, "%Y-%m-%dT%H:%M:%S,000Z"),
        "seconds since 1970": str(int(NOW.timestamp()) - 420),
    }


# What a station sends for a time that cannot be, and what is kept of it.
ABSURD: dict[str, tuple[Any, str]] = {
    "1970": ("1970-01-01T00:01:10.932Z", "1970-01-01T00:01:10.932Z"),
    "the year 1": ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    "no leap year": ("2022-02-29T12:00:00Z", "2022-02-29T12:00:00Z"),
    "month 0": ("2026-00-00T00:00:00Z", "2026-00-00T00:00:00Z"),
    "empty": ("", ""),
    "blank": ("  ", ""),
    "zero": ("0", "0"),
    "the number 0": (0, "0"),
    "null": (None, ""),
    "a word": ("not set", "not set"),
    "true": (True, "true"),
    "a year of five digits": ("12026-01-01T00:00:00Z", "12026-01-01T00:00:00Z"),
    "far ahead": ("2106-02-07T06:28:15Z", "2106-02-07T06:28:15Z"),
}


async def test_bo_09_a_time_is_read_however_it_is_spelt(station: Station16, query: Query, subtests: Subtests) -> None:
    for index, (name, text) in enumerate(readable().items(), 1):
        with subtests.test(name):
            await tell(station, "Charging", connector=index, timestamp=text)
            kept = await query(last_status)
            assert kept.timestamp == NOW - timedelta(minutes=7)
            assert kept.timestamp_raw in (text, "")
            assert kept.received_at >= NOW
            assert await query(lambda index=index: live(index)) == "Charging"


async def test_bo_09_the_time_of_receipt_stands_in_for_an_absent_or_absurd_one(
    station: Station16, query: Query, subtests: Subtests
) -> None:
    for index, (name, (text, raw)) in enumerate(ABSURD.items(), 1):
        with subtests.test(name):
            await tell(station, "Charging", connector=index, timestamp=text)
            kept = await query(last_status)
            assert kept.timestamp == kept.received_at >= NOW
            assert kept.timestamp_raw == raw
            assert await query(lambda index=index: live(index)) == "Charging"
    await tell(station, "Preparing", connector=99)
    kept = await query(last_status)
    assert (kept.timestamp, kept.timestamp_raw) == (kept.received_at, "")


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize("text", ["1970-01-01T00:01:10Z", "", "0", None])
async def test_bo_09_a_session_without_a_clock_is_kept_with_our_time_and_flagged(
    station: Station16, query: Query, text: Any
) -> None:
    number = await start(station, timestamp=text)
    sample = {"value": "1800", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    reading = {"timestamp": text, "sampledValue": [sample]}
    values = {"connectorId": 1, "transactionId": number, "meterValue": [reading]}
    assert await station.call("MeterValues", values) == {}
    await stop(station, number, timestamp=text)
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (1500, ["clock_unreliable"])
    assert NOW <= transaction.start_transaction_timestamp <= transaction.stop_transaction_timestamp
    kept = await query(lambda: MeterValue.objects.get())
    assert (kept.transaction_id, kept.timestamp_raw) == (number, text or "")
    assert kept.timestamp == kept.received_at


@pytest.mark.usefixtures("tag")
async def test_bo_09_a_session_may_leave_its_times_out(station: Station16, query: Query) -> None:
    started = await station.call("StartTransaction", {"connectorId": 1, "idTag": "TAG1", "meterStart": 1000})
    sample = {"value": "1800"}
    values = {"connectorId": 1, "transactionId": started["transactionId"], "meterValue": [{"sampledValue": [sample]}]}
    assert await station.call("MeterValues", values) == {}
    assert await station.call("StopTransaction", {"transactionId": started["transactionId"], "meterStop": 2500}) == {}
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags, transaction.is_open) == (1500, ["clock_unreliable"], False)


@pytest.mark.usefixtures("tag")
async def test_bo_09_a_local_time_that_claims_to_be_utc_is_not_in_the_future(station: Station16, query: Query) -> None:
    for status, ahead in (("Preparing", 119), ("Charging", 120)):
        await tell(station, status, timestamp=at(ahead))
    kept = await query(last_status)
    assert (kept.timestamp, kept.timestamp_raw) == (kept.received_at, at(120))
    assert await query(live) == "Charging"
    number = await start(station, 120)
    await stop(station, number, 180)
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.energy_wh, transaction.flags) == (1500, ["clock_unreliable"])
    assert NOW <= transaction.start_transaction_timestamp <= transaction.stop_transaction_timestamp


async def test_bo_09_a_time_without_a_zone_is_that_of_the_stations_place(url: str, query: Query) -> None:
    def place() -> None:
        location = Location.objects.create(
            name="Depot", address="1", city="Kathmandu", country="NPL", time_zone="Asia/Kathmandu"
        )
        ChargePoint.objects.create(chargepoint_id="CP1", location=location)

    await query(place)
    async with Station16(url, "CP1") as station:
        await tell(station, timestamp=(NOW + timedelta(minutes=345 - 2)).strftime("%Y-%m-%dT%H:%M:%S"))
    assert (await query(last_status)).timestamp == NOW - timedelta(minutes=2)


async def test_bo_09_times_of_2_0_1_are_read_alike(url: str, query: Query, subtests: Subtests) -> None:
    times = [(text, NOW - timedelta(minutes=7)) for text in readable().values()]
    times += [(text, None) for text, _ in ABSURD.values()]
    async with Station(url, "CP1", subprotocols=("ocpp2.0.1",)) as station:
        for index, (text, moment) in enumerate(times, 1):
            with subtests.test(str(text)):
                told = {"timestamp": text, "connectorStatus": "Occupied", "evseId": index, "connectorId": 1}
                assert await station.call("StatusNotification", told) == {}
                kept = await query(last_status)
                assert kept.timestamp == (moment or kept.received_at)
                assert await query(lambda index=index: live(index)) == "Occupied"


# BO-11: replayed statuses


@pytest.mark.usefixtures("tag")
async def test_bo_11_old_statuses_told_after_a_reconnect_do_not_move_the_live_state(
    station: Station16, query: Query
) -> None:
    await start(station)
    await tell(station, "Charging", timestamp=at(-1))
    await station.drop()
    await station.connect()
    for minutes, status in ((-500, "Preparing"), (-400, "Available"), (-60, "Faulted"), (-2, "Preparing")):
        await tell(station, status, timestamp=at(minutes), errorCode="OtherError" if status == "Faulted" else "NoError")
    connector = await query(lambda: Connector.objects.get())
    assert (connector.connector_status, connector.error_code) == ("Charging", "NoError")
    assert connector.status_timestamp == NOW - timedelta(minutes=1)
    assert await query(lambda: StatusNotification.objects.count()) == 5
    await query(tasks.close_abandoned_transactions)
    assert (await query(lambda: Transaction.objects.get())).is_open


@pytest.mark.usefixtures("tag")
@pytest.mark.parametrize("status", ["Faulted", "Available"])
async def test_bo_11_a_status_of_the_whole_station_ends_no_transaction(
    station: Station16, query: Query, settings: Settings, status: str
) -> None:
    settings.OCPP_TRANSACTION_GRACE = 0
    await tell(station, "Charging", timestamp=at(-3))
    await start(station)
    await tell(station, status, connector=0, errorCode="GroundFailure", timestamp=at(-2))
    await query(tasks.close_abandoned_transactions)
    assert (await query(the_station)).chargepoint_status == status
    assert await query(live) == "Charging"
    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.is_open, transaction.flags) == (True, [])


async def test_bo_11_a_clock_set_by_our_whole_seconds_does_not_hold_the_state_up(
    station: Station16, query: Query
) -> None:
    await tell(station, "Unavailable", timestamp="1970-01-01T00:01:10.932Z")
    clock = datetime.fromisoformat((await station.heartbeat())["currentTime"]) - timedelta(seconds=0.5)
    await tell(station, "Available", timestamp=clock.isoformat())
    assert await query(live) == "Available"


async def test_bo_11_a_clock_that_ran_ahead_does_not_hold_the_state_up(station: Station16, query: Query) -> None:
    for ahead, status in ((3, "Charging"), (600_000, "Finishing")):
        await tell(station, status, timestamp=at(ahead))
        await tell(station, "Available")
        assert await query(live) == "Available"


# BO-13: Finishing until unplugged


@pytest.mark.usefixtures("tag")
async def test_bo_13_a_station_that_starts_nothing_until_it_is_unplugged_says_so(
    station: Station16, query: Query
) -> None:
    number = await start(station)
    stopping = await operator.ask("RemoteStopTransaction", {"transactionId": number})
    station.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    await station.expect_call("RemoteStopTransaction")
    assert (await operator.end_of(stopping)).status == "answered"
    await stop(station, number, reason="Remote")
    await tell(station, "Finishing")
    station.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    again = await operator.perform("RemoteStartTransaction", {"idTag": "TAG1", "connectorId": 1})
    assert (again.status, again.response) == ("answered", {"status": "Rejected"})
    assert await query(live) == "Finishing"
    stopped = await query(lambda: Transaction.objects.get())
    assert (stopped.is_open, stopped.reason_stopped, stopped.flags) == (False, "Remote", [])


async def test_bo_13_a_limit_of_0_stands_in_for_the_stop(station: Station16, query: Query) -> None:
    number = await start(station)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    for limit in (0, 16):
        profile = {
            "chargingProfileId": 1,
            "transactionId": number,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            },
        }
        paused = await operator.perform("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
        assert paused.response == {"status": "Accepted"}
        assert (await station.expect_call("SetChargingProfile")).payload["csChargingProfiles"] == profile
    assert await query(lambda: Transaction.objects.get().is_open)


# BO-15: security events

EVENTS: list[Payload] = [
    {"type": "StartupOfTheDevice", "timestamp": at(-1), "techInfo": "The Charge Point has booted"},
    {"type": "com.vendor.DoorOpened", "timestamp": at(-1), "techInfo": "x" * 1000},
    {"type": "y" * 80, "timestamp": at(-100_000)},
    {"type": "SettingSystemTime", "timestamp": "1970-01-01T00:00:12Z"},
    {"type": "SettingSystemTime", "timestamp": ""},
    {"type": "FirmwareUpdated", "techInfo": None},
    {"type": "InvalidMessages", "timestamp": at(-1), "techInfo": {"count": 3}, "severity": 1},
    {"timestamp": at(-1), "techInfo": "no type"},
]


@pytest.mark.parametrize("status", RegistrationStatus)
async def test_bo_15_security_events_are_taken_before_and_after_the_boot_is_accepted(
    url: str, query: Query, subtests: Subtests, status: RegistrationStatus
) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=status))
    async with Station16(url, "CP1") as station:
        for round_ in range(2):
            for event in EVENTS:
                with subtests.test(f"{round_} {event}"):
                    assert await station.call("SecurityEventNotification", event) == {}
                    kept = await query(lambda: SecurityEvent.objects.first())
                    assert kept.type == event.get("type", "")
                    assert kept.timestamp <= kept.received_at
            assert (await station.boot())["status"] == status
    assert await query(lambda: SecurityEvent.objects.count()) == 2 * len(EVENTS)


async def test_bo_15_a_security_event_of_2_0_1_is_taken_before_the_boot_is_accepted(url: str, query: Query) -> None:
    pending = RegistrationStatus.PENDING
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=pending))
    async with Station(url, "CP1", subprotocols=("ocpp2.0.1",)) as station:
        for _ in range(2):
            event = {"type": "StartupOfTheDevice", "timestamp": at(-1)}
            assert await station.call("SecurityEventNotification", event) == {}
    assert await query(lambda: SecurityEvent.objects.count()) == 2


# BO-16: our own answers


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
async def test_bo_16_a_boot_is_answered_in_the_versions_own_words_and_with_a_plain_time(url: str, version: str) -> None:
    boots = {
        "ocpp1.6": {"chargePointVendor": "V", "chargePointModel": "M"},
        "ocpp2.0.1": {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}},
    }
    async with Station(url, "CP1", subprotocols=(version,)) as station:
        booted = await station.call("BootNotification", boots[version])
        assert booted.keys() == {"currentTime", "interval", "status"}
        assert (booted["status"], booted["interval"]) == ("Accepted", 300)
        alive = await station.call("Heartbeat")
        assert alive.keys() == {"currentTime"}
        for answer in (booted, alive):
            assert PLAIN.fullmatch(answer["currentTime"])
            assert abs(datetime.fromisoformat(answer["currentTime"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_bo_16_a_station_that_answers_our_answer_with_an_error_is_left_in_peace(
    station: Station16, query: Query
) -> None:
    await station.call("BootNotification", station.boot_payload, message_id="boot-1")
    await station.send_raw(json.dumps([4, "boot-1", "FormationViolation", "currentTime", {}]))
    assert "currentTime" in await station.heartbeat()
    assert station.unclaimed == []
    await until(lambda: deviations() == {"answer-to-nobody"})
    assert await query(lambda: Command.objects.count()) == 0
