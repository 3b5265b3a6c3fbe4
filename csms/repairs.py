"""What is done about a payload that violates its schema, though its intent is clear.

A walk along the schema mends what has only one meaning: a number sent as text, a list left out
around its only element, a key in another case. What is left is judged on the way: a text that is
too long or a word the schema does not know is for the handler to place; what is not required and
cannot be read is left out, and what is required and missing or unreadable is a CALLERROR. Nothing
here runs for a payload that is valid.
"""

import math
import re
from collections.abc import Collection
from typing import Any, NamedTuple

import jsonschema_rs
import orjson

from csms.errors import ErrorCode, RpcError
from csms.rpc import excerpt, kind
from tasks.schemas import Schema

# Control characters but tab, line feed and carriage return: no database and no page shows them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)

# What can be kept of JSON that no schema describes.
MAX_DEPTH = 20
# A text is cut that is so many times too long; no real one is, and a word never has as many characters.
MAX_EXCESS = 10
MAX_WORD = 1000
# A broken list may break its rule a thousand times over; nobody reads more than the first.
MAX_NOTES = 50
# Items of all lists of a payload that is mended. What has more consists of next to nothing, a million times.
MAX_ITEMS = 100_000

# The OCPP error that a violation amounts to; any other is a matter of the value.
_CODES = {
    "Required": ErrorCode.OCCURRENCE_CONSTRAINT,
    "MinItems": ErrorCode.OCCURRENCE_CONSTRAINT,
    "MaxItems": ErrorCode.OCCURRENCE_CONSTRAINT,
    "Type": ErrorCode.TYPE_CONSTRAINT,
    "AdditionalProperties": ErrorCode.FORMAT_VIOLATION,
}


class Note(NamedTuple):
    """A deviation: its kind, and where and what it was."""

    kind: str
    example: str


def check(payload: Any, validator: Any) -> None:
    """Raise RpcError for the first violation of a schema."""
    try:
        validator.validate(payload)
    except jsonschema_rs.ValidationError as error:
        where = ".".join(map(str, error.instance_path))
        code = _CODES.get(type(error.kind).__name__, ErrorCode.PROPERTY_CONSTRAINT)
        raise RpcError(code, f"{where}: {error.message}" if where else error.message) from error
    except ValueError as error:
        # Nested too deep for the message of a ValidationError to spell it.
        raise RpcError(ErrorCode.TYPE_CONSTRAINT, str(error)) from error


def mend(payload: Any, schema: Schema, optional: Collection[str]) -> tuple[dict[str, Any], list[Note]]:
    """Return a payload that a handler understands, and the deviations found.

    `optional` names required members that the handler can do without. What is not required and
    cannot be understood is left out. Raises RpcError where the intent is unclear.
    """
    walk = _Walk(optional)
    mended = walk.whole(payload, schema)
    return mended, walk.notes


class _Walk:
    """A payload on its way along its schema, and what was noted. Its methods raise RpcError."""

    def __init__(self, optional: Collection[str]) -> None:
        self.optional = optional
        self.notes: list[Note] = []
        self.items = 0

    def note(self, deviation: str, path: str, value: Any = "") -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(Note(deviation, clean(f"{path}: {excerpt(value, 200)}" if value != "" else path)))

    def whole(self, payload: Any, schema: Schema) -> dict[str, Any]:
        payload = self.unwrapped(payload, "")
        if isinstance(payload, dict):
            return self.object(payload, schema, "")
        if schema.get("required"):
            raise RpcError(ErrorCode.FORMAT_VIOLATION, f"the payload is a JSON object, not {kind(payload)}")
        # A Heartbeat says what it has to say by its name.
        return {}

    def value(self, value: Any, schema: Schema, path: str) -> Any:
        match schema.get("type"):
            case "object":
                return self.object(self.unwrapped(value, path), schema, path)
            case "array":
                return self.array(value, schema, path)
            case "string":
                return self.text(value, schema, path)
            case "integer" | "number":
                return self.number(value, schema, path)
            case "boolean":
                return self.boolean(value, path)
            case _:
                return clean_json(value)

    def unwrapped(self, value: Any, path: str) -> Any:
        if isinstance(value, list) and len(value) == 1:
            self.note("list-for-object", path)
            return value[0]
        return value

    def object(self, value: Any, schema: Schema, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mistyped(value, path, "object")
        properties = schema.get("properties", {})
        if not properties and schema.get("additionalProperties", True):
            return {clean(name): clean_json(each) for name, each in value.items()}
        prefix = f"{path}." if path else ""
        found = self.members(value, properties, prefix)
        required = schema.get("required", ())
        for name in required:
            if name in found:
                continue
            if name not in self.optional:
                raise RpcError(ErrorCode.OCCURRENCE_CONSTRAINT, f"{prefix}{name} is missing")
            self.note("member-missing", f"{prefix}{name}")
        mended = {}
        for name, each in found.items():
            try:
                mended[name] = self.value(each, properties[name], f"{prefix}{name}")
            except RpcError as error:
                if name in required or self.items > MAX_ITEMS:
                    raise
                self.note("unreadable-member", error.description)
        return mended

    def members(self, value: dict[str, Any], properties: Schema, prefix: str) -> dict[str, Any]:
        """Find the members that the schema knows, in its order, whatever their case; blank ones are absent."""
        left = dict(value)
        folded = {name.strip().casefold(): name for name in value}
        found = {}
        for name, schema in properties.items():
            other = name if name in value else folded.get(name.casefold())
            if other is None or (other != name and other in properties):
                continue
            if other != name:
                self.note("member-in-other-case", f"{prefix}{other}")
            each = left.pop(other)
            if _is_blank(each, schema):
                self.note("empty-member", f"{prefix}{name}")
            else:
                found[name] = each
        for name, extra in left.items():
            self.note("extra-member", f"{prefix}{name[:100]}", extra)
        return found

    def array(self, value: Any, schema: Schema, path: str) -> list[Any]:
        """Read a list; an item that cannot be understood is left out, unless none can be."""
        if not isinstance(value, list):
            self.note("object-for-list", path)
            value = [value]
        self.items += len(value)
        if self.items > MAX_ITEMS:
            raise RpcError(ErrorCode.OCCURRENCE_CONSTRAINT, f"{path}: there are too many items to be mended")
        if len(value) < schema.get("minItems", 0):
            self.note("empty-list", path)
        if len(value) > schema.get("maxItems", len(value)):
            self.note("list-too-long", path, len(value))
        items, mended, failure = schema.get("items", {}), [], None
        for index, each in enumerate(value):
            try:
                if each is not None:
                    mended.append(self.value(each, items, f"{path}.{index}"))
            except RpcError as error:
                if self.items > MAX_ITEMS:
                    raise
                failure = error
                self.note("unreadable-member", error.description)
        if failure is not None and not mended:
            raise failure
        return mended

    def text(self, value: Any, schema: Schema, path: str) -> str:
        words = schema.get("enum")
        if isinstance(value, str):
            text = clean(value)
            if text != value:
                self.note("control-characters", path, text)
        else:
            text = _spelt(value, schema)
            if not text:
                raise _mistyped(value, path, "text")
            self.note("value-for-text", path, text)
        if words:
            return self.word(text, words, path)
        if len(text) > (longest := schema.get("maxLength", len(text))):
            self.note("text-too-long", path, text)
            text = text[: max(MAX_EXCESS * longest, MAX_WORD)]
        if schema.get("format") == "date-time" and not _RFC_3339.fullmatch(text):
            self.note("time-format", path, text)
        return text

    def word(self, text: str, words: list[str], path: str) -> str:
        if text in words:
            return text
        folded = text.strip().casefold()
        for word in words:
            if word.casefold() == folded:
                self.note("word-in-other-case", path, text)
                return word
        self.note("unknown-word", path, text)
        return text[:MAX_WORD]

    def number(self, value: Any, schema: Schema, path: str) -> int | float:
        """Read a number; one that has no fraction and that a database can hold is an integer."""
        number = value
        if isinstance(value, str) and _NUMBER.fullmatch(digits := value.strip()):
            number = int(digits) if _INTEGER.fullmatch(digits) else float(digits.replace(",", "."))
            self.note("text-for-number", path, value)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _mistyped(value, path, schema["type"])
        if isinstance(number, float) and schema["type"] == "integer":
            # Meters have fractions where the schema wants whole numbers (MV-09).
            self.note("fraction-for-integer", path, value)
            number = int(number) if number.is_integer() and abs(number) < 2**53 else number
        if not schema.get("minimum", number) <= number <= schema.get("maximum", number):
            raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"{path}: {excerpt(value, 100)} is out of range")
        return number

    def boolean(self, value: Any, path: str) -> bool:
        if isinstance(value, bool):
            return value
        folded = str(value).strip().casefold() if isinstance(value, str | int) else ""
        if folded not in ("true", "false", "1", "0"):
            raise _mistyped(value, path, "boolean")
        self.note("value-for-boolean", path, value)
        return folded in ("true", "1")


def _mistyped(value: Any, path: str, wanted: str) -> RpcError:
    return RpcError(ErrorCode.TYPE_CONSTRAINT, clean(f"{path}: {excerpt(value, 100)} is no {wanted}"))


def _is_blank(value: Any, schema: Schema) -> bool:
    """Tell whether a member says nothing: null, or blanks where no text is due, stand for absent (BO-05)."""
    if isinstance(value, str) and not value.strip():
        return schema.get("type") != "string" or "enum" in schema
    return value is None


def _spelt(value: Any, schema: Schema) -> str:
    """Write as text what was sent in its place: numbers, and JSON where a text may have any length.

    Nothing where the text could mean anything.
    """
    if isinstance(value, dict | list) and ("maxLength" in schema or "enum" in schema):
        return ""
    try:
        return clean(orjson.dumps(clean_json(value)).decode())
    except TypeError:
        return ""


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
        return clean(excerpt(value))
    if isinstance(value, dict):
        return {clean(name): clean_json(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list):
        return [clean_json(each, depth - 1) for each in value]
    return value
