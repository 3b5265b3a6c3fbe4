"""A stand-in for Logstash: a real TCP listener that parses what comes, as its json_lines codec does."""

import json
import queue
import socket
import threading
from contextlib import suppress
from typing import Any

TIMEOUT = 15.0  # seconds


class Listener:
    """Collects the JSON objects that come, one a line; a context manager.

    Until `reading` is set it accepts connections and reads nothing from them.
    """

    def __init__(self, port: int = 0, *, reading: bool = True) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        # What came at the end of a connection and was no whole line.
        self.torn: queue.Queue[bytes] = queue.Queue()
        self.accepted = threading.Semaphore(0)
        self.reading = threading.Event()
        if reading:
            self.reading.set()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._read, args=(connection,), daemon=True))
                self._threads[-1].start()
                self.accepted.release()

    def _read(self, connection: socket.socket) -> None:
        self.reading.wait()
        rest = b""
        with suppress(OSError):
            while received := connection.recv(65536):
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    self.lines.put(json.loads(line))
        if rest:
            self.torn.put(rest)

    def next(self) -> dict[str, Any]:
        """Wait for the next line."""
        return self.lines.get(timeout=TIMEOUT)

    def hang_up(self) -> None:
        """Close the connections in order, as a Logstash does that is stopped."""
        while self._connections:
            connection = self._connections.pop()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() keeps the socket open until it is shut down.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.reading.set()
        self.hang_up()
        for thread in self._threads:
            thread.join(TIMEOUT)
