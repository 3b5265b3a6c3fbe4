"""Servers that stand in for what is not ours: they tell what they were asked."""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# In the answers of a stand-in only.
STAND_IN = "X-Stand-In"
A_RECORD = 1
ANSWER = 0x8180
HEADER = struct.Struct("!6H")


class Echo(BaseHTTPRequestHandler):
    """Answers with the request: method, path and headers, each header with all its values."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        body = json.dumps({"method": self.command, "path": self.path, "headers": headers}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(STAND_IN, "1")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def echo() -> Iterator[str]:
    """Run a server that answers with what it was asked; yield its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def name_server(addresses: Sequence[str]) -> Iterator[str]:
    """Answer every name with the IPv4 addresses that `addresses` holds at that moment; yield host and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_answer_names, args=(server, addresses))
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            # An empty datagram ends it.
            server.sendto(b"", server.getsockname())
            thread.join()


def _answer_names(server: socket.socket, addresses: Sequence[str]) -> None:
    """Answer queries as RFC 1035 section 4.1 has them; other kinds of records there are none."""
    while True:
        query, client = server.recvfrom(512)
        if not query:
            return
        (number, *_), end = HEADER.unpack_from(query), query.index(b"\0", HEADER.size) + 5
        question = query[HEADER.size : end]
        found = list(addresses) if struct.unpack("!H", question[-4:-2])[0] == A_RECORD else []
        records = [struct.pack("!HHHIH", 0xC00C, A_RECORD, 1, 0, 4) + socket.inet_aton(each) for each in found]
        server.sendto(HEADER.pack(number, ANSWER, 1, len(found), 0, 0) + question + b"".join(records), client)
