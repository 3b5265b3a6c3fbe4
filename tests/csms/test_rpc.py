"""From text to a frame and back, whatever the text (OCPP-J 1.6 section 4)."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms import rpc
from csms.rpc import Call, CallError, CallResult, Malformed

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner), max_leaves=8
)
frames = st.tuples(
    st.sampled_from([2, 3, 4, "2", 1, 2.0, None, True]) | scalars,
    st.text(max_size=40) | st.integers() | values,
    st.sampled_from(["Heartbeat", "heartbeat", "Reset", ""]) | values,
    values,
    values,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Write a frame, then cut it, change bytes in it or add some to it."""
    text = json.dumps(draw(frames)[: draw(st.integers(0, 5))], ensure_ascii=draw(st.booleans()))
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 5))] = draw(
            st.binary(max_size=3) | st.sampled_from([b",", b":", b"\\", b'"'])
        )
    return bytes(raw)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.binary() | damaged(), strict=st.booleans(), repair=st.booleans())
def test_any_bytes_are_a_frame_or_malformed_and_can_be_answered(raw: bytes, strict: bool, repair: bool) -> None:
    try:
        message_id: Any = rpc.parse(raw, strict=strict, repair=repair).frame.id
    except Malformed as error:
        message_id = error.message_id
    if message_id is not None:
        assert json.loads(rpc.encode_error(message_id, "GenericError", ""))[1] == message_id
        assert json.loads(rpc.encode_result(message_id, {}))[1] == message_id


@pytest.mark.parametrize("opening", ["[", '{"a":', '[2,"1","MeterValues",[', '[3,"1",{"a":['])
@pytest.mark.parametrize("repair", [False, True])
def test_nesting_of_any_depth_is_malformed(opening: str, repair: bool) -> None:
    with pytest.raises(Malformed):
        rpc.parse((opening * 100_000).encode(), repair=repair)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_nesting_that_json_can_read_is_no_header(position: int) -> None:
    frame: list[Any] = [2, "1", "Heartbeat", {}]
    deep = "[" * 900 + "]" * 900
    frame[position] = None
    with pytest.raises(Malformed):
        rpc.parse(json.dumps(frame).replace("null", deep).encode())


def test_a_value_too_deep_to_spell_is_named() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    assert rpc.excerpt(deep) == "an array"
    assert rpc.excerpt({"a": [1]}) == '{"a":[1]}'
    assert rpc.excerpt("abc", 2) == "ab"


@pytest.mark.parametrize(
    ("raw", "frame", "deviations"),
    [
        (b'[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {}), ()),
        (b'[2,"1","Heartbeat",null]', Call("1", "Heartbeat", {}), ()),
        (b'[2.0,"1","Heartbeat",{}]', Call("1", "Heartbeat", {}), ()),
        (b' [ 2,\r\n "1",\t"Heartbeat", { } ]\n', Call("1", "Heartbeat", {}), ()),
        (b'\xef\xbb\xbf[2,"1","Heartbeat",{}]\x00', Call("1", "Heartbeat", {}), ("json-padding",)),
        (b'["2","1","Heartbeat",{}]', Call("1", "Heartbeat", {}), ("message-type-as-text",)),
        (b'[2,7,"Heartbeat",{}]', Call(7, "Heartbeat", {}), ("message-id-not-text",)),
        (b'[2,"","Heartbeat",{}]', Call("", "Heartbeat", {}), ("message-id-empty",)),
        (b'[2,"1","Heartbeat"]', Call("1", "Heartbeat", {}), ("frame-length",)),
        (b'[2,"1","Heartbeat",{},{}]', Call("1", "Heartbeat", {}), ("frame-length",)),
        (b'[2,"1","Heartbeat",[]]', Call("1", "Heartbeat", []), ("payload-not-object",)),
        (b'[2,"1","A",{"a":"\x10"}]', Call("1", "A", {"a": "\x10"}), ("json-control-characters",)),
        (b'[2,"1","A",{"a":"Stra\xdfe"}]', Call("1", "A", {"a": "Straße"}), ("not-utf-8",)),
        (b'[2,"1","A",{"a":NaN,"b":-1e999}]', Call("1", "A", {"a": "NaN", "b": "-1e999"}), ("json-odd-value",)),
        (b'[2,"\\ud800","A",{}]', Call("\ud800", "A", {}), ("json-odd-value",)),
        (b'[3,"1"]', CallResult("1", {}), ("frame-length",)),
        (b'[3,"1",null]', CallResult("1", {}), ()),
        (b'[4,"1","NotSupported","",{}]', CallError("1", "NotSupported", "", {}), ()),
        (b'[4,"1","NotSupported",""]', CallError("1", "NotSupported", "", {}), ("frame-length",)),
        (b'[4,"1",null,null,null]', CallError("1", "GenericError", "", {}), ()),
        (b'[4,"1",{"code":1},2,[]]', CallError("1", '{"code":1}', "2", {}), ()),
    ],
)
def test_what_a_frame_means_is_read_and_what_was_overlooked_is_named(
    raw: bytes, frame: rpc.Frame, deviations: tuple[str, ...]
) -> None:
    assert rpc.parse(raw) == (frame, deviations)


@pytest.mark.parametrize(
    ("raw", "message_type", "message_id"),
    [
        (b"", None, None),
        (b"\x00\x00", None, None),
        (b"{}", None, None),
        (b"[]", None, None),
        (b"[2]", None, None),
        (b'[1,"1","Heartbeat",{}]', None, "1"),
        (b'[2,null,"Heartbeat",{}]', 2, None),
        (b'[2,true,"Heartbeat",{}]', 2, None),
        (b'[2,{"id":1},"Heartbeat",{}]', 2, None),
        (b'[2,"1",5,{}]', 2, "1"),
        (b'[2,"1"]', 2, "1"),
        (b'[2,"1"', 2, "1"),
        (b'[2,"1","Heartbeat",{', 2, "1"),
        (b'[2,"12', 2, None),
        (b'[2,17,"Heartbeat",{', 2, 17),
        (b' [ "2" , "a\\"b\\u00e9" , {{{', 2, 'a"bé'),
        (b'[2,"\\ud800",{{{', 2, "\ud800"),
        (b'[2,"\\x",{{{', 2, "\\x"),
        (b'[3,"1",{"configurationKey":[]', 3, "1"),
        (b'[3,"1",[]]', 3, "1"),
        (b'[4,"1",', 4, "1"),
        (b'[2,"' + b"x" * 256 + b'","Heartbeat",{}]', 2, "x" * 256),
    ],
)
def test_of_a_malformed_frame_type_and_id_are_read_as_far_as_they_go(
    raw: bytes, message_type: int | None, message_id: rpc.MessageId | None
) -> None:
    with pytest.raises(Malformed) as caught:
        rpc.parse(raw)
    assert (caught.value.message_type, caught.value.message_id) == (message_type, message_id)


@pytest.mark.parametrize(
    ("broken", "mended", "deviation"),
    [
        ('{"s":[,{"v":"[,"}]}', {"s": [{"v": "[,"}]}, "json-stray-comma"),
        ('{"s":[{"v":"1",},]}', {"s": [{"v": "1"}]}, "json-stray-comma"),
        ('{"a":1,, ,"b":2}', {"a": 1, "b": 2}, "json-stray-comma"),
        ('{"transactionId":,"v":":,"}', {"transactionId": None, "v": ":,"}, "json-missing-value"),
        ('{"a":1,"b": }', {"a": 1, "b": None}, "json-missing-value"),
        ('{"a":,"b":[,1]}', {"a": None, "b": [1]}, "json-repaired"),
        (r'{"idTag":"336699\\\","meterStart":3}', {"idTag": "336699\\\\", "meterStart": 3}, "json-stray-backslash"),
        (r'{"idTag":"A\x","meterStart":3}', {"idTag": "A\\x", "meterStart": 3}, "json-stray-backslash"),
    ],
)
def test_known_slips_of_json_are_mended_when_that_is_wanted(
    broken: str, mended: dict[str, Any], deviation: str
) -> None:
    raw = f'[2,"1","A",{broken}]'.encode()
    assert rpc.parse(raw, repair=True) == (Call("1", "A", mended), (deviation,))
    for options in ({}, {"strict": True, "repair": True}):
        with pytest.raises(Malformed) as caught:
            rpc.parse(raw, **options)
        assert (caught.value.message_type, caught.value.message_id) == (2, "1")


@pytest.mark.parametrize(
    "broken", ['"' * 300_000, '{"' + '\\"' * 150_000, "{" + "\\" * 300_000, "{" + ", " * 150_000, "{" + ":" * 300_000]
)
def test_repairs_take_time_in_proportion_to_the_text(broken: str) -> None:
    """A repair that looked again and again for the end of a string would take minutes here."""
    with pytest.raises(Malformed):
        rpc.parse(f'[2,"1","A",{broken}'.encode(), repair=True)


def test_what_is_too_large_is_not_repaired() -> None:
    frame = b'[2,"1","Heartbeat",{%b"a":}]'
    assert rpc.parse(frame % b"", repair=True).frame == Call("1", "Heartbeat", {"a": None})
    with pytest.raises(Malformed) as refused:
        rpc.parse(frame % (b" " * rpc.MAX_REPAIRED), repair=True)
    assert refused.value.message_id == "1"
