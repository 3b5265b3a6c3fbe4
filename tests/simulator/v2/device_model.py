"""The device model: variables that are read, set and reported (B05 to B08), and resets (B11, B12)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.base import Base201

NAME = re.compile(
    r"(?P<component>[^.\[(]+)(?:\[(?P<of>.*?)\])?(?:\((?P<place>[\d,]+)\))?\.(?P<variable>[^\[]+)(?:\[(?P<instance>.*)\])?"
)


def spelt(item: Payload) -> str:
    """Spell what an item names as ``Component[Instance](EVSE,connector).Variable[Instance]``."""
    component, variable = item["component"], item["variable"]
    evse = component.get("evse", {})
    place = ",".join(str(evse[name]) for name in ("id", "connectorId") if name in evse)
    of = f"[{component['instance']}]" if component.get("instance") else ""
    instance = f"[{variable['instance']}]" if variable.get("instance") else ""
    return f"{component['name']}{of}{f'({place})' if place else ''}.{variable['name']}{instance}"


def named(name: str) -> Payload:
    """Return the component and the variable that `spelt` spells."""
    parts = NAME.fullmatch(name)
    assert parts, name
    component: Payload = {"name": parts["component"]}
    if parts["of"]:
        component["instance"] = parts["of"]
    if parts["place"]:
        numbers = [int(number) for number in parts["place"].split(",")]
        component["evse"] = dict(zip(("id", "connectorId"), numbers, strict=False))
    variable = {"name": parts["variable"], **({"instance": parts["instance"]} if parts["instance"] else {})}
    return {"component": component, "variable": variable}


class DeviceModel(Base201):
    def __init__(self, *arguments: Any, per_part: int = 3, **options: Any) -> None:
        """`per_part` is how many variables a NotifyReport has."""
        super().__init__(*arguments, **options)
        self.per_part = per_part
        self.read_only: set[str] = set()
        self.write_only = {"SecurityCtrlr.BasicAuthPassword"}
        self.needs_reboot: set[str] = set()

    async def report(self, request_id: int, names: Sequence[str] | None = None) -> None:
        """Report variables in parts, by default all."""
        parts = list(self.parts(sorted(self.variables) if names is None else names))
        for number, part in enumerate(parts):
            await self.report_part(request_id, number, part, more=number + 1 < len(parts))

    def parts(self, names: Sequence[str]) -> Iterator[list[Payload]]:
        for start in range(0, len(names), self.per_part):
            yield [self.told(name) for name in names[start : start + self.per_part]]

    def told(self, name: str) -> Payload:
        """Say what a report says of a variable."""
        attribute: Payload = {"mutability": "ReadOnly" if name in self.read_only else "ReadWrite"}
        if name in self.write_only:
            attribute["mutability"] = "WriteOnly"
        else:
            attribute["value"] = self.variables[name]
        characteristics = {"dataType": "string", "supportsMonitoring": False}
        return {**named(name), "variableAttribute": [attribute], "variableCharacteristics": characteristics}

    async def report_part(self, request_id: int, number: int, part: Sequence[Payload], *, more: bool) -> Payload:
        fields: Payload = {"requestId": request_id, "generatedAt": timestamp(self.clock()), "seqNo": number}
        return await self.call(
            "NotifyReport",
            {**fields, **({"reportData": list(part)} if part else {}), **({"tbc": True} if more else {})},
        )

    # Answers to the CSMS

    def on_get_variables(self, payload: Payload) -> Answer:
        return {"getVariableResult": [self._read(item) for item in payload["getVariableData"]]}

    def _read(self, item: Payload) -> Payload:
        name, shown = spelt(item), {"component": item["component"], "variable": item["variable"]}
        if name not in self.variables:
            known = any(each.startswith(f"{item['component']['name']}.") for each in self.variables)
            return {"attributeStatus": "UnknownVariable" if known else "UnknownComponent", **shown}
        if name in self.write_only:
            return {"attributeStatus": "Rejected", **shown}
        return {
            "attributeStatus": "Accepted",
            "attributeType": item.get("attributeType", "Actual"),
            "attributeValue": self.variables[name],
            **shown,
        }

    def on_set_variables(self, payload: Payload) -> Answer:
        return {"setVariableResult": [self._set(item) for item in payload["setVariableData"]]}

    def _set(self, item: Payload) -> Payload:
        name, status = spelt(item), "Accepted"
        if name not in self.variables and name not in self.write_only:
            status = "UnknownVariable"
        elif name in self.read_only:
            status = "Rejected"
        else:
            self.variables[name] = item["attributeValue"]
            status = "RebootRequired" if name in self.needs_reboot else "Accepted"
        shown = {"component": item["component"], "variable": item["variable"]}
        return {"attributeStatus": status, "attributeType": item.get("attributeType", "Actual"), **shown}

    def on_get_base_report(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    async def do_get_base_report(self, payload: Payload) -> None:
        await self.report(payload["requestId"])

    def on_get_report(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._chosen(payload) else "EmptyResultSet"}

    async def do_get_report(self, payload: Payload) -> None:
        await self.report(payload["requestId"], self._chosen(payload))

    def _chosen(self, payload: Payload) -> list[str]:
        wanted = [each for each in payload.get("componentVariable", ()) if "variable" in each]
        return [name for name in map(spelt, wanted) if name in self.variables]

    def on_reset(self, payload: Payload) -> Answer:
        busy = any(evse.running for number, evse in self.evses.items() if payload.get("evseId", number) == number)
        return {"status": "Scheduled" if busy and payload["type"] == "OnIdle" else "Accepted"}

    def on_set_network_profile(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    def on_trigger_message(self, payload: Payload) -> Answer:
        return {"status": "Accepted"}

    async def do_trigger_message(self, payload: Payload) -> None:
        """Send the message that was asked for, if it is one of these."""
        evse = payload.get("evse", {})
        match payload["requestedMessage"]:
            case "BootNotification":
                await self.boot("Triggered")
            case "Heartbeat":
                await self.heartbeat()
            case "StatusNotification":
                await self.status(evse["id"], connector=evse["connectorId"])

    def on_change_availability(self, payload: Payload) -> Answer:
        return {"status": "Accepted"}
