"""The HTTP file server."""

import asyncio
import contextlib
import json
import logging
import signal
import socket
from functools import partial
from typing import Any

from aiohttp import web

from filestore.environment import SettingError
from filestore.errors import FileError
from filestore.folder import Folder
from http_file_server import downloads, errors, paths
from http_file_server.access import Access
from http_file_server.errors import Problem
from http_file_server.settings import Settings
from http_file_server.uploads import Receiver, in_thread

logger = logging.getLogger(__name__)

HEALTH, AUTH = "/healthz", "/auth"
READING, WRITING = ("GET", "HEAD"), ("POST", "PUT")
SWEEP_INTERVAL = 300
# Seconds that an upload which was refused may go on, so that its client reads why.
LINGERING_TIME = 2


class Files:
    """Answers requests."""

    def __init__(self, settings: Settings, folder: Folder) -> None:
        self._folder = folder
        self._access = Access(settings)
        self._receiver = Receiver(folder, settings.timeout)
        self._running = 0
        self._idle = asyncio.Event()
        self._draining = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._running += 1
        try:
            response = await self._serve(request)
        except Problem as problem:
            response = errors.response(problem)
        except FileError as error:
            response = errors.response(errors.of_file(error))
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
        # Else aiohttp tells its version and Python's.
        response.headers["Server"] = "O-V2X-MP"
        if self._draining or not request.content.at_eof():
            # Where the next request begins cannot be told before the rest of this one has come, which may be never.
            response.force_close()
        if request.path != HEALTH:
            # Encoded, so that a path may not write a line of its own.
            path = request.rel_url.raw_path
            logger.info("%s %s from %s: %d", request.method, path, self._access.address(request), response.status)
        return response

    async def drain(self) -> None:
        """Wait until running requests have ended; every connection ends with its request from now on."""
        self._draining = True
        if self._running:
            self._idle.clear()
            await self._idle.wait()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method in READING and request.path == HEALTH:
            return await self._health()
        await self._access.check(request)
        if request.method in READING and request.path == AUTH:
            return web.Response(status=204)
        if request.method in READING:
            return await self._read(request)
        if request.method in WRITING:
            return await self._write(request)
        headers = {"Allow": ", ".join((*READING, *WRITING))}
        raise Problem(405, "method_not_allowed", f"{request.method} is not for files.", headers)

    async def _health(self) -> web.Response:
        """Tell whether an upload could be stored."""
        try:
            await in_thread(self._folder.prepare)
            await in_thread(partial(self._folder.check_size, 0))
        except OSError as error:
            raise Problem(503, "unavailable", f"The folder of files cannot be written to: {error.strerror}") from error
        except FileError as error:
            raise Problem(503, "unavailable", str(error)) from error
        return web.json_response({"status": "ok"})

    async def _read(self, request: web.BaseRequest) -> web.StreamResponse:
        names, _ = paths.segments(request)
        path = self._folder.locate(names)
        if path.is_dir():
            return web.json_response(await in_thread(partial(downloads.listing, self._folder, path)))
        return downloads.send(request, path)

    async def _write(self, request: web.BaseRequest) -> web.StreamResponse:
        names, is_folder = paths.segments(request)
        await in_thread(partial(self._receiver.check, request))
        await _invite_body(request)
        stored = await self._receiver.receive(request, names, is_folder)
        return web.json_response(
            {"files": [{"path": path, "size": size, "url": paths.download(path)} for path, size in stored]},
            status=201,
            headers={"Location": paths.download(stored[0][0])},
        )


async def _invite_body(request: web.BaseRequest) -> None:
    """Ask for the body of a client that waits to be asked (RFC 9110, section 10.1.1).

    Raises Problem: the client expects something else.
    """
    expected = request.headers.get("Expect", "")
    if expected.lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    elif expected:
        raise Problem(417, "expectation_failed", "Nothing but 100-continue can be expected.")


class Connection(web.RequestHandler):
    """A connection: what aiohttp refuses is told in JSON too, and a client that does not read is left."""

    def __init__(self, *arguments: Any, send_timeout: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._send_timeout = send_timeout

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._send_timeout * 1000))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500:
            logger.info("Request from %s that is no HTTP: %s", request.remote, message)
            response = errors.response(Problem(status, "invalid", "This is no request of HTTP."))
        else:
            logger.error("Request from %s failed", request.remote, exc_info=exc)
            response = errors.response(Problem(500, "error", "The server failed."))
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer has been sent already")
        response.force_close()
        return response


class Refusal(asyncio.Protocol):
    """What a client gets that is one too many."""

    BODY = json.dumps({"code": "unavailable", "message": "There are too many connections."}).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 10\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(self.BODY), self.BODY)
        )
        transport.close()


class Server(web.Server):
    """Makes a connection of each client, up to a limit."""

    def __init__(self, files: Files, settings: Settings) -> None:
        super().__init__(files.handle)
        self._settings = settings

    def __call__(self) -> Any:
        if len(self.connections) >= self._settings.max_connections:
            return Refusal()
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            send_timeout=self._settings.timeout,
            keepalive_timeout=self._settings.timeout,
            lingering_time=min(LINGERING_TIME, self._settings.timeout),
            access_log=None,
            # What a client compressed stays as it is: mostly it says so of an archive that it has as a file.
            auto_decompress=False,
        )


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let requests end for a while.

    Raises SettingError: it cannot listen, or its folder cannot be written to.
    """
    folder = settings.files.open("http")
    files = Files(settings, folder)
    runner = web.ServerRunner(Server(files, settings), shutdown_timeout=settings.drain_timeout)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sweeper = asyncio.create_task(_sweep(folder))
    try:
        site = web.TCPSite(runner, settings.bind, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise SettingError(
                f"OV2XMP_FILES_PORT: cannot listen on {settings.bind} port {settings.port}: {error.strerror}"
            ) from error
        logger.info("Serving %s on %s port %d", settings.files.directory, settings.bind, settings.port)
        await stop.wait()
        await site.stop()
        # aiohttp's own end would not read the rest of an upload.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.drain_timeout):
                await files.drain()
    finally:
        sweeper.cancel()
        await runner.cleanup()
    logger.info("Ended.")


async def _sweep(folder: Folder) -> None:
    """Delete, again and again, what uploads have left whose server was killed."""
    while True:
        try:
            if swept := await in_thread(folder.sweep):
                logger.info("Interrupted uploads swept away: %d", swept)
        except OSError:
            logger.exception("Interrupted uploads cannot be swept away")
        await asyncio.sleep(SWEEP_INTERVAL)
