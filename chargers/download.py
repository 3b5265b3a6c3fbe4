"""A stored file as a response, for REST and the admin."""

import asyncio
from collections.abc import AsyncIterator

from django.http import FileResponse, HttpRequest

from chargers import folder


class Download(FileResponse):
    """A file to be saved, sent block by block: Django itself would read all of it before it sends any under ASGI.

    It is sent after the request has given back its turn and its database connection. There are no
    ranges: stations, which resume, have the file servers.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.file_to_stream and (block := await asyncio.to_thread(self.file_to_stream.read, self.block_size)):
            yield block


def download(request: HttpRequest, path: str) -> Download:
    """Answer a request with a file. Raises UnknownFile: there is none."""
    response = Download(folder.open_file(path), as_attachment=True, filename=path.rpartition("/")[2])
    # Whatever a station has put into it, a browser must not run it.
    response["Content-Type"] = "application/octet-stream"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    if request.method == "HEAD":
        response.streaming_content = ()
    return response
