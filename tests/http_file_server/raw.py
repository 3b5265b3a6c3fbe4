"""Requests byte by byte."""

import base64
import socket

from tests.fileservers import PASSWORD, USERNAME, FileServer

AUTHORIZATION = f"Authorization: Basic {base64.b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"


def open_request(server: FileServer, line: str, *headers: str, body: bytes = b"") -> socket.socket:
    """Send a request, whole or not; return the connection."""
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: files.example", *headers, "", ""])
    connection.sendall(head.encode() + body)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection, and close it here too."""
    with connection, connection.makefile("rb") as file:
        return file.read()
