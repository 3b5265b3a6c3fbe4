"""OCPP-J frames: from text to a frame and back (OCPP-J 1.6 section 4).

Nothing here closes a connection. A frame that cannot be understood is a Malformed with what can
still be said of it: whose it was, and whether it was an answer.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from csms.errors import ErrorCode

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4

# The specification allows 36 characters; real ids are longer and harmless, rubbish is neither.
ID_LENGTH = 36
MAX_ID_LENGTH = 255
# What stands for an id that cannot be read, from 2.0.1 on (part 4 section 4.2.3).
NO_ID = "-1"
# An error code of a station's own making is cut here.
MAX_CODE_LENGTH = 100

MessageId = str | int


class Call(NamedTuple):
    """A request. The payload is a dict but where a tolerant reading left it to the schema to say."""

    id: MessageId
    action: str
    payload: Any


class CallResult(NamedTuple):
    """An answer. `size` is its length in bytes where it is large, else 0."""

    id: MessageId
    payload: dict[str, Any]
    size: int = 0


class CallError(NamedTuple):
    """An answer that tells of an error. `size` is its length in bytes where it is large, else 0."""

    id: MessageId
    code: str
    description: str
    details: Any
    size: int = 0


Frame = Call | CallResult | CallError


class Malformed(Exception):
    """A frame that cannot be understood.

    `message_id` is what can be read of its id, `message_type` of its type; None where nothing
    can. `code` is what a CALLERROR says of it.
    """

    def __init__(
        self,
        reason: str,
        message_type: int | None = None,
        message_id: MessageId | None = None,
        code: ErrorCode = ErrorCode.RPC_FRAMEWORK,
    ) -> None:
        self.reason = reason
        self.message_type = message_type
        self.message_id = message_id
        self.code = code
        super().__init__(reason)

    @property
    def is_answer(self) -> bool:
        return self.message_type in (CALL_RESULT, CALL_ERROR)


class Parsed(NamedTuple):
    """A frame, and the deviations that were overlooked to read it."""

    frame: Frame
    deviations: tuple[str, ...]


def parse(raw: bytes, *, strict: bool = False, repair: bool = False) -> Parsed:
    """Read a frame. Raises Malformed.

    What a strict reading refuses though its intent is clear is overlooked and named, unless
    `strict`. `repair` also mends JSON that is broken, by the repairs of `_attempts`.
    """
    deviations: list[str] = []
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        text = _decode(raw, deviations)
        message = None if strict else _read_leniently(text, deviations, repair)
        if message is None:
            message_type, message_id = _head(text)
            code = ErrorCode.RPC_FRAMEWORK if message_id is None else ErrorCode.FORMAT_VIOLATION
            raise Malformed(f"not JSON: {error}", message_type, message_id, code) from error
    if not isinstance(message, list):
        raise Malformed(f"a frame is a JSON array, not {kind(message)}")
    return Parsed(_frame(message, deviations, strict), tuple(deviations))


# Text that is no JSON.


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are not UTF-8 as what they most likely are, so that different ones stay different."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("ocpp-latin-1", _latin_1)

# What C programs leave around a text: the end of a string, a byte order mark, odd blanks (FR-05).
_BLANKS = " \t\r\n"
_PADDING = _BLANKS + "\x00\ufeff\xa0\x0b\x0c\x1a"


def _decode(raw: bytes, deviations: list[str]) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        deviations.append("not-utf-8")
        text = raw.decode(errors="ocpp-latin-1")
    stripped = text.strip(_PADDING)
    if stripped != text.strip(_BLANKS):
        deviations.append("json-padding")
    return stripped


def _read_leniently(text: str, deviations: list[str], repair: bool) -> Any:
    """Read what `json` takes for JSON and the specification does not; None if even that is impossible."""
    for deviation, attempt, strictly in _attempts(text, repair):
        try:
            message = json.loads(
                attempt, strict=strictly, parse_constant=str, parse_int=_read_number, parse_float=_read_number
            )
        except (ValueError, RecursionError):
            continue
        if deviation or not deviations:
            deviations.append(deviation or "json-odd-value")
        return message
    return None


def _attempts(text: str, repair: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield readings of a text, the most faithful first: the deviation each stands for, the text, how strictly.

    The first also takes NaN, numbers without end and halves of surrogate pairs.
    """
    yield "", text, True
    yield "json-control-characters", text, False
    if not repair or len(text) > MAX_REPAIRED:
        return
    everything = text
    for deviation, pattern, replacement in _REPAIRS:
        yield deviation, _outside_strings(pattern, replacement, text), False
        everything = _outside_strings(pattern, replacement, everything)
    yield "json-repaired", everything, False
    unescaped = _STRAY_BACKSLASH.sub(r"\1\\\\", text)
    yield "json-stray-backslash", unescaped, False


# What is larger is not repaired: a search takes seconds, in which nobody else is served.
MAX_REPAIRED = 64 * 1024
# Stations that write JSON with printf leave a list's or a member's value out (FR-01, FR-02).
_REPAIRS = (
    ("json-stray-comma", re.compile(r"(?<=[\[{,])(?:\s*,)+|,(?=\s*[\]}])"), ""),
    ("json-missing-value", re.compile(r":(?=\s*[,}\]])"), ":null"),
)
# A string, finished or not, so that its content is left alone.
_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
# A backslash that escapes nothing, or the end of a string that would not end otherwise (FR-04).
_STRAY_BACKSLASH = re.compile(r'((?<!\\)(?:\\\\)*)\\(?=[^"\\/bfnrtu]|"\s*[,}\]:])')


def _outside_strings(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    whole = re.compile(f"({_STRING})|(?:{pattern.pattern})", re.DOTALL)
    return whole.sub(lambda match: match[1] if match[1] is not None else replacement, text)


def _read_number(text: str) -> Any:
    """Read a number as far as a database has one; a number without end stays text."""
    if len(text) <= 19 and text.lstrip("-").isdecimal():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else text


_TYPE = re.compile(r'\[\s*"?([234])"?\s*[,\]]')
_HEAD = re.compile(r'\[\s*"?([234])"?\s*,\s*(?:"((?:[^"\\]|\\.)*+)"|(\d{1,18}))\s*(?:[,\]]|\Z)', re.DOTALL)


def _head(text: str) -> tuple[int | None, MessageId | None]:
    """Read type and id off the text of a frame that is no JSON, so that its sender is not left waiting."""
    match = _HEAD.match(text)
    if match is None:
        only = _TYPE.match(text)
        return int(only[1]) if only else None, None
    if match[3] is not None:
        return int(match[1]), int(match[3])
    try:
        return int(match[1]), json.loads(f'"{match[2]}"', strict=False)
    except ValueError:
        return int(match[1]), match[2]


# Frames.


def _frame(message: list[Any], deviations: list[str], strict: bool) -> Frame:
    if len(message) < 2:
        message_type = message[0] if message and message[0] in (CALL_RESULT, CALL_ERROR) else None
        raise Malformed("a frame has a message type and a message id", message_type)
    message_type = _message_type(message, deviations, strict)
    message_id = _message_id(message[1], message_type, deviations, strict)
    if message_type == CALL:
        return _call(message, message_id, deviations, strict)
    if message_type == CALL_RESULT:
        return _call_result(message, message_id, deviations)
    return _call_error(message, message_id, deviations)


def _message_type(message: list[Any], deviations: list[str], strict: bool) -> int:
    """Read the message type. A frame of another one is ignored in 1.6 (section 4.1.3, FR-07)."""
    value, message_id = message[:2]
    if isinstance(value, str) and value.strip() in ("2", "3", "4") and not strict:
        deviations.append("message-type-as-text")
        # int() by itself takes fewer blanks than strip().
        return int(value.strip())
    if value not in (CALL, CALL_RESULT, CALL_ERROR):
        known = message_id if isinstance(message_id, str) and 0 < len(message_id) <= MAX_ID_LENGTH else None
        code = ErrorCode.MESSAGE_TYPE if type(value) is int else ErrorCode.RPC_FRAMEWORK
        raise Malformed(f"message type {excerpt(value, 40)} is not known", None, known, code)
    return int(value)


def _message_id(value: Any, message_type: int, deviations: list[str], strict: bool) -> MessageId:
    """Read the message id: a text of at most 36 characters (section 4.1.4), or another that can be repeated."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Malformed(f"the message id is a text, not {kind(value)}", message_type)
    length = len(value) if isinstance(value, str) else 0
    if 0 < length <= ID_LENGTH:
        return value
    if strict or length > MAX_ID_LENGTH:
        # Section 4.2.3 names "unique identifier too long" among the reasons for a CALLERROR.
        raise Malformed("the message id is a text of 1 to 36 characters", message_type, value)
    if length:
        deviations.append("message-id-too-long")
    else:
        deviations.append("message-id-empty" if value == "" else "message-id-not-text")
    return value


def _call(message: list[Any], message_id: MessageId, deviations: list[str], strict: bool) -> Call:
    def refuse(reason: str) -> Malformed:
        return Malformed(reason, CALL, message_id)

    if len(message) < 3 or not isinstance(message[2], str):
        raise refuse("the third element of a CALL is the name of an action")
    if len(message) != 4:
        if strict:
            raise refuse(f"a CALL has four elements, not {len(message)}")
        deviations.append("frame-length")
    # Null stands for no payload (section 4.2.1).
    payload = message[3] if len(message) > 3 and message[3] is not None else {}
    if not isinstance(payload, dict):
        if strict:
            raise Malformed(
                f"the payload is a JSON object, not {kind(payload)}", CALL, message_id, ErrorCode.FORMAT_VIOLATION
            )
        deviations.append("payload-not-object")
    return Call(message_id, message[2], payload)


def _call_result(message: list[Any], message_id: MessageId, deviations: list[str]) -> CallResult:
    if len(message) != 3:
        deviations.append("frame-length")
    payload = message[2] if len(message) > 2 and message[2] is not None else {}
    if not isinstance(payload, dict):
        raise Malformed(f"the payload is a JSON object, not {kind(payload)}", CALL_RESULT, message_id)
    return CallResult(message_id, payload)


def _call_error(message: list[Any], message_id: MessageId, deviations: list[str]) -> CallError:
    """Read a CALLERROR, filling in what stations leave out (FR-08)."""
    if len(message) != 5:
        deviations.append("frame-length")
    code, description, details = (*message[2:5], None, None, None)[:3]
    code = excerpt(code or "GenericError", MAX_CODE_LENGTH)
    return CallError(message_id, code, excerpt(description or ""), details or {})


def kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def excerpt(value: Any, length: int = 500) -> str:
    """Spell the beginning of any value for people."""
    if isinstance(value, str):
        return value[:length]
    try:
        return orjson.dumps(value).decode()[:length]
    except TypeError:
        # Too deep to be spelt.
        return kind(value)


def encode_call(message_id: str, action: str, payload: dict[str, Any]) -> bytes:
    return orjson.dumps([CALL, message_id, action, payload])


def encode_result(message_id: MessageId, payload: dict[str, Any]) -> bytes:
    return _encode([CALL_RESULT, message_id, payload])


def encode_error(message_id: MessageId, code: str, description: str) -> bytes:
    # Descriptions are at most 255 characters (OCPP-J 2.0.1 section 4.2.3); 1.6 sets no limit.
    return _encode([CALL_ERROR, message_id, code, description[:255], {}])


def _encode(message: list[Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:
        # Half a surrogate pair in an id that must be repeated exactly, which only an escape can spell.
        return json.dumps(message, separators=(",", ":")).encode()
