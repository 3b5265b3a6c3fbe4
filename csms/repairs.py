"""What is done about a payload that violates its schema, though its intent is clear.

A walk along the schema mends what has only one meaning: a number sent as text, a list left out
around its only element, a key in another case. What is left is judged: a text that is too long or
a word the schema does not know is for the handler to place; a missing or unreadable member is a
CALLERROR. Nothing here runs for a payload that is valid.
"""

import math
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import orjson

from csms.errors import ErrorCode, RpcError
from csms.rpc import excerpt, kind
from tasks.schemas import Schema

# Control characters but tab, line feed and carriage return: no database and no page shows them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)

# What can be kept of JSON that no schema describes.
MAX_DEPTH = 20
# A broken list may break its rule a thousand times over; nobody reads more than the first.
MAX_NOTES = 50

# The OCPP error a violation amounts to, the gravest first; any other is a matter of the value.
_CODES = {
    "Required": ErrorCode.OCCURRENCE_CONSTRAINT,
    "Type": ErrorCode.TYPE_CONSTRAINT,
    "AdditionalProperties": ErrorCode.FORMAT_VIOLATION,
    "MinItems": ErrorCode.OCCURRENCE_CONSTRAINT,
    "MaxItems": ErrorCode.OCCURRENCE_CONSTRAINT,
}
_GRAVITY = {name: rank for rank, name in enumerate(_CODES)}

# What handlers can place by themselves, with the deviation it is noted as: they keep long texts
# whole, know unknown words for "other", do nothing for an empty list and read times leniently.
_PLACEABLE = {
    "MaxLength": "text-too-long",
    "Enum": "unknown-word",
    "MinItems": "empty-list",
    "MaxItems": "list-too-long",
    "Format": "time-format",
}


class Note(NamedTuple):
    """A deviation: its kind, and where and what it was."""

    kind: str
    example: str


class Notes(list[Note]):
    """Deviations of one message, as many as anyone cares for."""

    def add(self, kind: str, path: str, value: Any = "") -> None:
        if len(self) < MAX_NOTES:
            self.append(Note(kind, clean(f"{path}: {excerpt(value, 200)}" if value != "" else path)))


def _violation(error: Any) -> str:
    return type(error.kind).__name__


def violations(payload: Any, validator: Any) -> list[Any]:
    """List how a payload violates its schema."""
    try:
        return list(validator.iter_errors(payload))
    except ValueError:
        # Nested too deep for the message of an error to spell it.
        return list(validator.iter_errors(clean_json(payload)))


def refusal(errors: Iterable[Any]) -> RpcError:
    """Make the CALLERROR for violations of a schema: the gravest one, with the member's name."""
    error = min(errors, key=lambda each: _GRAVITY.get(_violation(each), len(_GRAVITY)))
    where = _path(error)
    code = _CODES.get(_violation(error), ErrorCode.PROPERTY_CONSTRAINT)
    return RpcError(code, f"{where}: {error.message}" if where else error.message)


def _path(error: Any) -> str:
    return ".".join(map(str, error.instance_path))


def mend(payload: Any, schema: Schema, validator: Any, optional: Collection[str]) -> tuple[dict[str, Any], list[Note]]:
    """Return a payload that a handler understands, and the deviations found.

    `optional` names required members that the handler can do without. Raises RpcError with the
    gravest violation that leaves the intent unclear.
    """
    notes = Notes()
    mended = clean_json(_mend_object(payload, schema, "", notes))
    if not isinstance(mended, dict):
        if schema.get("required"):
            raise RpcError(ErrorCode.FORMAT_VIOLATION, f"the payload is a JSON object, not {kind(payload)}")
        # A Heartbeat says what it has to say by its name.
        mended = {}
    unclear = []
    for error in validator.iter_errors(mended):
        violation = _violation(error)
        if violation == "Required" and error.kind.property in optional:
            notes.add("member-missing", error.kind.property)
        elif violation in _PLACEABLE:
            notes.add(_PLACEABLE[violation], _path(error), error.instance)
        elif violation == "Type" and isinstance(error.instance, float) and "integer" in error.kind.types:
            # Meters have fractions where the schema wants whole numbers (MV-09).
            notes.add("fraction-for-integer", _path(error), error.instance)
        else:
            unclear.append(error)
    if unclear:
        raise refusal(unclear)
    return mended, notes


def _mend(value: Any, schema: Schema, path: str, notes: Notes) -> Any:
    expected = schema.get("type")
    if expected == "object":
        return _mend_object(value, schema, path, notes)
    if expected == "array":
        return _mend_array(value, schema, path, notes)
    if expected == "string":
        return _mend_text(value, schema, path, notes)
    if expected in ("integer", "number"):
        return _mend_number(value, path, notes)
    if expected == "boolean":
        return _mend_boolean(value, path, notes)
    return value


def _mend_object(value: Any, schema: Schema, path: str, notes: Notes) -> Any:
    if isinstance(value, list) and len(value) == 1:
        notes.add("list-for-object", path)
        value = value[0]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    prefix = f"{path}." if path else ""
    members = dict(value)
    folded = {name.strip().casefold(): name for name in members}
    mended = {}
    for name, member in schema["properties"].items():
        if name not in members:
            other = folded.get(name.casefold())
            if other is None or other in schema["properties"]:
                continue
            notes.add("member-in-other-case", f"{prefix}{other}")
            members[name] = members.pop(other)
        found = members.pop(name)
        if _is_blank(found, member):
            notes.add("empty-member", f"{prefix}{name}")
        else:
            mended[name] = _mend(found, member, f"{prefix}{name}", notes)
    for name, extra in members.items():
        notes.add("extra-member", f"{prefix}{name[:100]}", extra)
    return mended


def _is_blank(value: Any, schema: Schema) -> bool:
    """Tell whether a member says nothing: null, or blanks where no text is due, stand for absent (BO-05)."""
    if isinstance(value, str) and not value.strip():
        return schema.get("type") != "string" or "enum" in schema
    return value is None


def _mend_array(value: Any, schema: Schema, path: str, notes: Notes) -> Any:
    if not isinstance(value, list):
        notes.add("object-for-list", path)
        value = [value]
    items = schema.get("items", {})
    return [_mend(each, items, f"{path}.{index}", notes) for index, each in enumerate(value) if each is not None]


def _mend_text(value: Any, schema: Schema, path: str, notes: Notes) -> Any:
    if isinstance(value, str):
        text = clean(value)
        if text != value:
            notes.add("control-characters", path, text)
    elif "enum" in schema:
        # A number or an object is no word of any list.
        return value
    elif isinstance(value, bool | int | float):
        text = orjson.dumps(value).decode()
    elif isinstance(value, dict | list) and "maxLength" not in schema:
        text = _spell(value)
        if not text:
            return value
    else:
        return value
    if not isinstance(value, str):
        notes.add("value-for-text", path, text)
    return _known_word(text, schema["enum"], path, notes) if "enum" in schema else text


def _spell(value: Any) -> str:
    """Write JSON where a text of any length is due; nothing where that is too deep."""
    try:
        return clean(orjson.dumps(clean_json(value)).decode())
    except TypeError:
        return ""


def _known_word(text: str, words: list[str], path: str, notes: Notes) -> str:
    if text in words:
        return text
    folded = text.strip().casefold()
    for word in words:
        if word.casefold() == folded:
            notes.add("word-in-other-case", path, text)
            return word
    return text


def _mend_number(value: Any, path: str, notes: Notes) -> Any:
    """Read a number; one that has no fraction and that a database can hold is an integer."""
    number = value
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return value
        number = float(value.strip().replace(",", "."))
        if value.strip().lstrip("+-").isdecimal() and len(value.strip()) < 19:
            number = int(value)
        notes.add("text-for-number", path, value)
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        if not isinstance(value, str):
            notes.add("fraction-for-integer", path, value)
        return int(number)
    return number


def _mend_boolean(value: Any, path: str, notes: Notes) -> Any:
    folded = str(value).strip().casefold() if isinstance(value, str | int) else ""
    if isinstance(value, bool) or folded not in ("true", "false", "1", "0"):
        return value
    notes.add("value-for-boolean", path, value)
    return folded in ("true", "1")


def clean(text: str) -> str:
    """Drop what no database takes: control characters and lone surrogates (FR-06, ID-01)."""
    return _CONTROL.sub("", text)


def clean_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Drop what no database takes from JSON of any shape."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list) and depth == 0:
        return excerpt(value)
    if isinstance(value, dict):
        return {clean(name): clean_json(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list):
        return [clean_json(each, depth - 1) for each in value]
    return value
