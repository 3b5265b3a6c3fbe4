"""The server to compare with: the `ocpp` package over `websockets`, answering everything and storing nothing.

It is what one gets by following the package's documentation: its own validation, no event loop but
asyncio's, the compression that `websockets` offers by default (the load generator asks for none).
Logging stays unconfigured, which spares it the cost of a line per message.
"""

import argparse
import asyncio
import contextlib
import itertools
import signal
from datetime import UTC, datetime
from typing import Any

import uvloop
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve

transaction_ids = itertools.count(1)


def now() -> str:
    return datetime.now(UTC).isoformat()


def accepted() -> IdTagInfo:
    return IdTagInfo(status=AuthorizationStatus.accepted)


class BareChargePoint(ChargePoint16):
    """Answers what stations send in a charging session."""

    @on(Action.boot_notification)
    def on_boot_notification(self, **_: Any) -> call_result.BootNotification:
        return call_result.BootNotification(current_time=now(), interval=300, status=RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> call_result.Heartbeat:
        return call_result.Heartbeat(current_time=now())

    @on(Action.status_notification)
    def on_status_notification(self, **_: Any) -> call_result.StatusNotification:
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, **_: Any) -> call_result.Authorize:
        return call_result.Authorize(id_tag_info=accepted())

    @on(Action.start_transaction)
    def on_start_transaction(self, **_: Any) -> call_result.StartTransaction:
        return call_result.StartTransaction(transaction_id=next(transaction_ids), id_tag_info=accepted())

    @on(Action.meter_values)
    def on_meter_values(self, **_: Any) -> call_result.MeterValues:
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop_transaction(self, **_: Any) -> call_result.StopTransaction:
        return call_result.StopTransaction(id_tag_info=accepted())


async def serve_station(connection: ServerConnection) -> None:
    assert connection.request is not None
    identity = connection.request.path.rpartition("/")[2]
    with contextlib.suppress(websockets.ConnectionClosed):
        await BareChargePoint(identity, connection).start()


async def run(port: int) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(serve_station, "127.0.0.1", port, subprotocols=[websockets.Subprotocol("ocpp1.6")]):
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--uvloop", action="store_true", help="use uvloop, which the package's documentation does not")
    options = parser.parse_args()
    (uvloop.run if options.uvloop else asyncio.run)(run(options.port))


if __name__ == "__main__":
    main()
