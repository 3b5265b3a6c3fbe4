"""The official OCPP schemas, compiled once, and the two spellings of their members.

The schemas ship in the ``ocpp`` package. REST speaks snake_case, the wire camelCase; the schema
decides how a member is spelt, so nothing is guessed and the members go out in its order. Both
edges need this, the REST API to check what an operator asks and the csms to check what a station
says, which is why it stands here.
"""

import functools
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Literal

import jsonschema_rs

from chargers.choices import OcppVersion
from chargers.secrets import masked_url

Kind = Literal["Request", "Response"]
Schema = dict[str, Any]

_PACKAGES = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}


def _file_name(version: OcppVersion, action: str, kind: Kind) -> str:
    # The 1.6 files carry no suffix on requests.
    suffix = "" if version == OcppVersion.V16 and kind == "Request" else kind
    return f"{action}{suffix}.json"


@functools.cache
def actions(version: OcppVersion) -> frozenset[str]:
    """Name every action the version's specification knows, in either direction."""
    folder = resources.files("ocpp") / _PACKAGES[version] / "schemas"
    return frozenset(
        name.name.removesuffix("Response.json") for name in folder.iterdir() if name.name.endswith("Response.json")
    )


@functools.cache
def schema(version: OcppVersion, action: str, kind: Kind) -> Schema:
    """Load an official schema; its references are resolved in place."""
    path = resources.files("ocpp") / _PACKAGES[version] / "schemas" / _file_name(version, action, kind)
    loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    resolved: Schema = _resolve(loaded, loaded.get("definitions", {}))
    return resolved


def _resolve(node: Any, definitions: Schema) -> Any:
    if isinstance(node, dict):
        if reference := node.get("$ref"):
            return _resolve(definitions[reference.removeprefix("#/definitions/")], definitions)
        return {key: _resolve(value, definitions) for key, value in node.items() if key != "definitions"}
    if isinstance(node, list):
        return [_resolve(each, definitions) for each in node]
    return node


@functools.cache
def validator(version: OcppVersion, action: str, kind: Kind) -> Any:
    """Compile the validator of an official schema. Times must be RFC 3339, as the schemas say."""
    return jsonschema_rs.validator_for(schema(version, action, kind), validate_formats=True)


# What every station can hold.
_INTEGER: Schema = {"minimum": -(2**31), "maximum": 2**31 - 1}
# Counted from 0 (OCPP 1.6 sections 6 and 7); connector 0 is the station as a whole. An id is named with its holder.
_LEAST = {
    "connectorId": 0,
    "duration": 0,
    "evse.id": 0,
    "evseId": 0,
    "message.id": 0,
    "retries": 0,
    "retryInterval": 0,
    "stackLevel": 0,
}
_OF_ONE_CONNECTOR = frozenset({"RemoteStartTransaction", "UnlockConnector"})
_OF_ONE_EVSE = frozenset({"RequestStartTransaction", "ReserveNow", "UnlockConnector"})
# Stations may number by themselves what began elsewhere (TX-18).
_OF_THE_STATION = frozenset({"transactionId"})


@functools.cache
def _outgoing(version: OcppVersion, action: str) -> Any:
    """Compile the validator of what goes to a station: the official schema, and numbers a station can hold."""
    least = {
        **_LEAST,
        "connectorId": 1 if action in _OF_ONE_CONNECTOR else 0,
        "evseId": 1 if action in _OF_ONE_EVSE else 0,
    }
    return jsonschema_rs.validator_for(_bounded(schema(version, action, "Request"), least), validate_formats=True)


def _bounded(node: Schema, least: Mapping[str, int], name: str = "", holder: str = "") -> Schema:
    bounded = dict(node)
    if node.get("type") == "integer" and name not in _OF_THE_STATION:
        bound = least.get(name, least.get(f"{holder}.{name}"))
        bounded = _INTEGER | ({} if bound is None else {"minimum": bound}) | node
    if "properties" in node:
        bounded["properties"] = {
            inner: _bounded(each, least, inner, holder=name) for inner, each in node["properties"].items()
        }
    if isinstance(node.get("items"), dict):
        bounded["items"] = _bounded(node["items"], least)
    return bounded


# Stations make up names too, without end.
@functools.lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """Spell a member's name the REST way: ``idTag`` becomes ``id_tag``."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


# How much an error tells of a request: fields, and characters at either end of a value.
MOST_FIELDS = 50
EXCERPT = 100

# What is wrong with a time that `moment` cannot read.
NO_MOMENT = "Is no time that can be reckoned with."


class InvalidBody(Exception):
    """A request body that is not what the schema asks for, with the reasons by field."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields
        super().__init__("; ".join(f"{field}: {', '.join(reasons)}" for field, reasons in fields.items()))


def to_wire(version: OcppVersion, action: str, body: dict[str, Any], fills: Collection[str] = ()) -> dict[str, Any]:
    """Turn a snake_case body into the action's request, members in the order of the schema, times in UTC.

    `fills` names required members that may be missing yet, inner ones as ``log.remoteLocation``.
    Raises InvalidBody with every unknown field and every violation of the schema.
    """
    unknown: dict[str, list[str]] = {}
    payload: dict[str, Any] = _rename(schema(version, action, "Request"), body, "", unknown)
    if unknown:
        raise InvalidBody(unknown)
    check(version, action, payload, fills)
    return payload


def check(version: OcppVersion, action: str, payload: dict[str, Any], fills: Collection[str] = ()) -> None:
    """Raise InvalidBody with every violation of the schema, and every number that no station can hold.

    `fills` names what may be missing, or not spelt out, yet.
    """
    allowed = {spelt_out(path) for path in fills}
    problems: dict[str, list[str]] = {}
    for error in _outgoing(version, action).iter_errors(payload):
        field = _field(error)
        if field not in allowed or not (_is_missing(error) or _is_misspelt(error)):
            # The message names the member as the wire spells it, and the field is told anyway.
            problems.setdefault(field, []).append("Is required." if _is_missing(error) else _reason(error))
        if len(problems) == MOST_FIELDS:
            break
    if problems:
        raise InvalidBody(problems)


def spelt_out(path: str) -> str:
    """Spell a path of members the REST way: ``log.remoteLocation`` becomes ``log.remote_location``."""
    return ".".join(map(snake, path.split(".")))


def problems_of(schema: Schema, value: Any) -> list[str]:
    """Say why a value does not fit a schema, nothing where it does."""
    return [_reason(error) for error in jsonschema_rs.validator_for(schema).iter_errors(value)]


def _reason(error: Any) -> str:
    # It begins with the value, whole, and ends with what is wrong with it.
    return _shortened(masked_url(error.message))


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * EXCERPT else f"{text[:EXCERPT]} ... {text[-EXCERPT:]}"


def _is_missing(error: Any) -> bool:
    return getattr(error.kind, "property", None) is not None


def _is_misspelt(error: Any) -> bool:
    return getattr(error.kind, "format", None) is not None


def _rename(schema: Schema, body: Any, path: str, unknown: dict[str, list[str]]) -> Any:
    if isinstance(body, dict) and "properties" in schema:
        names = {snake(name): name for name in schema["properties"]}
        for name in body.keys() - names.keys():
            unknown[f"{path}{_shortened(name)}"] = ["is no field of this request"]
        return {
            wire: _rename(schema["properties"][wire], body[name], f"{path}{name}.", unknown)
            for name, wire in names.items()
            if name in body
        }
    if isinstance(body, list) and isinstance(schema.get("items"), dict):
        return [_rename(schema["items"], each, f"{path}{index}.", unknown) for index, each in enumerate(body)]
    if isinstance(body, str) and schema.get("format") == "date-time":
        return in_utc(body)
    return body


def moment(text: str | None) -> datetime | None:
    """Read a time that names its zone; none for what schemas allow and no calendar has, such as a leap second."""
    try:
        at = datetime.fromisoformat(text.upper()) if text else None
        return at.astimezone(UTC) if at and at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def in_utc(text: str) -> str:
    """Spell a time in UTC, in whole seconds with Z, which every station reads (BO-16); no time is left as it is."""
    at = moment(text)
    return text if at is None else at.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def in_order(version: OcppVersion, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Put the members of a request in the order of the schema again: PostgreSQL keeps its own."""
    ordered: dict[str, Any] = _in_order(schema(version, action, "Request"), payload)
    return ordered


def _in_order(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        members = schema["properties"]
        known = {name: _in_order(members[name], value[name]) for name in members if name in value}
        return known | {name: value[name] for name in value if name not in known}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_in_order(schema["items"], each) for each in value]
    return value


def _field(error: Any) -> str:
    """Name the field an error is about the way the body spells it; a missing one by its own name."""
    path = [part if isinstance(part, int) else snake(part) for part in error.instance_path]
    missing = getattr(error.kind, "property", None)
    if missing:
        path.append(snake(missing))
    return ".".join(map(str, path)) or "body"


def from_wire(payload: Any) -> Any:
    """Turn what a station sent into snake_case, member by member, whatever it holds."""
    if isinstance(payload, dict):
        return {snake(name): from_wire(value) for name, value in payload.items()}
    if isinstance(payload, list):
        return [from_wire(each) for each in payload]
    return payload


_OPENAPI_KEYS = ("type", "format", "enum", "maxLength", "minItems", "maxItems", "minimum", "maximum", "description")


def openapi(node: Schema, fills: Collection[str] = ()) -> Schema:
    """Translate a schema to OpenAPI 3.0 with REST's spelling of the members; `fills` names what may be left out."""
    translated = {key: node[key] for key in _OPENAPI_KEYS if key in node}
    if "properties" in node:
        translated["properties"] = {
            snake(name): openapi(member, _inner(fills, name)) for name, member in node["properties"].items()
        }
        if required := [snake(name) for name in node.get("required", []) if name not in fills]:
            translated["required"] = required
    if "items" in node:
        translated["items"] = openapi(node["items"])
    return translated


def _inner(fills: Collection[str], name: str) -> list[str]:
    return [path.removeprefix(f"{name}.") for path in fills if path.startswith(f"{name}.")]
