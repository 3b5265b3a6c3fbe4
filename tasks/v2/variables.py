"""Variables of the device model: what is checked before they are read or set, and their reports (B05 to B08)."""

from collections.abc import Iterator, Sequence

from chargers.secrets import is_station_password
from chargers.values import VariableName
from tasks import credentials, jobs, reports
from tasks.action import Draft, Payload
from tasks.models import ReportKind
from tasks.schemas import InvalidBody

# Of the password that a station authenticates with, in characters (A00.FR.205).
PASSWORD_LENGTHS = range(16, 41)
TWICE = "Names the same variable as an item before it."


def name(item: Payload) -> VariableName:
    """Read which attribute of which variable an item of a request or an answer names."""
    component, variable = item["component"], item["variable"]
    evse = component.get("evse", {})
    return VariableName(
        variable["name"],
        component["name"],
        component.get("instance", ""),
        evse.get("id", 0),
        evse.get("connectorId", 0),
        variable.get("instance", ""),
        item.get("attributeType", "Actual"),
    )


def is_password(named: VariableName) -> bool:
    return is_station_password(named.component, named.variable)


def prepare_setting(draft: Draft) -> Payload:
    """Check what is set as a whole, and a new password before anybody hears of it (A01.FR.02)."""
    items = draft.payload["setVariableData"]
    names = [name(each) for each in items]
    _refuse({f"set_variable_data.{index}": [TWICE] for index in _repeated(names)})
    for index, (named, item) in enumerate(zip(names, items, strict=True)):
        if is_password(named):
            _check_password(item["attributeValue"], f"set_variable_data.{index}.attribute_value")
            credentials.propose_key(draft, item["attributeValue"])
    return draft.payload


def prepare_reading(draft: Draft) -> Payload:
    names = [name(each) for each in draft.payload["getVariableData"]]
    _refuse({f"get_variable_data.{index}": [TWICE] for index in _repeated(names)})
    return draft.payload


def prepare_report(draft: Draft) -> Payload:
    check_length(draft)
    return reports.request(draft, ReportKind.VARIABLES)


def check_length(draft: Draft) -> None:
    """Refuse to ask for a report of more variables than the station takes in a message (B08.FR.06, N02.FR.07)."""
    most = jobs.facts(draft).number("DeviceDataCtrlr.ItemsPerMessage[GetReport]")
    if most and len(draft.payload.get("componentVariable", ())) > most:
        _refuse({"component_variable": [f"The station takes at most {most}: ask in several requests."]})


def _repeated(names: Sequence[VariableName]) -> Iterator[int]:
    """Tell which items name what one before them does; a message must not hold both (B05.FR.13)."""
    seen: set[VariableName] = set()
    for index, each in enumerate(names):
        if each.folded in seen:
            yield index
        seen.add(each.folded)


def _check_password(password: str, field: str) -> None:
    if len(password) not in PASSWORD_LENGTHS or not password.isprintable() or " " in password:
        _refuse({field: ["A station's password is 16 to 40 printable characters without blanks."]})


def _refuse(problems: dict[str, list[str]]) -> None:
    if problems:
        raise InvalidBody(problems)
