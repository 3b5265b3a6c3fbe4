"""Child processes that live and end together."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent() -> Callable[[], object] | None:
    """Return what a child runs first so that Linux ends it when its parent is killed; other systems cannot."""
    if sys.platform != "linux":
        return None
    # Loaded here, since a fork should do as little as it can.
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Processes started in sessions of their own, so that a Ctrl-C reaches their parent alone."""

    def __init__(self, *, directory: Path, stop_timeout: float) -> None:
        self.directory = directory
        self.stop_timeout = stop_timeout
        self.processes: dict[str, Process] = {}
        self._ends: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process whose output goes where ours goes.

        Raises OSError: the command cannot be run.
        """
        self.processes[name] = await asyncio.create_subprocess_exec(
            *command, cwd=self.directory, stdin=DEVNULL, start_new_session=True, preexec_fn=end_with_parent()
        )
        watcher = asyncio.create_task(self._watch(name))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, name: str) -> None:
        await self._ends.put((name, await self.processes[name].wait()))

    async def first_end(self) -> tuple[str, int]:
        """Wait until any process ends; return its name and exit code."""
        return await self._ends.get()

    async def stop(self, *names: str) -> None:
        """End those of the named processes that were started, all at the same time."""
        await asyncio.gather(*(self._stop(self.processes[name]) for name in names if name in self.processes))

    async def _stop(self, process: Process) -> None:
        """Ask a process to end, then kill what is left of it and of its own children."""
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            await asyncio.wait_for(process.wait(), self.stop_timeout)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
