"""Downloads with ranges, and what is in a folder."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from filestore.folder import Folder
from http_file_server.errors import Problem

# What a browser must not do with a file that anybody has uploaded: show it as a page of this server.
HEADERS = {"X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes"}


class Download(web.FileResponse):
    """A file as it is: aiohttp would send another one, with .gz behind its name, to a client that takes gzip."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        # Nor could aiohttp copy what is no UTF-8, by which nobody asks for a part of a file.
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() != "accept-encoding" and value.isascii()
        )
        try:
            return await super().prepare(request.clone(headers=headers))
        except TimeoutError as error:
            # The client has read nothing for too long (TCP_USER_TIMEOUT); aiohttp knows this kind of end.
            raise ConnectionResetError("the client does not read") from error


def send(request: web.BaseRequest, path: Path) -> Download:
    """Return the answer with a file, or with the part of it that is asked for.

    Raises Problem: 416 for a part that is not there.
    """
    size = path.stat().st_size
    if "If-Range" not in request.headers and not _range_fits(request, size):
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "range_not_satisfiable", f"The file has {size} bytes.", headers)
    disposition = f"attachment; filename*=UTF-8''{quote(path.name)}"
    return Download(path, headers={**HEADERS, "Content-Disposition": disposition})


def _range_fits(request: web.BaseRequest, size: int) -> bool:
    try:
        start = request.http_range.start
    except ValueError:
        return False
    return start is None or start < size


def listing(folder: Folder, path: Path) -> dict[str, Any]:
    """Return what is in a folder, by name; times are UTC, sizes bytes."""
    with os.scandir(path) as entries:
        shown = sorted((entry for entry in entries if folder.shows([entry.name])), key=lambda entry: entry.name)
        return {"path": folder.tell(path).removeprefix("."), "entries": [each for each in map(_entry, shown) if each]}


def _entry(entry: os.DirEntry[str]) -> dict[str, Any] | None:
    try:
        stat = entry.stat()
        modified = datetime.fromtimestamp(int(stat.st_mtime), UTC).isoformat().replace("+00:00", "Z")
        if entry.is_dir():
            return {"name": entry.name, "type": "folder", "modified": modified}
        return {"name": entry.name, "type": "file", "size": stat.st_size, "modified": modified}
    except OSError:
        # Deleted meanwhile, or a link that leads nowhere.
        return None
