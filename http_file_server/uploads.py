"""Uploads: multipart forms, and bodies that are the file itself."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from aiohttp import BodyPartReader, MultipartReader, content_disposition_filename, parse_content_disposition, web
from aiohttp.http_exceptions import HttpProcessingError

from filestore.folder import Folder, Upload
from filestore.names import has_extension, safe_name, unique
from http_file_server.errors import Problem

FORM = "multipart/form-data"
# Bytes that are gathered for one write to the disk, and parts that a form may have.
CHUNK = 256 * 1024
MAX_PARTS = 100
# What a body without end, an unknown encoding, a broken boundary or broken headers make of the reading.
UNREADABLE = (ValueError, LookupError, RuntimeError, web.RequestPayloadError, HttpProcessingError)

Result = TypeVar("Result")


class Receiver:
    """Takes uploads into a folder, from clients that may be silent for `timeout` seconds."""

    def __init__(self, folder: Folder, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout

    def check(self, request: web.BaseRequest) -> None:
        """Check what a request says before its body comes.

        Raises TooLarge, NoSpace.
        """
        self._folder.check_size(request.content_length or 0)

    async def receive(self, request: web.BaseRequest, path: list[str], is_folder: bool) -> list[tuple[str, int]]:
        """Store what a request brings; return the paths and sizes of the files, which get them once all are whole.

        Raises FileError, and Problem: 400 for a body that cannot be read, 408 for one that stops.
        """
        uploads: list[Upload] = []
        try:
            if request.content_type == FORM:
                await self._receive_form(request, path, is_folder, uploads)
            else:
                await self._receive_body(request, self._place(request, path, is_folder), uploads)
            # The client may be gone with an upload whole; it will not know, and send it again.
            return [(await in_thread(upload.commit), upload.size) for upload in uploads]
        except TimeoutError as error:
            raise Problem(408, "timeout", f"Nothing came for {self._timeout:g} seconds.") from error
        except ConnectionError as error:
            # Nobody reads this, but the log tells it.
            raise Problem(400, "disconnected", "The client has gone.") from error
        except UNREADABLE as error:
            raise Problem(400, "invalid", f"The body cannot be read: {error}") from error
        finally:
            for upload in uploads:
                await in_thread(upload.discard)

    async def _receive_body(self, request: web.BaseRequest, path: list[str], uploads: list[Upload]) -> None:
        await self._begin(path, uploads)
        async with _writing(uploads[-1]) as write:
            while data := await self._wait(request.content.readany()):
                await write(data)

    async def _receive_form(
        self, request: web.BaseRequest, path: list[str], is_folder: bool, uploads: list[Upload]
    ) -> None:
        reader = await request.multipart()
        for _ in range(MAX_PARTS):
            part = await self._wait(reader.next())
            if part is None:
                break
            if isinstance(part, BodyPartReader) and part.filename is not None:
                place = _in_form(path, is_folder, part.filename)
                await self._begin(place, uploads)
                async with _writing(uploads[-1]) as write:
                    while data := await self._wait(part.read_chunk(CHUNK)):
                        async for decoded in _decoded(part, data):
                            await write(decoded)
            elif isinstance(part, MultipartReader | BodyPartReader):
                await self._wait(part.release())
        else:
            raise Problem(400, "invalid", f"A form may have {MAX_PARTS} parts at most.")
        if not uploads:
            raise Problem(400, "invalid", "The form has no file: a part with a filename.")

    async def _begin(self, path: list[str], uploads: list[Upload]) -> None:
        """Begin an upload; it is in `uploads` even where the request is cancelled meanwhile."""
        await in_thread(lambda: uploads.append(self._folder.begin(path)))

    async def _wait(self, reading: Awaitable[Result]) -> Result:
        async with asyncio.timeout(self._timeout):
            return await reading

    def _place(self, request: web.BaseRequest, path: list[str], is_folder: bool) -> list[str]:
        """Say where a body goes that is the file itself: to the path, or into the folder that it names."""
        name = _told_name(request)
        if not is_folder and path and not self._folder.has_folder(path) and (name is None or has_extension(path[-1])):
            return path
        return [*path, name or _generated_name(request)]


def _in_form(path: list[str], is_folder: bool, name: str) -> list[str]:
    """Say where a file of a form goes. A path is its folder, unless it looks like a file's."""
    if not is_folder and path and has_extension(path[-1]):
        return path
    return [*path, safe_name(name)]


def _told_name(request: web.BaseRequest) -> str | None:
    """Return the file name in the Content-Disposition header (RFC 6266)."""
    disposition, parameters = parse_content_disposition(request.headers.get("Content-Disposition"))
    return (content_disposition_filename(parameters) or None) if disposition else None


def _generated_name(request: web.BaseRequest) -> str:
    extension = mimetypes.guess_extension(request.content_type) or ".bin"
    return unique(f"upload-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{extension}")


async def _decoded(part: BodyPartReader, data: bytes) -> AsyncIterator[bytes]:
    """Undo base64 and the like (RFC 2045), which RFC 7578 takes from forms and some clients do not."""
    if "Content-Transfer-Encoding" not in part.headers:
        yield data
    else:
        async for decoded in part.decode_iter(data):
            yield bytes(decoded)


@asynccontextmanager
async def _writing(upload: Upload) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Gather what is written into chunks; the rest is written at the end."""
    gathered = bytearray()

    async def write(data: bytes) -> None:
        gathered.extend(data)
        if len(gathered) >= CHUNK:
            await flush()

    async def flush() -> None:
        data = bytes(gathered)
        gathered.clear()
        await in_thread(partial(upload.write, data))

    yield write
    await flush()


async def in_thread(action: Callable[[], Result]) -> Result:
    """Run what may wait for the disk; a cancelled request waits too, as the file must not be closed meanwhile."""
    # No task: the end of the event loop cancels those, while their threads go on.
    running = asyncio.get_running_loop().run_in_executor(None, action)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
