"""How a station sends a log and fetches firmware: FTP, FTPS with AUTH TLS, HTTP and HTTPS."""

import asyncio
import contextlib
import ftplib
import io
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import httpx


class TransferFailed(Exception):
    """The file did not come through; the text says why, without the password."""


class NotAllowed(TransferFailed):
    """The server refuses the account."""


class NotSupported(TransferFailed):
    """The station does not know the protocol."""


@dataclass(frozen=True)
class Transfer:
    """A station's means. Waits take `timeout` seconds at most.

    `tls` says whom it trusts; whoever the system trusts, without it. `multipart` sends a log over
    HTTP as a form that is posted, where it else is put.
    """

    timeout: float = 10
    tls: ssl.SSLContext | None = None
    multipart: bool = False

    async def upload(self, location: str, name: str, content: bytes) -> None:
        """Send a file into the folder that a URL names. Raises TransferFailed."""
        url = f"{location.rstrip('/')}/{quote(name)}"
        if _is_ftp(url):
            await asyncio.to_thread(self._store, urlsplit(url), content)
        elif self.multipart:
            await self._request("POST", location, files={"file": (name, content)})
        else:
            await self._request("PUT", url, content=content)

    async def download(self, location: str) -> bytes:
        """Fetch the file that a URL names. Raises TransferFailed."""
        if _is_ftp(location):
            return await asyncio.to_thread(self._retrieve, urlsplit(location))
        return (await self._request("GET", location)).content

    def _store(self, url: SplitResult, content: bytes) -> None:
        with self._ftp(url) as ftp:
            ftp.storbinary(f"STOR {_path(url)}", io.BytesIO(content))

    def _retrieve(self, url: SplitResult) -> bytes:
        content = io.BytesIO()
        with self._ftp(url) as ftp:
            ftp.retrbinary(f"RETR {_path(url)}", content.write)
        return content.getvalue()

    @contextlib.contextmanager
    def _ftp(self, url: SplitResult) -> Iterator[ftplib.FTP]:
        secure = url.scheme == "ftps"
        client = ftplib.FTP_TLS(context=self.tls, timeout=self.timeout) if secure else ftplib.FTP(timeout=self.timeout)
        try:
            with client as ftp:
                ftp.connect(url.hostname or "", url.port or ftplib.FTP_PORT)
                ftp.login(unquote(url.username or ""), unquote(url.password or ""))
                if isinstance(ftp, ftplib.FTP_TLS):
                    ftp.prot_p()
                yield ftp
        except (ftplib.Error, OSError, EOFError) as error:
            kind = NotAllowed if str(error).startswith("530") else TransferFailed
            raise kind(f"{url.scheme}: {error}") from error

    async def _request(self, method: str, url: str, **body: Any) -> httpx.Response:
        try:
            verify = self.tls or True
            async with httpx.AsyncClient(verify=verify, timeout=self.timeout, trust_env=False) as client:
                answer = await client.request(method, url, **body)
        except httpx.HTTPError as error:
            raise TransferFailed(f"{urlsplit(url).scheme}: {error}") from error
        if not answer.is_success:
            kind = NotAllowed if answer.status_code in (401, 403) else TransferFailed
            raise kind(f"{answer.url.scheme}: {answer.status_code} {answer.reason_phrase}")
        return answer


def _is_ftp(url: str) -> bool:
    scheme = urlsplit(url).scheme
    if scheme not in ("ftp", "ftps", "http", "https"):
        raise NotSupported(f"no protocol of this station: {scheme}")
    return scheme.startswith("ftp")


def _path(url: SplitResult) -> str:
    """Return the path below the folder in which the server puts who logs in (RFC 1738 section 3.2.2)."""
    return unquote(url.path).removeprefix("/")
