"""Keep from Daphne what it would fail at: the client would be answered with 500, and the log filled with stack traces."""

from typing import Any

from daphne import http_protocol
from daphne.http_protocol import WebRequest

# Daphne takes it from everybody: where the platform is mounted is for nobody to say.
ROOT_PATH = b"daphne-root-path"
# Of these Daphne expects ASCII.
PLAIN = (b"sec-websocket-protocol",)


class Request(WebRequest):
    """A request that has been looked at."""

    def process(self) -> Any:
        self.requestHeaders.removeHeader(ROOT_PATH)
        if all(value.isascii() for name in PLAIN for value in self.requestHeaders.getRawHeaders(name, [])):
            return super().process()
        return self.basic_error(400, b"Bad Request", "Invalid header value")


def install() -> None:
    """Have Daphne read requests in this way from now on."""
    http_protocol.WebRequest = Request  # type: ignore[misc]
