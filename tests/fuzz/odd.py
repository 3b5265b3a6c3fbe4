"""What requests are made up of: strategies for hypothesis."""

import base64
import json
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from tests.fuzz import mutations, wire

MANY = 70_000

# Bytes that a line of a request may hold without ending it.
_inside = st.binary(max_size=12).map(lambda raw: raw.translate(None, b"\r\n"))

texts = st.one_of(
    st.sampled_from([each for each in mutations.ODD if isinstance(each, str)]),
    st.sampled_from(
        [
            "..",
            ".",
            "/",
            "\\",
            "a/../../etc/passwd",
            "..%2f",
            "-",
            "~",
            "*",
            "CON",
            "a\r\nb",
            "\udcff",
            "İ",
            "ﬀ",
            "a" * 5000,
        ]
    ),
    st.text(max_size=12),
)

# Parts of a path as they are sent: encoded as they should be, encoded twice or badly, or not at all.
segments = st.one_of(
    st.sampled_from(
        [
            b"", b".", b"..", b"%2e%2e", b"%2E%2e%2F", b"..%2f..%2f", b"%00", b"a%00b", b"%", b"%zz", b"%u0041", b"%c0%ae",
            b"%ff", b"%ed%a0%80", b"%e2%80%ae", b"%0d%0aX:%20y", b"%25%30%30", b"+", b";x=1", b"a;b", b"#", b"[", b"]", b"\\", b"..\\",
            b"~", b"*", b"x" * 300, b"%61" * 300, b"1e400", b"9" * 400, b"-1", b"\xff\xfe", b"\xc3\xa4", b"%C3%A4", b".hidden", b".uploads",
        ]
    ),
    texts.map(lambda text: quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="").encode()),
    _inside.map(lambda raw: raw.replace(b" ", b"_")),
)  # fmt: skip


@st.composite
def targets(
    draw: st.DrawFn, beginnings: st.SearchStrategy[bytes], queries: st.SearchStrategy[bytes] | None = None
) -> bytes:
    """Draw what is asked for, as it stands in the first line."""
    path = draw(beginnings) + b"/".join(draw(st.lists(segments, max_size=3)))
    if queries is not None and draw(st.booleans()):
        path += b"?" + draw(queries)
    return path or b"/"


methods = st.one_of(
    st.sampled_from(
        [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"MKCOL", b"MOVE", b"LOCK"]
    ),
    st.sampled_from([b"get", b"Post", b"NOTHING", b"X" * 300, b"GET-", b"G.E.T", b"\xff", b"G\x00T", b"!#$%&'*+", b"", b"{}", b"WS"]),
)  # fmt: skip

_values = st.one_of(
    st.sampled_from([b"", b" ", b",", b";", b"*", b"*/*", b"null", b"-1", b"9" * 400, b"\xff\xfe", b"x" * 5000, b'"', b"=", b"a\tb", b"\x7f"]),
    _inside,
)  # fmt: skip

_known = {
    b"Accept": [b"text/html", b"application/xml", b"*/*;q=x", b"application/json;q=0", b"a/b;" * 500, b"/", b"application/json; version=9"],
    b"Accept-Encoding": [b"gzip", b"br;q=2", b"identity;q=0", b"*;q=0"],
    b"Accept-Language": [b"de", b"xx-yy;q=9", b"*", b"zh-hant" * 90],
    b"Authorization": [b"Bearer", b"Bearer x", b"Bearer a.b.c", b"Bearer " + b"e" * 9000, b"Basic Og==", b"Basic \xff", b"Digest x", b"Token \xc3\xa4", b"Basic =", b"Basic " + b"A" * 9001],
    b"Content-Type": [b"text/plain", b"application/xml", b"multipart/form-data", b"multipart/form-data; boundary=", b"application/x-www-form-urlencoded", b"application/json; charset=utf-16", b"application/json; charset=nothing", b"/", b"application/json;;", b"multipart/form-data; boundary=\xff", b"multipart/mixed; boundary=" + b"x" * 300],
    b"Content-Encoding": [b"gzip", b"deflate", b"nothing"],
    b"Cookie": [b"sessionid=x", b"csrftoken=\xff", b"=;=;=", b"a=" + b"b" * 4000],
    b"Daphne-Root-Path": [b"/api", b"\xff", b"%00", b"/" * 99],
    b"Expect": [b"100-continue", b"200-ok"],
    b"Forwarded": [b"for=1.2.3.4", b"for=\xff"],
    b"Host": [b"localhost", b"example.com", b"localhost:99999", b"[::1", b"a b", b"\xff", b"", b"127.0.0.1:x", b".", b"localhost,localhost"],
    b"If-Match": [b"*", b'"x"', b'W/"x"', b'"'],
    b"If-None-Match": [b"*", b'"x", "y"', b"x" * 5000],
    b"If-Modified-Since": [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 01 Jan 0000 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:60 GMT", b"yesterday"],
    b"If-Unmodified-Since": [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 99 Jan 99999 00:00:00 GMT"],
    b"If-Range": [b'"x"', b"Thu, 01 Jan 1970 00:00:00 GMT", b"\xff"],
    b"Origin": [b"null", b"http://\xff", b"https://example.com"],
    b"Range": [b"bytes=0-", b"bytes=-1", b"bytes=5-2", b"bytes=0-0,2-2", b"bytes=" + b"9" * 400 + b"-", b"lines=1-2", b"bytes=-0", b"bytes=\xff"],
    b"Referer": [b"http://[", b"\xff"],
    b"Te": [b"trailers"],
    b"X-Forwarded-For": [b"1.2.3.4", b"::1, x", b"\xff", b"," * 500],
    b"X-Forwarded-Proto": [b"https", b"\xff"],
    b"X-Forwarded-Host": [b"example.com"],
    b"X-HTTP-Method-Override": [b"DELETE"],
    b"X-Request-ID": [b"abc", b"\xff", b"a b", b"x" * 300],
}  # fmt: skip

_handshake = {
    b"Connection": [b"upgrade", b"keep-alive, Upgrade", b"close", b"\xff"],
    b"Origin": [b"null", b"http://\xff", b"https://example.com", b"http://[", b"x"],
    b"Sec-WebSocket-Extensions": [b"permessage-deflate", b"permessage-deflate; server_max_window_bits=99", b"x; y=\xff", b";", b"," * 300],
    b"Sec-WebSocket-Key": [b"", b"short", b"\xff" * 24, b"A" * 300, b"AAAAAAAAAAAAAAAAAAAAAA=="],
    b"Sec-WebSocket-Protocol": [b"ocpp1.6", b",", b"\xff", b"%ff%00", b"a b", b"x" * 5000, b"a,a", b"\xc3\xa4", b"ocpp1.6,\x7f", b'"'],
    b"Sec-WebSocket-Version": [b"12", b"14", b"x", b"\xff", b"13, 8", b"-1", b"9" * 400],
    b"Upgrade": [b"h2c", b"WebSocket", b"websocket, x", b"\xff"],
}  # fmt: skip


def _told(known: dict[bytes, list[bytes]]) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """Draw a header that is known, with a value for it or with any."""
    named = st.sampled_from(sorted(known))
    return st.one_of(
        named.flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(known[name]))), st.tuples(named, _values)
    )


handshake_header = st.one_of(_told(_handshake), _told(_known))
handshake_headers = st.lists(handshake_header, max_size=3)
header = st.one_of(
    _told(_known),
    st.tuples(st.sampled_from([b"X", b"x_y", b"X Y", b"\xff", b"", b":", b"X" * 300]), _values),
)
headers = st.lists(header, max_size=3)

# JSON that is odd as such, whatever it says.
json_texts = st.sampled_from(
    [
        b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b"[" * MANY, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' * MANY,
        b"\xff", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":1,"a":2}',
        b'{"a":"\\ud800"}', b'{"\\ud800":1}', b'{"\\u0000":"\\u0000"}', b"{'a':1}", b'{"a":1,}', b"9" * 9000, b'{"a":' + b"9" * 9000 + b"}", b"{" , b'"', b"\x00",
        b'{"":1}', b'{"__proto__":{}}',
    ]
)  # fmt: skip

# Values of members that are odd each by itself.
values = st.sampled_from(mutations.ODD)

query_values = st.one_of(
    segments.map(lambda raw: raw.replace(b"#", b"")),
    st.sampled_from(
        [
            b"0", b"1", b"-1", b"1.0", b"1e3", b"2147483648", b"9223372036854775808", b"%D9%A1", b"true", b"TRUE", b"null", b"None", b",", b"-", b"--id", b"pk",
            b"0001-01-01T00:00:00%2B23:59", b"0000-01-01T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"2026-02-30T00:00:00Z", b"2026-01-01T00:00:60Z",
            b"2026-01-01T00:00:00%2B99:99", b"2026-01-01", b"2026-01-01T00:00", b"2026-W01-1", b"20260101T000000Z", b"-2026-01-01T00:00:00Z", b"2026-01-01T24:00:00Z",
            b"2026-01-01T00:00:00.123456789Z", b"Europe/Athens", b"a,b,a", b"chargepoint_id", b"-chargepoint_id,chargepoint_id", b"?", b"__class__",
        ]
    ),
)  # fmt: skip


def _part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()


# Tokens that nobody was given: JWTs with odd parts, and what is none.
tokens = st.one_of(
    st.builds(
        lambda header, claims, signature: f"{_part(header)}.{_part(claims)}.{signature}",
        st.one_of(
            values,
            st.fixed_dictionaries(
                {"alg": st.one_of(values, st.sampled_from(["HS256", "none", "NONE", "RS256", "ES256", "HS512"]))},
                optional={"typ": values, "kid": values, "crit": values, "b64": values, "jwk": values, "zip": values},
            ),
        ),
        st.one_of(
            values,
            st.dictionaries(st.sampled_from(["exp", "iat", "nbf", "aud", "iss", "sub", "jti", "user_id", "token_type", "hash_password"]), values),
        ),
        st.sampled_from(["", "x", "A" * 43, "=", "\xe4"]),
    ),
    texts,
    st.sampled_from(["..", "a.b", "a.b.c", "." * 900, "a.b.c.d.e", "x" * 9000]),
)  # fmt: skip

# Frames of a WebSocket that are whole, of any kind.
frames = st.one_of(
    st.builds(
        wire.frame,
        st.integers(0, 15),
        st.one_of(st.binary(max_size=130), st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80", b"{}", b"[" * MANY, b"\x00" * MANY, b"\x03\xe7", b"\xff"])),
        st.sampled_from([0, wire.FINAL, 0x40, 0x20, 0x10, 0xF0]),
    ),
    st.builds(wire.frame, st.sampled_from([wire.TEXT, wire.BINARY, wire.PING, wire.PONG]), st.binary(max_size=200)),
)  # fmt: skip
