"""Services that wait until a test lets them go on."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chargers.changes import Changes
from csms.intake import Service
from csms.versions.v16 import VERSION

TIMEOUT = 10


class Gate:
    """Stands before a service: whoever comes waits for `open`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._entered = threading.Event()
        self._opened = threading.Event()
        self.batches: list[Sequence[Any]] = []
        # What a service is known by in logs.
        self.__name__ = "gate"

    def __call__(self, values: Sequence[Any], changes: Changes) -> Sequence[Any]:
        self.batches.append(values)
        self._entered.set()
        assert self._opened.wait(TIMEOUT), "nobody opened the gate"
        return self._service(values, changes)

    async def entered(self) -> None:
        """Wait until somebody has come."""
        assert await asyncio.to_thread(self._entered.wait, TIMEOUT)

    def open(self) -> None:
        self._opened.set()


def put_before(action: str, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Put a gate before the service that an OCPP 1.6 action ends in."""
    handler = VERSION.handlers[action]
    assert handler.service is not None
    gate = Gate(handler.service)
    monkeypatch.setitem(VERSION.handlers, action, replace(handler, service=gate))  # type: ignore[arg-type]
    return gate
