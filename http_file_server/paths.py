"""Paths of requests.

Files are at ``/<path>``. The same path behind ``/http/upload/`` and ``/http/files/``, which stations
are given, is the same file, so that the server needs no proxy that takes the prefix away.
"""

from urllib.parse import quote, unquote

from aiohttp import web

from filestore.names import resolve

PREFIXES = ("/http/upload", "/http/files")
DOWNLOADS = "/http/files/"


def segments(request: web.BaseRequest) -> tuple[list[str], bool]:
    """Return the names in a request's path, and whether it ends as a folder's does.

    A name may hold what the client has encoded, a slash too. Raises PathTooDeep.
    """
    path = request.rel_url.raw_path
    for prefix in PREFIXES:
        if path == prefix or path.startswith(f"{prefix}/"):
            path = path[len(prefix) :]
            break
    names = [unquote(name, errors="replace") for name in path.split("/")]
    return resolve(names), names[-1] in ("", ".", "..")


def download(path: str) -> str:
    """Return where a stored file can be fetched."""
    return DOWNLOADS + quote(path)
