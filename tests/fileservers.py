"""The file servers as real processes."""

import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filestore.folder import UPLOADS
from tests.e2e.launcher import BASE_DIR, free_ports, wait_until, without_settings

USERNAME, PASSWORD = "stations", "pässword of the tests"
START_TIMEOUT = STOP_TIMEOUT = 20.0
# The tests must not depend on how full the machine's disk is, nor wait for failed logins.
SETTINGS = {
    "OV2XMP_FTP_USERNAME": USERNAME,
    "OV2XMP_FTP_PASSWORD": PASSWORD,
    "OV2XMP_HTTP_USERNAME": USERNAME,
    "OV2XMP_HTTP_PASSWORD": PASSWORD,
    "OV2XMP_FILES_MIN_FREE": "0",
    "OV2XMP_FILES_LOGIN_DELAY": "0",
}


class FileServer:
    """One run of ``python -m <module>`` with a folder of its own."""

    def __init__(self, module: str, directory: Path, settings: dict[str, str], folder: Path | None = None) -> None:
        self.folder = folder or directory / "files"
        [self.port] = free_ports(1)
        self._output = directory / f"{module}-{self.port}.log"
        own = {
            "OV2XMP_FILES_DIR": str(self.folder),
            "OV2XMP_FTP_PORT": str(self.port),
            "OV2XMP_FILES_PORT": str(self.port),
        }
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=BASE_DIR,
                env=without_settings() | SETTINGS | own | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> None:
        wait_until(lambda: "Serving" in self.log() or self.process.poll() is not None, START_TIMEOUT, self.log)
        assert self.process.poll() is None, self.log()

    def wait_until_logged(self, text: str) -> None:
        wait_until(lambda: text in self.log(), START_TIMEOUT, self.log)

    def wait_until_ended(self) -> int:
        return self.process.wait(STOP_TIMEOUT)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait_until_ended()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def limit_file_size(self, size: int) -> None:
        """Let the system refuse every byte of a file beyond `size`, as a full disk does."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def files(self) -> dict[str, bytes]:
        """Return the content of each file by its path, without what has not got its name yet."""
        paths = {path.relative_to(self.folder): path for path in self.folder.rglob("*") if path.is_file()}
        return {name.as_posix(): path.read_bytes() for name, path in paths.items() if name.parts[0] != UPLOADS}

    def temporary_files(self) -> list[Path]:
        return list((self.folder / UPLOADS).iterdir())

    def empty(self) -> None:
        for path in self.folder.iterdir():
            if path.name != UPLOADS and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != UPLOADS:
                path.unlink()
        for path in self.temporary_files():
            path.unlink()

    def is_empty(self) -> bool:
        """Tell whether uploads have left nothing at all, no folder either."""
        return list(self.folder.rglob("*")) == [self.folder / UPLOADS]


def cut(connection: socket.socket) -> None:
    """End a connection as a lost link does: not in order."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def running(
    module: str, directory: Path, settings: dict[str, str] | None = None, folder: Path | None = None
) -> Iterator[FileServer]:
    server = FileServer(module, directory, settings or {}, folder)
    try:
        server.wait_until_ready()
        yield server
        assert server.process.poll() is not None or server.stop() == 0, server.log()
        assert "Traceback" not in server.log(), server.log()
        for secret in (PASSWORD, urllib.parse.quote(PASSWORD)):
            assert secret not in server.log()
    finally:
        server.kill()
