"""What the web process is asked that no client would: it answers as documented, and goes on."""

import json
import re
import socket
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.parts import Parts
from tests.fuzz import odd, wire
from tests.fuzz.documented import DOCUMENT, problem
from tests.fuzz.wire import Answer, Header, Log, fuzzed

KEYS = ("CP001", "04A1B2C3D4E5F6", "admin", "1", "00000000-0000-0000-0000-000000000000")
PATHS = sorted(DOCUMENT["paths"])
# Lists, and the parameters that each has.
QUERIES = [
    (path, each["name"])
    for path, operations in DOCUMENT["paths"].items()
    for each in operations.get("get", {}).get("parameters", [])
    if each["in"] == "query" and "{" not in path
]
# Bytes of a line that Twisted reads.
MAX_LINE = 16_000
TOKENS = ("/api/token/", "/api/token/refresh/", "/api/token/verify/")


class Site:
    """The web process as its clients see it."""

    def __init__(self, parts: Parts) -> None:
        self.port = urlsplit(parts.web).port or 0
        self.log = Log(parts.text)
        self.authorization = parts.log_in()["Authorization"].encode()

    def ask(self, method: bytes, target: bytes, headers: Sequence[Header] = (), body: bytes = b"") -> Answer:
        return self.send(self.request(method, target, headers, body))

    def send(self, raw: bytes) -> Answer:
        answer = wire.ask(self.port, raw)
        # Twisted cuts what has longer lines.
        assert answer.status or max(map(len, raw.split(b"\r\n"))) > MAX_LINE, raw
        return answer

    def request(self, method: bytes, target: bytes, headers: Sequence[Header] = (), body: bytes = b"") -> bytes:
        """Complete a request with what most requests have, as the administrator's."""
        own = [(b"Host", b"localhost"), (b"Authorization", self.authorization), (b"Content-Type", b"application/json")]
        length = [(b"Content-Length", b"%d" % len(body))] if body or method in (b"POST", b"PUT", b"PATCH") else []
        told = [*wire.without(own, headers), *headers, (b"Connection", b"close"), *wire.without(length, headers)]
        return wire.request(method, target, told, body)

    def check(self, answer: Answer) -> None:
        """Check that an answer is none of a failure, and that an error is told as every other."""
        assert not (failures := self.log.failures()), failures
        assert answer.status < 500, answer
        kind = answer.headers.get("content-type", "")
        # What is no request is refused by Daphne, and what is not below /api/ by Django, with a page or with nothing.
        if answer.status >= 400 and answer.body and "text/html" not in kind:
            assert kind == "application/json", answer
            assert answer.json().keys() == {"code", "message", "details"}, answer

    def check_documented(self, method: str, path: str, answer: Answer) -> None:
        """Check that an answer is what the document says, unless it is Daphne's to what is no request."""
        self.check(answer)
        kind = answer.headers.get("content-type", "")
        if answer.status != 400 or "json" in kind:
            assert not (wrong := problem(method, path, answer.status, kind, answer.body)), wrong


@pytest.fixture(scope="module")
def site(web: Parts) -> Site:
    site = Site(web)
    for path, body in ((b"chargepoint", {"chargepoint_id": "CP001"}), (b"idtag", {"idToken": "04A1B2C3D4E5F6"})):
        assert site.ask(b"POST", b"/api/%s/" % path, body=json.dumps(body).encode()).status == 201
    return site


beginnings = st.one_of(
    st.sampled_from(
        [b"/", b"", b"/api/", b"/admin/", b"/static/", b"/api/schema/", b"/ws/updates/all/", b"http://localhost/", b"*", b"//", b"/api//"]
    ),
    st.builds(
        lambda path, key: re.sub(r"\{[^}]*\}", quote(key, safe=""), path).encode(),
        st.sampled_from(PATHS),
        st.sampled_from(KEYS),
    ),
    st.sampled_from(PATHS).map(lambda path: path.partition("{")[0].encode()),
)  # fmt: skip
bodies = st.one_of(st.just(b""), odd.json_texts, st.binary(max_size=30))


@fuzzed(30)
@given(odd.methods, odd.targets(beginnings), odd.headers, bodies)
def test_odd_requests_are_answered(
    site: Site, method: bytes, target: bytes, headers: Sequence[Header], body: bytes
) -> None:
    site.check(site.ask(method, target, headers, body))


@fuzzed(30)
@given(st.sampled_from(QUERIES), odd.query_values, st.one_of(st.just(b""), odd.query_values.map(b"&limit=%s".__mod__)))
def test_lists_are_narrowed_sorted_and_paged_by_odd_values_as_documented(
    site: Site, query: tuple[str, str], value: bytes, more: bytes
) -> None:
    path, name = query
    answer = site.ask(b"GET", b"%s?%s=%s%s" % (path.encode(), name.encode(), value, more))
    site.check_documented("get", path, answer)


@fuzzed(30)
@given(
    st.sampled_from(TOKENS),
    st.one_of(
        st.dictionaries(
            st.sampled_from(["username", "password", "refresh", "token", "x"]), st.one_of(odd.values, odd.tokens)
        ).map(lambda body: json.dumps(body).encode()),
        odd.json_texts,
    ),
)
def test_odd_logins_and_tokens_are_refused_as_documented(site: Site, path: str, body: bytes) -> None:
    answer = site.ask(b"POST", path.encode(), [(b"Authorization", b"")], body)
    site.check_documented("post", path, answer)
    assert answer.status in (400, 401)


@fuzzed(30)
@given(odd.tokens)
def test_an_odd_token_is_nobodys(site: Site, token: str) -> None:
    value = b"Bearer " + token.encode("utf-8", "surrogatepass").translate(None, b"\r\n\0")
    answer = site.ask(b"GET", b"/api/chargepoint/", [(b"Authorization", value)])
    site.check(answer)
    assert answer.status in (400, 401), answer


@st.composite
def lies(draw: st.DrawFn) -> tuple[list[Header], bytes]:
    """Draw what is said of a body, and the body, of which neither needs to be true."""
    lengths = st.sampled_from(
        [b"0", b"1", b"5", b"99999", b"9" * 40, b"-1", b"+5", b"0x5", b"5, 5", b"5,6", b"", b"\xb2", b"1_0", b" 5"]
    )
    told = [(b"Content-Length", length) for length in draw(st.lists(lengths, max_size=2))]
    told += draw(
        st.sampled_from(
            [[], [(b"Transfer-Encoding", b"chunked")], [(b"Transfer-Encoding", b"x")], [(b"Expect", b"100-continue")]]
        )
    )
    chunks = st.sampled_from(
        [
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"FFFFFFFFFFFFFFFFF\r\n",
            b"-5\r\n",
            b"5;x=y\r\nhello\r\n",
            b"5\r\nhel",
            b"\r\n",
            b"0\r\nX: y\r\n\r\n",
            b"{}",
        ]
    )
    return told, b"".join(draw(st.lists(chunks, max_size=4)))  # fmt: skip


@fuzzed(30)
@given(st.sampled_from([b"POST", b"PATCH", b"GET", b"PUT"]), lies(), st.integers(0, 400))
def test_a_request_that_ends_too_early_or_lies_about_its_length_leaves_nothing(
    site: Site, method: bytes, lie: tuple[list[Header], bytes], end: int
) -> None:
    raw = site.request(method, b"/api/location/", *lie)
    with socket.create_connection(("127.0.0.1", site.port), wire.PATIENCE) as connection:
        connection.sendall(raw[: max(len(raw) - end, 1)])
    site.check(site.ask(b"GET", b"/api/token/"))


topics = st.sampled_from(
    [b"/ws/updates/all/", b"/ws/updates/connector", b"/ws/updates/nothing/", b"/ws/updates/", b"/ws/ocpp/CP001", b"/ws/updates/ALL/", b"/"]
)  # fmt: skip
queries = st.lists(
    st.one_of(
        st.builds(b"%s=%s".__mod__, st.tuples(st.sampled_from([b"token", b"chargepoint_id", b"x", b""]), odd.segments)),
        odd.tokens.map(lambda token: b"token=" + quote(token, errors="replace").encode()),
        odd.segments,
    ),
    max_size=3,
).map(b"&".join)


@fuzzed(30)
@given(
    st.one_of(st.just(b"GET"), odd.methods),
    odd.targets(topics, queries),
    odd.handshake_headers,
    st.lists(st.sampled_from([name for name, _ in wire.UPGRADE]), max_size=1),
)
def test_odd_handshakes_of_listeners_are_answered(
    site: Site, method: bytes, target: bytes, headers: Sequence[Header], missing: Sequence[bytes]
) -> None:
    own = [each for each in ((b"Host", b"localhost"), *wire.UPGRADE) if each[0] not in missing]
    site.check(site.send(wire.request(method, target, [*wire.without(own, headers), *headers])))


def listen(site: Site, connection: socket.socket, token: bytes) -> None:
    headers = [(b"Host", b"localhost"), *wire.UPGRADE]
    wire.upgrade(connection, wire.request(b"GET", b"/ws/updates/all/?token=" + token, headers))


@fuzzed(25)
@given(st.lists(odd.frames, max_size=5), st.booleans())
def test_a_listener_that_sends_odd_frames_is_closed_and_no_more(
    site: Site, frames: Sequence[bytes], known: bool
) -> None:
    """A closing handshake is not what everybody gets: Daphne cuts who breaks the protocol."""
    with socket.create_connection(("127.0.0.1", site.port), wire.PATIENCE) as connection:
        listen(site, connection, site.authorization.partition(b" ")[2] if known else b"x")
        wire.exchange(connection, [*frames, wire.frame(wire.CLOSE, b"\x03\xe8")])
    site.check(site.ask(b"GET", b"/api/token/"))


@pytest.mark.parametrize(
    ("flags", "length"), [(wire.FINAL | wire.TEXT, 2**62), (wire.BINARY, 2**63 - 1), (wire.FINAL | wire.BINARY, 2**21)]
)
def test_a_frame_that_claims_to_be_huge_is_not_waited_for(site: Site, flags: int, length: int) -> None:
    with socket.create_connection(("127.0.0.1", site.port), wire.PATIENCE) as connection:
        listen(site, connection, site.authorization.partition(b" ")[2])
        wire.exchange(connection, [bytes([flags, wire.MASKED | 127]) + length.to_bytes(8, "big") + bytes(4)])
    site.check(site.ask(b"GET", b"/api/token/"))


FOUND: list[tuple[int, bytes, Sequence[Header]]] = [
    # Daphne expects ASCII there, and believed anybody where the platform is mounted.
    (404, b"/api/nothing/", [(b"Daphne-Root-Path", b"\xff")]),
    (404, b"/mount/api/health/", [(b"Daphne-Root-Path", b"/mount")]),
    (400, b"/ws/updates/all/", [*wire.UPGRADE, (b"Sec-WebSocket-Protocol", b"\xff")]),
    # Django logged a failure and answered a page.
    (400, b"/api/chargepoint/", [(b"Host", b"localhost,localhost")]),
    (405, b"/api/", []),
    (405, b"/api/file/a.log/", []),
]


@pytest.mark.parametrize(("status", "target", "headers"), FOUND)
def test_what_was_found_is_answered(site: Site, status: int, target: bytes, headers: Sequence[Header]) -> None:
    answer = site.ask(b"OPTIONS" if status == 405 else b"GET", target, headers)
    site.check(answer)
    assert answer.status == status
