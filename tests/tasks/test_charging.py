"""Requests that carry a charging profile: completed, and checked as a whole before anybody hears of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.errors import UnknownChargingProfile
from chargers.models import ChargePoint, InstalledProfile, Transaction
from tasks import commands, schemas
from tasks.actions import BY_NAME
from tasks.errors import StationUnable
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody
from tests.api import rows

pytestmark = pytest.mark.usefixtures("db", "redis_settings")

NOW = timezone.now()
Payload = dict[str, Any]


@pytest.fixture
def station(db: None) -> ChargePoint:
    rows.station(connected=True)
    return ChargePoint.objects.with_connected(NOW).get()


def periods(*limits: float, **more: Any) -> list[Payload]:
    return [{"startPeriod": 3600 * index, "limit": limit, **more} for index, limit in enumerate(limits)]


def profile(*limits: float, **members: Any) -> Payload:
    schedule = {
        "chargingRateUnit": members.pop("unit", "A"),
        "chargingSchedulePeriod": members.pop("periods", periods(*limits or (16,))),
    }
    default = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative"}
    return {**default, **members, "chargingSchedule": {**schedule, **members.pop("chargingSchedule", {})}}


def create(
    of: ChargePoint, action: str, payload: Payload, *, force: bool = False, **extras: Any
) -> tuple[Payload, Command]:
    row = BY_NAME[OcppVersion.V16, action]
    command = commands.create(
        station=of,
        action=row,
        payload=payload,
        extras=extras,
        force=force,
        requested_by=None,
        now=NOW,
        changes=Changes(),
    )
    return command.payload, command


def setting(of: ChargePoint, told: Payload | None = None, connector: int = 0, **more: Any) -> Payload:
    payload: Payload = {"connectorId": connector}
    if told is not None:
        payload["csChargingProfiles"] = told
    return create(of, "SetChargingProfile", payload, **more)[0]


def starting(of: ChargePoint, told: Payload | None = None, connector: int | None = 1, **more: Any) -> Payload:
    payload: Payload = {"idTag": "TAG1"}
    if connector is not None:
        payload["connectorId"] = connector
    if told is not None:
        payload["chargingProfile"] = told
    return create(of, "RemoteStartTransaction", payload, **more)[0]


def refused(work: Any) -> Payload:
    with pytest.raises(InvalidBody) as error:
        work()
    assert not Command.objects.exists()
    return error.value.fields


INNER = "cs_charging_profiles"


def test_a_profile_that_was_told_is_sent_as_it_is(station: ChargePoint) -> None:
    told = {"chargingProfileId": 7, **profile(16.5, 10, chargingSchedule={"duration": 7200, "minChargingRate": 6.1})}
    assert setting(station, told) == {"connectorId": 0, "csChargingProfiles": told}


def test_a_profile_without_an_id_gets_one_of_its_own(station: ChargePoint) -> None:
    numbers = {setting(station, profile())["csChargingProfiles"]["chargingProfileId"] for _ in range(5)}
    assert len(numbers) == 5
    assert min(numbers) >= 1_000_000
    assert 1_000_000 <= starting(station, TX)["chargingProfile"]["chargingProfileId"] < 2**31


@pytest.mark.parametrize("member", ["validFrom", "validTo"])
@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_time_that_no_calendar_has_is_refused_by_name(station: ChargePoint, member: str, text: str) -> None:
    field = schemas.snake(member)
    assert refused(lambda: setting(station, profile(**{member: text}))).keys() == {f"{INNER}.{field}"}
    assert refused(lambda: starting(station, {**TX, member: text})).keys() == {f"charging_profile.{field}"}


def test_times_go_out_in_utc(station: ChargePoint) -> None:
    east = "2026-03-01T14:00:00.5+02:00"
    told = profile(
        chargingProfileKind="Absolute",
        validFrom="2026-03-01T00:00:00+02:00",
        validTo="2026-03-02T00:00:00Z",
        chargingSchedule={"startSchedule": east},
    )
    sent = setting(station, told)["csChargingProfiles"]
    assert (sent["validFrom"], sent["validTo"]) == ("2026-02-28T22:00:00Z", "2026-03-02T00:00:00Z")
    assert sent["chargingSchedule"]["startSchedule"] == "2026-03-01T12:00:00Z"


# One in store


def test_a_profile_in_store_is_sent_by_its_id(station: ChargePoint) -> None:
    schedule = {
        "duration": 86_400,
        "start_schedule": "2026-03-01T14:00:00+02:00",
        "charging_rate_unit": "W",
        "charging_schedule_period": [{"start_period": 0, "limit": 11_000.5, "number_phases": 3}],
        "min_charging_rate": 100,
    }
    stored = rows.charging_profile(
        purpose="ChargingStationMaxProfile",
        kind="Recurring",
        recurrency_kind="Daily",
        stack_level=2,
        valid_to=datetime(2030, 1, 1, tzinfo=UTC),
        schedules=[schedule],
    )
    assert setting(station, charging_profile_id=stored.pk)["csChargingProfiles"] == {
        "chargingProfileId": stored.pk,
        "stackLevel": 2,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "validTo": "2030-01-01T00:00:00Z",
        "chargingSchedule": {
            "duration": 86_400,
            "startSchedule": "2026-03-01T12:00:00Z",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000.5, "numberPhases": 3}],
            "minChargingRate": 100,
        },
    }


def test_the_transaction_stands_beside_a_profile_in_store(station: ChargePoint) -> None:
    stored = rows.charging_profile(purpose="TxProfile", transaction_id=1)
    for extras, number in (({}, 1), ({"transaction_id": 4711}, 4711)):
        sent = setting(station, connector=1, charging_profile_id=stored.pk, **extras)
        assert sent["csChargingProfiles"]["transactionId"] == number


@pytest.mark.parametrize("action", [setting, starting])
def test_a_profile_that_is_not_in_store_is_not_found(action: Any, station: ChargePoint) -> None:
    for number in (4711, 10**15):
        with pytest.raises(UnknownChargingProfile, match=f"no charging profile {number}"):
            action(station, charging_profile_id=number)


def test_there_is_one_profile_and_one_transaction(station: ChargePoint) -> None:
    stored = rows.charging_profile().pk
    assert refused(lambda: setting(station)).keys() == {INNER}
    assert refused(lambda: setting(station, profile(), charging_profile_id=stored)).keys() == {"charging_profile_id"}
    assert refused(lambda: starting(station, TX, charging_profile_id=stored)).keys() == {"charging_profile_id"}
    twice = refused(lambda: setting(station, {**TX, "transactionId": 1}, 1, transaction_id=1))
    assert twice.keys() == {"transaction_id"}


def test_a_foreign_transaction_is_named_as_its_station_knows_it(station: ChargePoint) -> None:
    foreign = Transaction.objects.create(chargepoint=station, uuid="4711", received_at=NOW)
    sent = setting(station, {**TX, "transactionId": foreign.pk}, 1)
    assert sent["csChargingProfiles"]["transactionId"] == 4711


def test_a_transaction_that_is_unknown_over_or_elsewhere_is_for_the_station_to_judge(station: ChargePoint) -> None:
    over = rows.transaction(station, evse_id=2, stop_transaction_timestamp=NOW).pk
    for number in (over, 10**12, -1):
        assert setting(station, {**TX, "transactionId": number}, 1)["csChargingProfiles"]["transactionId"] == number


# What cannot be sent

TX = profile(chargingProfilePurpose="TxProfile")
MAXIMUM = profile(chargingProfilePurpose="ChargePointMaxProfile")
SCHEDULE = f"{INNER}.charging_schedule"


@pytest.mark.parametrize(
    ("told", "connector", "fields"),
    [
        (MAXIMUM, 1, {"connector_id"}),
        (profile(), -1, {"connector_id"}),
        (profile(), 2**31, {"connector_id"}),
        ({**TX, "transactionId": 1}, 0, {"connector_id"}),
        (TX, 1, {f"{INNER}.transaction_id"}),
        (TX, 0, {"connector_id", f"{INNER}.transaction_id"}),
        ({**MAXIMUM, "transactionId": 1}, 0, {f"{INNER}.transaction_id"}),
        ({**profile(), "transactionId": 1}, 0, {f"{INNER}.transaction_id"}),
        ({**profile(), "chargingProfileId": 2**40}, 0, {f"{INNER}.charging_profile_id"}),
        (profile(stackLevel=-1), 0, {f"{INNER}.stack_level"}),
        (profile(recurrencyKind="Daily"), 0, {f"{INNER}.recurrency_kind"}),
        (profile(chargingSchedule={"duration": 0}), 0, {f"{SCHEDULE}.duration"}),
        (profile(periods=[]), 0, {f"{SCHEDULE}.charging_schedule_period"}),
        (profile(-1, 16), 0, {f"{SCHEDULE}.charging_schedule_period.0.limit"}),
        (
            profile(stackLevel=-1, periods=periods(-1)),
            1,
            {
                f"{INNER}.stack_level",
                f"{SCHEDULE}.charging_schedule_period.0.limit",
            },
        ),
    ],
)
def test_a_profile_that_makes_no_sense_there_is_refused_by_field(
    told: Payload, connector: int, fields: set[str], station: ChargePoint
) -> None:
    assert refused(lambda: setting(station, told, connector)).keys() == fields
    # Not even then: it is not about what the station is known to take.
    assert refused(lambda: setting(station, told, connector, force=True)).keys() == fields


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (profile(), "charging_profile.charging_profile_purpose"),
        (MAXIMUM, "charging_profile.charging_profile_purpose"),
        ({**TX, "transactionId": 1}, "charging_profile.transaction_id"),
        ({**TX, "stackLevel": -1}, "charging_profile.stack_level"),
    ],
)
def test_a_remote_start_takes_a_profile_of_its_own_transaction_only(
    told: Payload, field: str, station: ChargePoint
) -> None:
    assert refused(lambda: starting(station, told)).keys() == {field}


def test_a_remote_start_names_a_connector_above_0_or_none(station: ChargePoint) -> None:
    assert refused(lambda: starting(station, connector=0)).keys() == {"connector_id"}
    assert refused(lambda: starting(station, TX, connector=2**31)).keys() == {"connector_id"}
    assert starting(station, connector=None) == {"idTag": "TAG1"}


def test_what_is_wrong_with_one_in_store_is_told_of_its_id(station: ChargePoint) -> None:
    stored = rows.charging_profile(purpose="ChargingStationMaxProfile").pk
    told = refused(lambda: starting(station, charging_profile_id=stored))
    assert told == {
        "charging_profile_id": [
            "chargingprofile_purpose: What goes along with a remote start is a TxProfile.",
        ]
    }
    assert refused(lambda: setting(station, connector=1, charging_profile_id=stored)).keys() == {"connector_id"}
    tx = rows.charging_profile(purpose="TxProfile").pk
    assert refused(lambda: setting(station, connector=1, charging_profile_id=tx)) == {
        "charging_profile_id": ["transaction_id: A TxProfile is set for a transaction."]
    }


# What the station told of itself


def test_without_a_word_from_the_station_any_profile_goes(station: ChargePoint) -> None:
    told = profile(16, 10, stackLevel=99, periods=[*periods(16), {"startPeriod": 1, "limit": 6, "numberPhases": 1}])
    assert setting(station, told)["csChargingProfiles"]["stackLevel"] == 99


@pytest.mark.parametrize(
    ("key", "value", "told", "field"),
    [
        ("ChargeProfileMaxStackLevel", "2", profile(stackLevel=2), None),
        ("ChargeProfileMaxStackLevel", "2", profile(stackLevel=3), f"{INNER}.stack_level"),
        ("chargeprofilemaxstacklevel", " 0 ", profile(stackLevel=1), f"{INNER}.stack_level"),
        ("ChargeProfileMaxStackLevel", "many", profile(stackLevel=3), None),
        ("ChargingScheduleMaxPeriods", "2", profile(16, 10), None),
        ("ChargingScheduleMaxPeriods", "1", profile(16, 10), f"{SCHEDULE}.charging_schedule_period"),
        ("ChargingScheduleMaxPeriods", "0", profile(16, 10), None),
        ("ChargingScheduleAllowedChargingRateUnit", "Power", profile(), f"{SCHEDULE}.charging_rate_unit"),
        ("ChargingScheduleAllowedChargingRateUnit", "w", profile(), f"{SCHEDULE}.charging_rate_unit"),
        ("ChargingScheduleAllowedChargingRateUnit", "Current, Power", profile(), None),
        ("ChargingScheduleAllowedChargingRateUnit", "A", profile(), None),
        ("ChargingScheduleAllowedChargingRateUnit", "CURRENT;", profile(unit="W"), f"{SCHEDULE}.charging_rate_unit"),
        ("ChargingScheduleAllowedChargingRateUnit", "", profile(), None),
        ("ChargingScheduleAllowedChargingRateUnit", "yes", profile(), None),
        (
            "ConnectorSwitch3to1PhaseSupported",
            "False",
            profile(periods=[*periods(16), {"startPeriod": 1, "limit": 6, "numberPhases": 1}]),
            f"{SCHEDULE}.charging_schedule_period",
        ),
        ("ConnectorSwitch3to1PhaseSupported", "false", profile(periods=periods(16, 6, numberPhases=1)), None),
        (
            "ConnectorSwitch3to1PhaseSupported",
            "1",
            profile(periods=[*periods(16), {"startPeriod": 1, "limit": 6, "numberPhases": 1}]),
            None,
        ),
    ],
)
def test_a_profile_is_held_against_what_the_station_told(
    key: str, value: str, told: Payload, field: str | None, station: ChargePoint
) -> None:
    rows.variable(station, key, value)
    if field is None:
        setting(station, told)
        return
    assert refused(lambda: setting(station, told)).keys() == {field}
    assert setting(station, told, force=True)


def test_a_station_holds_only_so_many_profiles(station: ChargePoint) -> None:
    rows.variable(station, "MaxChargingProfilesInstalled", "2")
    rows.installed_profile(station, 1)
    setting(station, profile(stackLevel=1))
    rows.installed_profile(station, 2, purpose="TxProfile", evse_id=1, state="Pending")
    rows.installed_profile(station, 3, purpose="TxProfile", evse_id=2, state="Due")
    rows.installed_profile(rows.station("CP2"), 4)
    Command.objects.all().delete()
    assert refused(lambda: setting(station, profile(stackLevel=1))).keys() == {f"{INNER}.charging_profile_id"}
    assert refused(lambda: starting(station, TX)).keys() == {"charging_profile.charging_profile_id"}
    # In place of the first, by its level or by its id.
    setting(station, profile())
    setting(station, {**profile(stackLevel=1), "chargingProfileId": 1})
    setting(station, profile(stackLevel=1), force=True)


# What the station is known to refuse


def test_a_purpose_that_a_station_refuses_is_named_with_those_that_it_took(station: ChargePoint) -> None:
    rows.limitation(station, "profile_purpose", "ChargePointMaxProfile", certain=True, reason="answered NotSupported")
    for purpose, answer in (("TxDefaultProfile", "Accepted"), ("TxProfile", "Accepted"), ("Other", "Rejected")):
        rows.command(
            station,
            "SetChargingProfile",
            payload={"connectorId": 1, "csChargingProfiles": {"chargingProfilePurpose": purpose}},
            status=CommandStatus.ANSWERED,
            response={"status": answer},
        )
    with pytest.raises(StationUnable) as error:
        setting(station, MAXIMUM)
    assert str(error.value) == (
        "CP001 does not do this (charging profiles of the purpose ChargePointMaxProfile): answered NotSupported, "
        "last on 2026-03-01. It has taken profiles of the purpose TxDefaultProfile, TxProfile. "
        "With `force` it is asked all the same."
    )
    assert setting(station, profile())
    assert setting(station, MAXIMUM, force=True)


def test_a_start_with_a_profile_that_is_known_to_be_refused_goes_without(station: ChargePoint) -> None:
    rows.limitation(station, "remote_start_profile", "", certain=True)
    payload, command = create(station, "RemoteStartTransaction", {"idTag": "TAG1", "chargingProfile": TX})
    assert payload == {"idTag": "TAG1"}
    due = InstalledProfile.objects.get()
    assert (due.state, due.evse_id, due.id_token, due.command_id) == ("Due", 0, "TAG1", command.pk)
    assert starting(station, TX, force=True).keys() == {"idTag", "connectorId", "chargingProfile"}


@pytest.mark.parametrize(
    ("status", "sent", "left"),
    [
        (CommandStatus.ERROR, True, 0),
        (CommandStatus.CANCELLED, False, 0),
        (CommandStatus.OFFLINE, False, 0),
        # The station may have heard it.
        (CommandStatus.TIMEOUT, True, 1),
        (CommandStatus.OFFLINE, True, 1),
    ],
)
def test_what_is_due_is_dropped_with_a_start_that_cannot_have_begun(
    status: CommandStatus, sent: bool, left: int, station: ChargePoint
) -> None:
    rows.limitation(station, "remote_start_profile", "", certain=True)
    _, command = create(station, "RemoteStartTransaction", {"idTag": "TAG1", "chargingProfile": TX})
    Command.objects.filter(pk=command.pk).update(sent_at=NOW if sent else None)
    commands.end(command.pk, status, now=NOW + timedelta(seconds=1), changes=Changes())
    assert InstalledProfile.objects.count() == left
