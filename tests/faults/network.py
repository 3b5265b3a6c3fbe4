"""The way between some stations and the csms, or the platform and its servers, which can go silent.

Nothing is reset, nothing arrives.

As root it is a network namespace of its own, whose neighbour's hardware address is forgotten and
replaced by a wrong one. Elsewhere a proxy in between passes nothing on.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.csms.proxy import Proxy

CLONE_NEWNET = 0x40000000
NOBODY = "02:00:00:00:00:01"


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def namespaces_work() -> bool:
    if os.getuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"ov2xmp-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode:
        return False
    ip("netns", "delete", name)
    return True


class Namespace:
    """Stations, or a server, behind a pair of virtual interfaces; those of one process have numbers from 0 to 3."""

    kind = "a network namespace"

    def __init__(self, number: int = 0) -> None:
        self.name = f"ov2xmp-{os.getpid()}-{number}"
        self.here, self.there = f"ovh{os.getpid()}n{number}", f"ovt{os.getpid()}n{number}"
        # A net of two of the range that is meant for tests of networks (RFC 2544), by the process's id.
        base = ((os.getpid() % 4096) * 4 + number) * 4
        self.host, self.far = (f"198.18.{base // 256}.{base % 256 + each}" for each in (1, 2))
        # Two faults at once may cut it; it heals with the end of the last.
        self.cuts = 0
        ip("netns", "add", self.name)
        ip("link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.name)
        ip("address", "add", f"{self.host}/30", "dev", self.here)
        ip("link", "set", self.here, "up")
        ip("-n", self.name, "address", "add", f"{self.far}/30", "dev", self.there)
        ip("-n", self.name, "link", "set", self.there, "up")
        ip("-n", self.name, "link", "set", "lo", "up")
        with self.entered():
            # What a process leaves that is killed while its network is silent is soon forgotten, as with its machine.
            Path("/proc/sys/net/ipv4/tcp_orphan_retries").write_text("1")

    async def open(self, url: str) -> tuple[str, socket.socket]:
        """Return the URL as seen from behind, and a socket that is connected to it."""
        port = urlsplit(url).port or 80
        sock = self._socket()
        try:
            async with asyncio.timeout(3):
                await asyncio.get_running_loop().sock_connect(sock, (self.host, port))
        except BaseException:
            sock.close()
            raise
        return url.replace("127.0.0.1", self.host), sock

    def _socket(self) -> socket.socket:
        """Make a socket that belongs to the namespace, wherever it is used."""
        with self.entered():
            made = socket.socket()
        made.setblocking(False)
        return made

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread be in the namespace, and what it makes: sockets, processes."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open() as here, Path(f"/run/netns/{self.name}").open() as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)

    def cut(self) -> None:
        self.cuts += 1
        ip("neigh", "replace", self.far, "lladdr", NOBODY, "nud", "permanent", "dev", self.here)
        ip("-n", self.name, "neigh", "replace", self.host, "lladdr", NOBODY, "nud", "permanent", "dev", self.there)

    def heal(self) -> None:
        self.cuts -= 1
        if self.cuts:
            return
        ip("neigh", "delete", self.far, "dev", self.here)
        ip("-n", self.name, "neigh", "delete", self.host, "dev", self.there)

    def close(self) -> None:
        ip("netns", "delete", self.name)


class Proxies:
    """Stations behind a proxy for each address they connect to."""

    kind = "a proxy"

    def __init__(self) -> None:
        self._proxies: dict[str, Proxy] = {}
        self._silent = False

    async def open(self, url: str) -> tuple[str, None]:
        parts = urlsplit(url)
        if parts.netloc not in self._proxies:
            proxy = self._proxies[parts.netloc] = Proxy(f"tcp://{parts.netloc}")
            await proxy.mend()
            if self._silent:
                proxy.hang()
        return url.replace(parts.netloc, f"127.0.0.1:{self._proxies[parts.netloc].port}"), None

    def cut(self) -> None:
        self._silent = True
        for proxy in self._proxies.values():
            proxy.hang()

    def heal(self) -> None:
        self._silent = False
        for proxy in self._proxies.values():
            proxy.mend_flow()

    def close(self) -> None:
        for proxy in self._proxies.values():
            proxy.cut()


Network = Namespace | Proxies


def make() -> Network:
    return Namespace() if namespaces_work() else Proxies()
