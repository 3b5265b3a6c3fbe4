"""Monitors of variables and the events that they tell (N02 to N08)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.base import Base201
from tests.simulator.v2.device_model import named, spelt

THRESHOLDS = {"UpperThreshold", "LowerThreshold"}
CRITERIA = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": {"Delta"},
    "PeriodicMonitoring": {"Periodic", "PeriodicClockAligned"},
}


class Monitoring(Base201):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What SetVariableMonitoring asked for, by the number that the station gave it.
        self.monitors: dict[int, Payload] = {}
        self.events = 0

    async def event(
        self,
        name: str,
        value: str,
        *,
        trigger: str = "Delta",
        kind: str = "HardWiredNotification",
        at: datetime | None = None,
        number: int | None = None,
        **more: Any,
    ) -> Payload:
        """Tell an event of a variable, named as `spelt` does; `more` are further members of its data."""
        self.events += 1
        now = timestamp(at or self.clock())
        data = {
            "eventId": number or self.events,
            "timestamp": now,
            "trigger": trigger,
            "actualValue": value,
            "eventNotificationType": kind,
            **named(name),
            **more,
        }
        return await self.call("NotifyEvent", {"generatedAt": now, "seqNo": 0, "eventData": [data]})

    async def report_monitors(self, request_id: int, numbers: Sequence[int]) -> None:
        """Report monitors, one in each part."""
        for part, number in enumerate(numbers):
            data = self.monitors[number]
            told = {name: data[name] for name in ("value", "type", "severity")}
            monitor = {
                "component": data["component"],
                "variable": data["variable"],
                "variableMonitoring": [{"id": number, "transaction": data.get("transaction", False), **told}],
            }
            more = {"tbc": True} if part + 1 < len(numbers) else {}
            fields = {"requestId": request_id, "seqNo": part, "generatedAt": timestamp(self.clock())}
            await self.call("NotifyMonitoringReport", {**fields, "monitor": [monitor], **more})

    # Answers to the CSMS

    def on_set_variable_monitoring(self, payload: Payload) -> Answer:
        return {"setMonitoringResult": [self._monitor(item) for item in payload["setMonitoringData"]]}

    def _monitor(self, item: Payload) -> Payload:
        number = item.get("id", max(self.monitors, default=0) + 1)
        self.monitors[number] = item
        shown = {name: item[name] for name in ("type", "severity", "component", "variable")}
        return {"id": number, "status": "Accepted", **shown}

    def on_clear_variable_monitoring(self, payload: Payload) -> Answer:
        results = [
            {"id": number, "status": "Accepted" if self.monitors.pop(number, None) else "NotFound"}
            for number in payload["id"]
        ]
        return {"clearMonitoringResult": results}

    def on_get_monitoring_report(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._wanted(payload) else "EmptyResultSet"}

    async def do_get_monitoring_report(self, payload: Payload) -> None:
        await self.report_monitors(payload["requestId"], self._wanted(payload))

    def _wanted(self, payload: Payload) -> list[int]:
        types = {name for each in payload.get("monitoringCriteria", ()) for name in CRITERIA[each]}
        names = {spelt(each) for each in payload.get("componentVariable", ())}
        return [
            number
            for number, data in self.monitors.items()
            if (not types or data["type"] in types) and (not names or spelt(data) in names)
        ]

    def on_set_monitoring_base(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    def on_set_monitoring_level(self, _: Payload) -> Answer:
        return {"status": "Accepted"}
