"""Charging profiles: taking them, telling what follows from them, and heeding them (sections 5.5, 5.7, 5.16)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.simulator.station import Answer, CallError, Payload
from tests.simulator.times import timestamp
from tests.simulator.v16.base import Base16, Connector
from tests.simulator.v16.schedules import (
    PHASES,
    TRANSACTION,
    ChargingProfiles,
    Installed,
    Limit,
    composite,
)

UNITS = {"Current": "A", "Power": "W"}


class SmartCharging(Base16):
    def __init__(self, *arguments: Any, max_power: float = 22_080, **options: Any) -> None:
        """`max_power` is what each connector can deliver at most, in W."""
        super().__init__(*arguments, **options)
        self.max_power = max_power
        self.profiles = ChargingProfiles()

    # Answers to the CSMS

    def on_set_charging_profile(self, payload: Payload) -> Answer:
        self.require("SmartCharging")
        number, profile = payload["connectorId"], payload["csChargingProfiles"]
        if number not in (0, *self.connectors):
            raise CallError("PropertyConstraintViolation", f"there is no connector {number}")  # errata 3.39
        if not self._placed(number, profile) or not self.well_formed(profile):
            return {"status": "Rejected"}
        new = Installed(number, profile, self.clock())
        if len(self.profiles.others(new)) >= self.number("MaxChargingProfilesInstalled"):
            return {"status": "Rejected"}
        self.profiles.add(new)
        return {"status": "Accepted"}

    async def do_set_charging_profile(self, _: Payload) -> None:
        await self.heed_limits()

    def on_clear_charging_profile(self, payload: Payload) -> Answer:
        self.require("SmartCharging")

        def meant(installed: Installed) -> bool:
            """Match all fields of the request; an id outweighs the others (errata 3.26)."""
            if "id" in payload:
                return bool(installed.profile["chargingProfileId"] == payload["id"])
            held = {
                "connectorId": installed.connector,
                "chargingProfilePurpose": installed.purpose,
                "stackLevel": installed.level,
            }
            return all(held[name] == value for name, value in payload.items())

        return {"status": "Accepted" if self.profiles.remove(meant) else "Unknown"}

    async def do_clear_charging_profile(self, _: Payload) -> None:
        await self.heed_limits()

    def on_get_composite_schedule(self, payload: Payload) -> Answer:
        self.require("SmartCharging")
        number, seconds = payload["connectorId"], payload["duration"]
        relevant = self.profiles.of(number)
        units = {each.unit for each in relevant}
        unit = payload.get("chargingRateUnit") or (units.pop() if len(units) == 1 else "W")
        if number not in (0, *self.connectors) or unit not in self._units():
            return {"status": "Rejected"}
        begin = self.clock().replace(microsecond=0)
        end = begin + timedelta(seconds=seconds)
        places = self.chosen(number)
        moments = {
            at for each in relevant for place in places for at in each.changes(begin, end, place.started or begin)
        }
        return {
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": timestamp(begin),
            "chargingSchedule": {
                "duration": seconds,
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": composite(begin, seconds, moments, self._planned(number, unit, begin)),
            },
        }

    # For sessions

    def well_formed(self, profile: Payload) -> bool:
        """Say whether the station can execute a profile, wherever it belongs."""
        schedule = profile["chargingSchedule"]
        periods = [period["startPeriod"] for period in schedule["chargingSchedulePeriod"]]
        recurring = profile["chargingProfileKind"] == "Recurring"
        return (
            0 <= profile["stackLevel"] <= self.number("ChargeProfileMaxStackLevel")
            and schedule["chargingRateUnit"] in self._units()
            and 0 < len(periods) <= self.number("ChargingScheduleMaxPeriods")
            and periods[0] == 0
            and periods == sorted(set(periods))
            and all(period["limit"] >= 0 for period in schedule["chargingSchedulePeriod"])
            and (not recurring or ("recurrencyKind" in profile and "startSchedule" in schedule))
        )

    def limit_of(self, connector: Connector) -> float | None:
        """Tell the W that the profiles leave a connector now; None where none says anything.

        A limit of the whole station is shared in equal parts by the connectors with a transaction.
        """
        now, phases = self.clock(), connector.vehicle.phases or PHASES
        limits = []
        if own := self.profiles.of_transaction(connector.number, now, connector.started or now):
            limits.append(own.watts(phases))
        if shared := self.profiles.of_station(now):
            charging = sum(each.transaction_id is not None for each in self.connectors.values())
            limits.append(shared.watts(phases) / max(1, charging))
        return min(*limits, self.max_power) if limits else None

    def power_of(self, connector: Connector) -> float:
        """Tell the W that flow into the vehicle."""
        if connector.status != "Charging":
            return 0
        limit = self.limit_of(connector)
        return min(connector.vehicle.power(), self.max_power if limit is None else limit)

    def charging_status(self, connector: Connector) -> str:
        suspended = not connector.delivers or self.limit_of(connector) == 0
        return "SuspendedEVSE" if suspended else "Charging"

    async def heed_limits(self) -> None:
        """Suspend the sessions whose limit has become 0, and go on with those that have more again."""
        for connector in self.connectors.values():
            suspendable = connector.busy and connector.status in ("Charging", "SuspendedEVSE")
            if suspendable and connector.status != self.charging_status(connector):
                await self.report(connector.number, self.charging_status(connector))

    def drop_profiles_of(self, connector: Connector) -> None:
        """Forget what was meant for a connector's transaction only."""
        self.profiles.remove(lambda old: old.purpose == TRANSACTION and old.connector == connector.number)

    def _placed(self, number: int, profile: Payload) -> bool:
        """Say whether a profile's purpose goes with its connector (section 3.13.1)."""
        match profile["chargingProfilePurpose"]:
            case "ChargePointMaxProfile":
                return number == 0
            case "TxProfile":
                running = self.connectors[number].transaction_id if number else None
                return running is not None and profile.get("transactionId", running) == running
        return True

    def _units(self) -> set[str]:
        return {UNITS[name] for name in self.listed("ChargingScheduleAllowedChargingRateUnit")}

    def _planned(self, number: int, unit: str, begin: datetime) -> Callable[[datetime], Limit]:
        """Return what tells the limit of a connector at a time, of the whole station for 0."""

        def lowest(limits: list[Limit]) -> Limit:
            best = min(limits, key=lambda limit: limit.to(unit))
            return Limit(best.to(unit), unit, best.phases)

        def of_connector(connector: Connector, at: datetime) -> Limit:
            found = self.profiles.of_transaction(connector.number, at, connector.started or begin)
            return lowest([Limit(self.max_power, "W"), *([found] if found else [])])

        def limit_at(at: datetime) -> Limit:
            places = [of_connector(connector, at) for connector in self.chosen(number)]
            total = places[0] if len(places) == 1 else Limit(sum(each.value for each in places), unit)
            whole = self.profiles.of_station(at)
            return lowest([total, *([whole] if whole else [])])

        return limit_at
