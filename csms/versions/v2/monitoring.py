"""Monitors of variables, and the events that they tell (N02 to N08)."""

from collections.abc import Iterator, Mapping
from typing import Any

from chargers.choices import Mutability
from chargers.secrets import MASK, is_secret
from chargers.services import events, monitors, variables
from chargers.values import (
    EventReport,
    EventsReport,
    Monitor,
    MonitorsReport,
    VariableName,
    VariableReport,
    VariablesReport,
)
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload, Script
from csms.versions.members import MAX_OWN_NUMBER, whole
from csms.versions.v2 import reports
from csms.versions.v2.batches import in_batches
from csms.versions.v2.members import MAX_NAME, nothing
from csms.versions.v2.variables import variable_name
from tasks.models import ReportKind
from tasks.reports import ReportPart, take
from tasks.v2 import variables as requests

MAX_TYPE = 30
MAX_TRIGGER = 20
MAX_SEVERITY = 9
CONTROLLER = "MonitoringCtrlr"


def notify_event(payload: Payload, context: Context) -> EventsReport:
    told = [event(each, context) for each in payload["eventData"]]
    return EventsReport(context.station, context.version, told, context.received_at)


def event(told: Payload, context: Context) -> EventReport:
    """Read an event; the value of a secret is not kept."""
    named, moment = variable_name(told), context.time(told.get("timestamp"))
    value = told.get("actualValue", "")
    return EventReport(
        number=whole(told["eventId"], MAX_OWN_NUMBER) or 0,
        name=named,
        trigger=told["trigger"][:MAX_TRIGGER],
        notification=told["eventNotificationType"][:MAX_TYPE],
        actual_value=MASK if value and is_secret(named.variable) else value,
        at=moment.at,
        at_raw=moment.raw,
        monitor_id=whole(told.get("variableMonitoringId"), MAX_OWN_NUMBER),
        cause=whole(told.get("cause"), MAX_OWN_NUMBER),
        tech_code=told.get("techCode", ""),
        tech_info=told.get("techInfo", ""),
        transaction_uuid=told.get("transactionId", "")[:MAX_NAME],
        cleared=told.get("cleared", False),
    )


def notify_monitoring_report(payload: Payload, context: Context) -> ReportPart:
    told = [each for item in payload.get("monitor", ()) for each in reported(item)]
    content = MonitorsReport(context.station, told, (), context.received_at)
    return reports.part(payload, ReportKind.MONITORS, content, context)


def reported(item: Payload) -> Iterator[Monitor]:
    for told in item["variableMonitoring"]:
        if (read := monitor(told["id"], variable_name(item), told)) is not None:
            yield read


def monitor(number: Any, named: VariableName, told: Payload) -> Monitor | None:
    """Read what a monitor is like; None for one without a number by which it could be known."""
    key, severity = whole(number, MAX_OWN_NUMBER), told["severity"]
    if key is None or not 0 <= severity <= MAX_SEVERITY:
        return None
    return Monitor(
        key, named, told["type"][:MAX_TYPE], float(told["value"]), int(severity), told.get("transaction", False)
    )


def keep_set(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep the monitors that the station has taken, each by its own result (N04.FR.08, N04.FR.11)."""
    asked = {_asked(each): each for each in request["setMonitoringData"]}
    told = [
        read
        for result in answer["setMonitoringResult"]
        if result["status"] == "Accepted"
        and (item := asked.get(_asked(result))) is not None
        and (read := monitor(result.get("id", item.get("id")), variable_name(result), item)) is not None
    ]
    return [(monitors.record, MonitorsReport(context.station, told, (), context.received_at))]


def _asked(item: Payload) -> tuple[VariableName, str, int]:
    return requests.name(item).folded, item["type"], item["severity"]


def keep_cleared(request: Payload, answer: Payload, context: Context) -> list[Work]:
    gone = [
        key
        for each in answer["clearMonitoringResult"]
        if each["status"] in ("Accepted", "NotFound") and (key := whole(each["id"], MAX_OWN_NUMBER)) is not None
    ]
    return [(monitors.record, MonitorsReport(context.station, (), gone, context.received_at))]


def keep_base(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep which monitors the station starts from; all but *All* take the custom ones away (N03.FR.03 to .05)."""
    if answer["status"] != "Accepted":
        return []
    base = request["monitoringBase"]
    kept = [_controller("ActiveMonitoringBase", base, context)]
    return kept if base == "All" else [*kept, (monitors.forget_all, context.station)]


def keep_level(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer["status"] != "Accepted":
        return []
    return [_controller("ActiveMonitoringLevel", str(request["severity"]), context)]


def _controller(variable: str, value: str, context: Context) -> Work:
    """Keep a variable that tells what a command has set."""
    told = VariableReport(variable, value, Mutability.READ_ONLY, CONTROLLER)
    return variables.record, VariablesReport(context.station, [told], (), context.received_at)


HANDLERS: Mapping[str, Handler] = {
    "NotifyEvent": Handler(
        notify_event,
        events.record,
        nothing,
        records=True,
        optional=("actualValue", "generatedAt", "seqNo", "timestamp"),
    ),
    "NotifyMonitoringReport": Handler(
        notify_monitoring_report, take, nothing, records=True, optional=("generatedAt", "seqNo", "transaction")
    ),
}
EFFECTS: Mapping[str, Effect] = {
    "ClearVariableMonitoring": keep_cleared,
    "SetMonitoringBase": keep_base,
    "SetMonitoringLevel": keep_level,
    "SetVariableMonitoring": keep_set,
}
SCRIPTS: Mapping[str, Script] = {
    "ClearVariableMonitoring": in_batches(
        "ClearVariableMonitoring", "id", "clearMonitoringResult", controller=CONTROLLER
    ),
    "SetVariableMonitoring": in_batches(
        "SetVariableMonitoring", "setMonitoringData", "setMonitoringResult", controller=CONTROLLER
    ),
}
