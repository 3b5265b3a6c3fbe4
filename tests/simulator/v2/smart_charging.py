"""Charging profiles, limits of others, and what vehicles need (block K)."""

from collections.abc import Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.remote import Remote

EXTERNAL = "ChargingStationExternalConstraints"


class SmartCharging(Remote):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The profiles it holds, by their ids, each with its EVSE and who has set it.
        self.profiles: dict[int, tuple[int, str, Payload]] = {}
        # How many profiles a ReportChargingProfiles tells.
        self.profiles_per_report = 2

    # Requests of the station

    async def charging_limit(self, source: str = "EMS", schedules: Sequence[Payload] = (), **more: Any) -> Payload:
        """Tell a limit that `source` has set (K11, K12); `more` are evseId and, in the limit, isGridCritical."""
        critical = {name: more.pop(name) for name in ("isGridCritical",) if name in more}
        told = {"chargingSchedule": list(schedules)} if schedules else {}
        limit = {"chargingLimitSource": source, **critical}
        return await self.call("NotifyChargingLimit", {**told, **more, "chargingLimit": limit})

    async def charging_limit_cleared(self, source: str = "EMS", **more: Any) -> Payload:
        return await self.call("ClearedChargingLimit", {"chargingLimitSource": source, **more})

    async def charging_needs(self, needs: Payload, evse: int = 1, **more: Any) -> Payload:
        """Tell what the vehicle at an EVSE needs (K15)."""
        return await self.call("NotifyEVChargingNeeds", {"chargingNeeds": needs, "evseId": evse, **more})

    async def ev_schedule(self, schedule: Payload, evse: int = 1, time_base: str | None = None) -> Payload:
        """Tell by which schedule the vehicle at an EVSE will charge; its periods count from now, or `time_base`."""
        base = time_base or timestamp(self.clock())
        return await self.call(
            "NotifyEVChargingSchedule", {"timeBase": base, "chargingSchedule": schedule, "evseId": evse}
        )

    async def report_profiles(
        self, request_id: int, evse: int, profiles: Sequence[Payload], source: str = "CSO", *, tbc: bool = False
    ) -> Payload:
        return await self.call(
            "ReportChargingProfiles",
            {
                "requestId": request_id,
                "chargingLimitSource": source,
                "chargingProfile": list(profiles),
                "tbc": tbc,
                "evseId": evse,
            },
        )

    # Answers to the CSMS

    def on_set_charging_profile(self, payload: Payload) -> Answer:
        profile, evse = payload["chargingProfile"], payload["evseId"]
        running = self.evses[evse].running if evse in self.evses else None
        if profile["chargingProfilePurpose"] == "TxProfile" and (
            running is None or running.id != profile.get("transactionId")
        ):
            return {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
        self.profiles[profile["id"]] = (evse, "CSO", profile)
        return {"status": "Accepted"}

    def on_clear_charging_profile(self, payload: Payload) -> Answer:
        number, criteria = payload.get("chargingProfileId"), payload.get("chargingProfileCriteria", {})
        going = [
            key
            for key, (evse, _, profile) in self.profiles.items()
            if profile["chargingProfilePurpose"] != EXTERNAL
            and number in (None, key)
            and criteria.get("evseId", evse) == evse
            and _matches(profile, criteria)
        ]
        for key in going:
            del self.profiles[key]
        return {"status": "Accepted" if going else "Unknown"}

    def on_get_charging_profiles(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._profiles_wanted(payload) else "NoProfiles"}

    async def do_get_charging_profiles(self, payload: Payload) -> None:
        """Tell the profiles that match, those of an EVSE and a source together and some at a time (K09)."""
        groups: dict[tuple[int, str], list[Payload]] = {}
        for evse, source, profile in self._profiles_wanted(payload):
            groups.setdefault((evse, source), []).append(profile)
        size = self.profiles_per_report
        parts = [
            (evse, source, profiles[first : first + size])
            for (evse, source), profiles in groups.items()
            for first in range(0, len(profiles), size)
        ]
        for index, (evse, source, profiles) in enumerate(parts, 1):
            await self.report_profiles(payload["requestId"], evse, profiles, source, tbc=index < len(parts))

    def on_get_composite_schedule(self, payload: Payload) -> Answer:
        if payload["evseId"] not in (0, *self.evses):
            return {"status": "Rejected"}
        schedule = {
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
            "evseId": payload["evseId"],
            "duration": payload["duration"],
            "scheduleStart": timestamp(self.clock()),
            "chargingRateUnit": payload.get("chargingRateUnit", "A"),
        }
        return {"status": "Accepted", "schedule": schedule}

    def _profiles_wanted(self, payload: Payload) -> list[tuple[int, str, Payload]]:
        criteria, evse = payload["chargingProfile"], payload.get("evseId")
        return [
            each
            for key, each in self.profiles.items()
            if evse in (None, each[0])
            and key in criteria.get("chargingProfileId", [key])
            and each[1] in criteria.get("chargingLimitSource", [each[1]])
            and _matches(each[2], criteria)
        ]


def _matches(profile: Payload, criteria: Payload) -> bool:
    return all(criteria.get(name, profile[name]) == profile[name] for name in ("chargingProfilePurpose", "stackLevel"))
