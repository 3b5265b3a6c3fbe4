"""What is done about a payload that violates its schema, though its intent is clear.

A walk along the schema mends what has only one meaning: a number sent as text, a list left out
around its only element, a key in another case. What is left is judged: a text that is too long or
a word the schema does not know is for the handler to place; a missing or unreadable member is a
CALLERROR. Nothing here runs for a payload that is valid.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import orjson

from csms.errors import ErrorCode, RpcError
from tasks.schemas import Schema

# Control characters but tab, line feed and carriage return: no database and no page shows them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# The OCPP error a violation amounts to, the gravest first; any other is a matter of the value.
_CODES = {
    "Required": ErrorCode.OCCURRENCE_CONSTRAINT,
    "Type": ErrorCode.TYPE_CONSTRAINT,
    "AdditionalProperties": ErrorCode.FORMAT_VIOLATION,
    "MinItems": ErrorCode.OCCURRENCE_CONSTRAINT,
    "MaxItems": ErrorCode.OCCURRENCE_CONSTRAINT,
}
_GRAVITY = {kind: rank for rank, kind in enumerate(_CODES)}

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


def _kind(error: Any) -> str:
    return type(error.kind).__name__


def refusal(errors: Iterable[Any]) -> RpcError:
    """Make the CALLERROR for violations of a schema: the gravest one, with the member's name."""
    error = min(errors, key=lambda each: _GRAVITY.get(_kind(each), len(_GRAVITY)))
    where = ".".join(map(str, error.instance_path))
    code = _CODES.get(_kind(error), ErrorCode.PROPERTY_CONSTRAINT)
    return RpcError(code, f"{where}: {error.message}" if where else error.message)


def mend(
    payload: dict[str, Any], schema: Schema, validator: Any, optional: Collection[str]
) -> tuple[dict[str, Any], list[Note]]:
    """Return a payload that a handler understands, and the deviations found.

    `optional` names required members that the handler can do without. Raises RpcError with the
    gravest violation that leaves the intent unclear.
    """
    notes: list[Note] = []
    mended = _mend(payload, schema, "", notes)
    unclear = []
    for error in validator.iter_errors(mended):
        kind = _kind(error)
        if kind == "Required" and error.kind.property in optional:
            notes.append(Note("member-missing", error.kind.property))
        elif kind in _PLACEABLE:
            notes.append(Note(_PLACEABLE[kind], _example(error)))
        elif kind == "Type" and isinstance(error.instance, float) and "integer" in error.kind.types:
            # Meters have fractions where the schema wants whole numbers (MV-09).
            notes.append(Note("fraction-for-integer", _example(error)))
        else:
            unclear.append(error)
    if unclear:
        raise refusal(unclear)
    return mended, notes


def _example(error: Any) -> str:
    return f"{'.'.join(map(str, error.instance_path))}: {str(error.instance)[:200]}"


def _mend(value: Any, schema: Schema, path: str, notes: list[Note]) -> Any:
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


def _mend_object(value: Any, schema: Schema, path: str, notes: list[Note]) -> Any:
    if isinstance(value, list) and len(value) == 1:
        notes.append(Note("list-for-object", path))
        value = value[0]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    members = dict(value)
    by_folded_name = {name.casefold(): name for name in members}
    mended = {}
    for name, member in schema["properties"].items():
        if name not in members:
            other = by_folded_name.get(name.casefold())
            if other is None or other in schema["properties"]:
                continue
            notes.append(Note("member-in-other-case", f"{path}{other}"))
            members[name] = members.pop(other)
        found = members.pop(name)
        if found is None:
            notes.append(Note("null-member", f"{path}{name}"))
            continue
        mended[name] = _mend(found, member, f"{path}{name}.", notes)
    notes.extend(Note("extra-member", f"{path}{name}") for name in members)
    return mended


def _mend_array(value: Any, schema: Schema, path: str, notes: list[Note]) -> Any:
    if not isinstance(value, list):
        notes.append(Note("object-for-list", path.rstrip(".")))
        value = [value]
    items = schema.get("items", {})
    return [_mend(each, items, path, notes) for each in value if each is not None]


def _mend_text(value: Any, schema: Schema, path: str, notes: list[Note]) -> Any:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | float):
        text = str(value)
    elif isinstance(value, dict | list):
        text = orjson.dumps(value).decode()
    else:
        text = clean(value)
        if text != value:
            notes.append(Note("control-characters", f"{path.rstrip('.')}: {text}"))
    if not isinstance(value, str):
        notes.append(Note("value-for-text", f"{path.rstrip('.')}: {text[:200]}"))
    return _known_word(text, schema["enum"], path, notes) if "enum" in schema else text


def _known_word(text: str, words: list[str], path: str, notes: list[Note]) -> str:
    if text in words:
        return text
    folded = text.strip().casefold()
    for word in words:
        if word.casefold() == folded:
            notes.append(Note("word-in-other-case", f"{path.rstrip('.')}: {text[:200]}"))
            return word
    return text


def _mend_number(value: Any, path: str, notes: list[Note]) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        number: int | float = int(text) if re.fullmatch(r"[+-]?\d{1,19}", text) else float(text)
    except ValueError:
        return value
    notes.append(Note("text-for-number", f"{path.rstrip('.')}: {value[:200]}"))
    return number


def _mend_boolean(value: Any, path: str, notes: list[Note]) -> Any:
    folded = str(value).strip().casefold()
    if isinstance(value, bool) or folded not in ("true", "false", "1", "0"):
        return value
    notes.append(Note("value-for-boolean", f"{path.rstrip('.')}: {value}"))
    return folded in ("true", "1")


def clean(text: str) -> str:
    """Drop what no database takes: control characters and lone surrogates (FR-06, ID-01)."""
    return _CONTROL.sub("", text)
