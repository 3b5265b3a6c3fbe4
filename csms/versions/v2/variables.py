"""The device model: variables that are read, set and reported (B05 to B08)."""

from collections.abc import Iterator, Mapping
from typing import Any

from chargers.choices import Mutability
from chargers.secrets import is_secret
from chargers.services import stations, variables
from chargers.values import KeyChange, VariableName, VariableReport, VariablesReport
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload, Script
from csms.versions.v2 import reports
from csms.versions.v2.batches import in_batches
from csms.versions.v2.members import nothing, number
from tasks.models import ReportKind
from tasks.reports import ReportPart, take
from tasks.schemas import snake
from tasks.v2.variables import is_password, name

# Of the names of components and variables, and of their instances.
MAX_NAME = 50
UNKNOWN = frozenset({"UnknownComponent", "UnknownVariable", "NotSupportedAttributeType"})
CHARACTERISTICS = ("unit", "dataType", "minLimit", "maxLimit", "valuesList", "supportsMonitoring")


def variable_name(told: Payload, attribute: str = "Actual") -> VariableName:
    """Read which variable a station speaks of."""
    component, variable = told["component"], told["variable"]
    evse = component.get("evse", {})
    return VariableName(
        variable["name"][:MAX_NAME],
        component["name"][:MAX_NAME],
        component.get("instance", "")[:MAX_NAME],
        number(evse, "id"),
        number(evse, "connectorId"),
        variable.get("instance", "")[:MAX_NAME],
        attribute[:10],
    )


def reported(told: Payload) -> Iterator[VariableReport]:
    """Read the attributes of a variable; a secret that a station tells is not kept."""
    characteristics = told.get("variableCharacteristics", {})
    secret = is_secret(told["variable"]["name"])
    for attribute in told["variableAttribute"]:
        named = variable_name(told, attribute.get("type", "Actual"))
        yield report(
            named,
            None if secret else attribute.get("value"),
            Mutability.WRITE_ONLY if secret else attribute.get("mutability", Mutability.READ_WRITE)[:10],
            persistent=attribute.get("persistent", False),
            constant=attribute.get("constant", False),
            characteristics={snake(each): characteristics[each] for each in CHARACTERISTICS if each in characteristics},
        )


def report(named: VariableName, value: str | None, mutability: str | None, **more: Any) -> VariableReport:
    return VariableReport(
        named.variable,
        value,
        mutability,
        named.component,
        named.component_instance,
        named.evse_id,
        named.connector_id,
        named.variable_instance,
        named.attribute,
        **more,
    )


def notify_report(payload: Payload, context: Context) -> ReportPart:
    told = [each for item in payload.get("reportData", ()) for each in reported(item)]
    content = VariablesReport(context.station, told, (), context.received_at)
    return reports.part(payload, ReportKind.VARIABLES, content, context)


def keep_read(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep what was read; what the station does not know is forgotten (B06.FR.06 to .08)."""
    told, unknown = [], []
    for result in answer["getVariableResult"]:
        named = variable_name(result, result.get("attributeType", "Actual"))
        if result["attributeStatus"] in UNKNOWN:
            unknown.append(named)
        elif result["attributeStatus"] == "Accepted" and not is_secret(named.variable):
            told.append(report(named, result.get("attributeValue", ""), None))
    return [(variables.record, VariablesReport(context.station, told, unknown, context.received_at))]


def keep_set(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep what the station has taken, each variable by its own result (B05.FR.02, B05.FR.10)."""
    asked = {name(each).folded: each["attributeValue"] for each in request["setVariableData"]}
    told, unknown, work = [], [], list[Work]()
    for result in answer["setVariableResult"]:
        named, status = variable_name(result, result.get("attributeType", "Actual")), result["attributeStatus"]
        if is_password(named):
            work += _settle_password(status, context)
        elif status in UNKNOWN:
            unknown.append(named)
        elif status in ("Accepted", "RebootRequired") and named.folded in asked and not is_secret(named.variable):
            value = asked[named.folded]
            told.append(report(named, value, None, reboot_required=status == "RebootRequired"))
    change = VariablesReport(context.station, told, unknown, context.received_at, asked=True)
    return [*work, (variables.record, change)]


def _settle_password(status: str, context: Context) -> list[Work]:
    """Let the new password be the only one, or drop it (A01.FR.03, A01.FR.04)."""
    assert context.command_id is not None
    if status == "RebootRequired":
        # Until then it presents the old one; which it has, its connections tell.
        return []
    return [(stations.settle_key, KeyChange(context.station, context.command_id, status == "Accepted"))]


HANDLERS: Mapping[str, Handler] = {
    "NotifyReport": Handler(notify_report, take, nothing, records=True, optional=("generatedAt", "seqNo")),
}
EFFECTS: Mapping[str, Effect] = {"GetVariables": keep_read, "SetVariables": keep_set}
SCRIPTS: Mapping[str, Script] = {
    "GetVariables": in_batches("GetVariables", "getVariableData", "getVariableResult"),
    "SetVariables": in_batches("SetVariables", "setVariableData", "setVariableResult"),
}
