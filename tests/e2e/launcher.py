"""Start and stop the real platform, as ``make run`` does."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import httpx
import psutil

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LAUNCHER = ("-m", "ov2xmp.embedded")
START_TIMEOUT = 90.0
STOP_TIMEOUT = 40.0
POLL_INTERVAL = 0.05


def wait_until(
    condition: Callable[[], bool], timeout: float, what: Callable[[], str], interval: float = POLL_INTERVAL
) -> None:
    """Wait for a condition; fail with `what` says when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} seconds: {what()}"
        time.sleep(interval)


def settled(measure: Callable[[], int], timeout: float = 10.0) -> int:
    """Wait until a number that grows from 0 grows no more; return it."""
    before = 0

    def no_longer_grows() -> bool:
        nonlocal before
        before, last = measure(), before
        return before == last != 0

    wait_until(no_longer_grows, timeout, lambda: f"{before} and growing", interval=0.2)
    return before


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def without_settings() -> dict[str, str]:
    """Return the environment but for what the tests run with, which the platform does not."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OV2XMP_") and name not in ("PYTHONASYNCIODEBUG", "PYTHONWARNINGS")
    }


def closed(url: str) -> bool:
    """Tell whether nothing listens at `url`."""
    target = httpx.URL(url)
    with socket.socket() as client:
        return client.connect_ex((target.host, target.port or 80)) != 0


def running(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still do something; one that only waits to be reaped does not."""
    return [process for process in processes if status(process) not in ("ended", psutil.STATUS_ZOMBIE)]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return "ended"


class Platform:
    """One run of the launcher with a data directory and ports of its own."""

    def __init__(self, data_dir: Path, environment: dict[str, str], command: Sequence[str] = LAUNCHER) -> None:
        self.data_dir = data_dir
        web_port, csms_port, tls_port, ftp_port, files_port = free_ports(5)
        settings = {
            "OV2XMP_DATA_DIR": str(data_dir),
            "OV2XMP_WEB_PORT": str(web_port),
            "OV2XMP_CSMS_PORT": str(csms_port),
            "OV2XMP_CSMS_TLS_PORT": str(tls_port),
            "OV2XMP_FTP_PORT": str(ftp_port),
            "OV2XMP_FILES_PORT": str(files_port),
            **environment,
        }
        self.web = f"http://127.0.0.1:{settings['OV2XMP_WEB_PORT']}"
        self.live = f"ws://127.0.0.1:{settings['OV2XMP_WEB_PORT']}/ws/updates"
        self.ocpp_http = f"http://127.0.0.1:{settings['OV2XMP_CSMS_PORT']}"
        self.ocpp = f"ws://127.0.0.1:{settings['OV2XMP_CSMS_PORT']}/ws/ocpp"
        # Only where the environment names a certificate.
        self.ocpp_tls = f"wss://127.0.0.1:{settings['OV2XMP_CSMS_TLS_PORT']}/ws/ocpp"
        self.ftp_port = int(settings["OV2XMP_FTP_PORT"])
        self.files_http = f"http://127.0.0.1:{settings['OV2XMP_FILES_PORT']}"
        self.output = data_dir.with_name(f"{data_dir.name}-{web_port}.log")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=BASE_DIR,
                env=without_settings() | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        """Return what the launcher and its processes wrote so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> None:
        wait_until(lambda: "is running" in self.text() or self.process.poll() is not None, START_TIMEOUT, self.text)
        assert self.process.poll() is None, self.text()

    def processes(self) -> list[psutil.Process]:
        """Return the launcher's children, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, words: str) -> psutil.Process:
        """Return the first child whose command line contains `words`."""
        return next(process for process in self.processes() if words in command_line(process))

    def has(self, words: str) -> bool:
        """Tell whether there is such a child."""
        return any(words in command_line(process) for process in self.processes())

    def wait_until_ended(self) -> int:
        """Wait for the launcher's end; return its exit code."""
        try:
            return self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the launcher does not end: {self.text()}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop everything; return the launcher's exit code once nothing is left, and nothing was told of a failure."""
        if "client" in self.__dict__:
            self.client.close()
        processes = self.processes() if self.process.poll() is None else []
        self.process.send_signal(number)
        code = self.wait_until_ended()
        assert not running(processes), f"left running: {running(processes)}\n{self.text()}"
        addresses = (self.web, self.ocpp_http, self.files_http, f"ftp://127.0.0.1:{self.ftp_port}")
        assert all(map(closed, addresses))
        assert "Traceback" not in self.text()
        return code

    def kill(self) -> None:
        """End whatever a failed test left."""
        for process in self.processes() if self.process.poll() is None else []:
            process.kill()
        self.process.kill()
        self.process.wait()

    @property
    def admin_password(self) -> str:
        return (self.data_dir / "admin-password").read_text(encoding="utf-8").strip()

    @cached_property
    def client(self) -> httpx.Client:
        """A client of the REST API, logged in as the administrator."""
        return self.log_in("admin", self.admin_password)

    def log_in(self, username: str, password: str) -> httpx.Client:
        """Return a client of the REST API for a user; close it."""
        answer = httpx.post(
            f"{self.web}/api/token/", json={"username": username, "password": password}, trust_env=False
        )
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access']}"}
        return httpx.Client(base_url=self.web, headers=headers, timeout=40, trust_env=False)


@contextmanager
def shared_platform(data_dir: Path, environment: dict[str, str]) -> Iterator[Platform]:
    """Run a platform that several tests share; stopping it by SIGTERM leaves no process."""
    platform = Platform(data_dir, environment)
    try:
        platform.wait_until_ready()
        yield platform
        assert platform.stop() == 0, platform.text()
    finally:
        platform.kill()
