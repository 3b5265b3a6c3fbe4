"""The platform's processes one by one, so that any of them may die and come back."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests import daphne
from tests.e2e.launcher import BASE_DIR, free_ports, wait_until, without_settings
from tests.e2e.storage import PASSWORD

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0


def python(*arguments: str) -> Sequence[str]:
    """Return the command that runs a module."""
    return (sys.executable, "-m", *arguments)


def answers(page: str) -> bool:
    """Tell whether a server answers, whatever it says."""
    try:
        httpx.get(page, trust_env=False, verify=False)
    except httpx.HTTPError:
        return False
    return True


class Parts:
    """Web, csms and worker on one database and one redis, each started and ended by itself.

    The database has its tables already.
    """

    def __init__(self, data_dir: Path, **settings: str) -> None:
        web_port, csms_port = free_ports(2)
        self.web = f"http://127.0.0.1:{web_port}"
        self.live = f"ws://127.0.0.1:{web_port}/ws/updates"
        self.ocpp_http = f"http://127.0.0.1:{csms_port}"
        self.ocpp = f"ws://127.0.0.1:{csms_port}/ws/ocpp"
        self.environment = {
            **without_settings(),
            "OV2XMP_DATA_DIR": str(data_dir),
            "OV2XMP_WEB_PORT": str(web_port),
            "OV2XMP_CSMS_PORT": str(csms_port),
            **settings,
        }
        self.commands = {
            "web": python("daphne", *daphne.arguments(web_port)),
            "csms": python("csms"),
            "worker": python("celery", "--quiet", "-A", "ov2xmp", "worker", "--beat", "--concurrency", "1"),
        }
        # Where a process answers once it serves; a worker is not to be asked.
        self.pages = {"web": f"{self.web}/api/health/", "csms": f"{self.ocpp_http}/healthz"}
        # What a process is told besides what all are.
        self.settings_of: dict[str, dict[str, str]] = {}
        self.output = data_dir / "output.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start processes and wait until they serve."""
        for name in names:
            self.launch(name)
        for name in names:
            wait_until(lambda name=name: self.serves(name), START_TIMEOUT, self.text)  # type: ignore[misc]

    def launch(self, name: str) -> None:
        """Start a process without waiting for it."""
        with self.output.open("ab") as output:
            self.processes[name] = subprocess.Popen(
                self.commands[name],
                cwd=BASE_DIR,
                env=self.environment | self.settings_of.get(name, {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Celery's worker has children of its own.
                start_new_session=True,
            )

    def serves(self, name: str) -> bool:
        """Tell whether a process answers, whatever it says."""
        assert self.processes[name].poll() is None, f"{name} ended: {self.text()}"
        if name not in self.pages:
            return True
        return answers(self.pages[name])

    def kill(self, name: str) -> None:
        """End a process as a crash does, with all its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> int:
        """End a process in order; return its exit code."""
        self.processes[name].terminate()
        code = self.processes[name].wait(STOP_TIMEOUT)
        del self.processes[name]
        return code

    def kill_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def log_in(self) -> dict[str, str]:
        """Return the headers of a client that is the administrator."""
        credentials = {"username": "admin", "password": PASSWORD}
        answer = httpx.post(f"{self.web}/api/token/", json=credentials, trust_env=False, timeout=20)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access']}"}
