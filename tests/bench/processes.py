"""Child processes of a benchmark: started with a log, measured, and ended whatever happens."""

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from ov2xmp.supervisor import end_with_parent

ROOT = Path(__file__).resolve().parents[2]
# Seconds.
START_TIMEOUT = 60
STOP_TIMEOUT = 20
PROBE_INTERVAL = 0.1


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


class Process:
    """A running child, in a session of its own so that a Ctrl-C reaches the benchmark alone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        talks: bool = False,
    ) -> None:
        """Start `command`; with `talks` its standard input and output are pipes, else the log has its output."""
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                text=True,
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self._family()]
        return sum(each.user + each.system for each in times)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return sum(process.memory_info().rss for process in self._family())

    def check(self) -> None:
        """Raise `BenchError` if the process has ended."""
        if (code := self.popen.poll()) is not None:
            raise BenchError(f"{self.name} ended with exit code {code}:\n{self.tail()}")

    def finish(self, timeout: float) -> None:
        """Wait for the end; raise `BenchError` if it takes more than `timeout` s or fails."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired as expired:
            raise BenchError(f"{self.name} takes more than {timeout:.0f} s:\n{self.tail()}") from expired
        if code != 0:
            self.check()

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the process, by force if it takes too long."""
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_TIMEOUT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, *, talks: bool = False
) -> Iterator[Process]:
    """Run a process for the time of the context."""
    process = Process(name, command, log, env, talks=talks)
    try:
        yield process
    finally:
        process.stop()


def wait_until(ready: Callable[[], bool], process: Process) -> None:
    """Wait until `ready` says so; raise `BenchError` if the process ends or it takes too long."""
    deadline = time.monotonic() + START_TIMEOUT
    while not ready():
        process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{process.name} does not serve after {START_TIMEOUT} s:\n{process.tail()}")
        time.sleep(PROBE_INTERVAL)


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def raise_file_limit(files: int) -> int:
    """Let this process and its children open `files`, or as many as the system allows; return how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < files:
        # Only root may.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            return files
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
