"""Firmware updates and uploads of logs: what they are answered, and how a station tells of them.

The lists of statuses say what an autonomous station goes through; a test may put others in, such as
one that ends with DownloadFailed. Files are sent and fetched only by a station that is given the
means, and their statuses end with what came of it.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from tests.simulator.station import Answer, Payload
from tests.simulator.times import moment
from tests.simulator.transfer import NotAllowed, NotSupported, Transfer, TransferFailed
from tests.simulator.v16.base import Connector
from tests.simulator.v16.security import Security

FIRMWARE, SIGNED_FIRMWARE = "FirmwareStatusNotification", "SignedFirmwareStatusNotification"
DIAGNOSTICS, LOG = "DiagnosticsStatusNotification", "LogStatusNotification"
# The statuses after which there is nothing going on; a secure update that failed is still told (L01.FR.29).
ENDS = {
    FIRMWARE: {"Installed", "DownloadFailed", "InstallationFailed"},
    SIGNED_FIRMWARE: {"Installed"},
    DIAGNOSTICS: {"Uploaded", "UploadFailed"},
    LOG: {"Uploaded", "UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation"},
}
# During which a file is on its way.
ON_THE_WAY = {"Uploading", "Downloading"}
# What is told when it did not come through.
FAILURES = {
    FIRMWARE: "DownloadFailed",
    SIGNED_FIRMWARE: "DownloadFailed",
    DIAGNOSTICS: "UploadFailed",
    LOG: "UploadFailure",
}
# How much of the frames goes into a log.
LOGGED_FRAMES = 1000
CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+@")
# The security events that come with the statuses of a secure update (L01.FR.03, whitepaper section 8).
EVENTS = {"InvalidSignature": "InvalidFirmwareSignature", "Installed": "FirmwareUpdated"}


T = TypeVar("T")


def without_account(text: str) -> str:
    """Leave the accounts out of the URLs in a text."""
    return CREDENTIALS.sub("", text)


def failure(action: str, error: TransferFailed) -> str:
    """Name the status that tells of a transfer that failed, as closely as the message can."""
    if action == LOG and isinstance(error, NotSupported):
        return "NotSupportedOperation"
    return "PermissionDenied" if action == LOG and isinstance(error, NotAllowed) else FAILURES[action]


class Files(Security):
    def __init__(
        self, *arguments: Any, transfer_time: float = 0, transfer: Transfer | None = None, **options: Any
    ) -> None:
        """`transfer_time` is the time in s between the statuses of an update or upload.

        `transfer` is how files are sent and fetched; without it none are.
        """
        super().__init__(*arguments, **options)
        self.transfer_time = transfer_time
        self.transfer = transfer
        # The files that went out last, and the firmware that came.
        self.uploaded: dict[str, bytes] = {}
        self.firmware: bytes | None = None
        self.firmware_statuses: Sequence[str] = ("Downloading", "Downloaded", "Installing", "Installed")
        self.signed_firmware_statuses: Sequence[str] = (
            "Downloading",
            "Downloaded",
            "SignatureVerified",
            "Installing",
            "Installed",
        )
        self.diagnostics_statuses: Sequence[str] = ("Uploading", "Uploaded")
        self.log_statuses: Sequence[str] = ("Uploading", "Uploaded")
        self.installing = False
        # The last notification of each kind, and what is going on.
        self._last: dict[str, Payload] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}

    # Requests of the station

    async def firmware_status(self, status: str) -> Payload:
        return await self.call(FIRMWARE, self._noted(FIRMWARE, status))

    async def signed_firmware_status(self, status: str, request_id: int | None = None) -> Payload:
        return await self.call(SIGNED_FIRMWARE, self._noted(SIGNED_FIRMWARE, status, request_id))

    async def diagnostics_status(self, status: str) -> Payload:
        return await self.call(DIAGNOSTICS, self._noted(DIAGNOSTICS, status))

    async def log_status(self, status: str, request_id: int | None = None) -> Payload:
        return await self.call(LOG, self._noted(LOG, status, request_id))

    async def repeat_status(self, action: str) -> None:
        """Send a notification that was asked for: of what is going on, else Idle."""
        last = self._last.get(action, {"status": "Idle"})
        await self.call(action, {"status": "Idle"} if last["status"] in ENDS[action] else last)

    # Answers to the CSMS

    def on_get_diagnostics(self, _: Payload) -> Answer:
        self.require("FirmwareManagement")
        return {"fileName": self._file_name("diagnostics")}

    def do_get_diagnostics(self, payload: Payload) -> None:
        upload = self._upload(payload, payload["location"], self._file_name("diagnostics"))
        self._begin("upload", self._go_through(DIAGNOSTICS, self.diagnostics_statuses, transfer=upload))

    def on_get_log(self, payload: Payload) -> Answer:
        status = "AcceptedCanceled" if self._cancel("upload") else "Accepted"
        return {"status": status, "filename": self._file_name(payload["logType"])}

    def do_get_log(self, payload: Payload) -> None:
        upload = self._upload(payload, payload["log"]["remoteLocation"], self._file_name(payload["logType"]))
        self._begin("upload", self._go_through(LOG, self.log_statuses, payload["requestId"], transfer=upload))

    def on_update_firmware(self, _: Payload) -> Answer:
        self.require("FirmwareManagement")
        return {}

    def do_update_firmware(self, payload: Payload) -> None:
        self._begin("update", self._update(payload))

    def on_signed_update_firmware(self, payload: Payload) -> Answer:
        try:
            self.certificates.check_firmware_signer(payload["firmware"]["signingCertificate"], self.clock())
        except ValueError:
            return {"status": "InvalidCertificate"}
        # L01.FR.26
        return {"status": "AcceptedCanceled" if self._cancel("update") else "Accepted"}

    def do_signed_update_firmware(self, payload: Payload) -> None:
        self._begin("update", self._secure_update(payload))

    async def refused_signed_update_firmware(self, _: Payload) -> None:
        await self.push_event("InvalidFirmwareSigningCertificate")

    # What goes on then

    async def _update(self, payload: Payload) -> None:
        await self.sleep_until(moment(payload["retrieveDate"]))
        download = self._download(payload, payload["location"])
        await self._go_through(FIRMWARE, self.firmware_statuses, transfer=download)

    async def _secure_update(self, payload: Payload) -> None:
        request_id, firmware = payload["requestId"], payload["firmware"]
        download = self._download(payload, firmware["location"])
        retrieve, install = moment(firmware["retrieveDateTime"]), firmware.get("installDateTime")
        if retrieve > self.clock():
            await self._notify(SIGNED_FIRMWARE, "DownloadScheduled", request_id)
            await self.sleep_until(retrieve)
        statuses = list(self.signed_firmware_statuses)
        if install and moment(install) > self.clock() and "Installing" in statuses:
            begin = statuses.index("Installing")
            before = [*statuses[:begin], "InstallScheduled"]
            if not await self._go_through(SIGNED_FIRMWARE, before, request_id, transfer=download):
                return
            await self.sleep_until(moment(install))
            statuses = statuses[begin:]
        await self._go_through(SIGNED_FIRMWARE, statuses, request_id, transfer=download)

    def _upload(self, payload: Payload, location: str, name: str) -> Callable[[], Awaitable[None]]:
        async def upload() -> None:
            if self.transfer:
                content = self.log().encode()
                await self._try(payload, lambda transfer: transfer.upload(location, name, content))
                self.uploaded[name] = content
                self.transferred(f"log {name}", len(content))

        return upload

    def _download(self, payload: Payload, location: str) -> Callable[[], Awaitable[None]]:
        async def download() -> None:
            if self.transfer:
                self.firmware = await self._try(payload, lambda transfer: transfer.download(location))
                self.transferred("firmware", len(self.firmware))

        return download

    async def _try(self, payload: Payload, work: Callable[[Transfer], Awaitable[T]]) -> T:
        """Transfer a file, as often as the CSMS said. Raises TransferFailed."""
        assert self.transfer is not None
        for _ in range(payload.get("retries", 0)):
            with contextlib.suppress(TransferFailed):
                return await work(self.transfer)
            await asyncio.sleep(payload.get("retryInterval", 0))
        return await work(self.transfer)

    def log(self) -> str:
        """Return what the station has to tell of itself: its latest frames, without the passwords in them."""
        frames = [f"{'>' if frame.sent else '<'} {frame.data!s}" for frame in self.frames[-LOGGED_FRAMES:]]
        return without_account("\n".join([f"station {self.identity}", *frames, ""]))

    def transferred(self, what: str, size: int) -> None:
        """Hear that a file of so many bytes came through; for subclasses."""

    def transfer_failed(self, error: TransferFailed) -> None:
        """Hear why a file did not come through; for subclasses."""

    async def _go_through(
        self,
        action: str,
        statuses: Sequence[str],
        request_id: int | None = None,
        *,
        transfer: Callable[[], Awaitable[None]],
    ) -> bool:
        """Tell the statuses one after the other, as long as the transfer succeeds; return whether it did."""
        async with contextlib.AsyncExitStack() as stack:
            for position, status in enumerate(statuses):
                if position:
                    await asyncio.sleep(self.transfer_time)
                if status == "Installing":
                    await stack.enter_async_context(self._out_of_service())
                await self._notify(action, status, request_id)
                if action == SIGNED_FIRMWARE and status in EVENTS:
                    await self.push_event(EVENTS[status])
                if status in ON_THE_WAY:
                    try:
                        await transfer()
                    except TransferFailed as error:
                        self.transfer_failed(error)
                        await self._notify(action, failure(action, error), request_id)
                        return False
        return True

    @contextlib.asynccontextmanager
    async def _out_of_service(self) -> AsyncIterator[None]:
        """Let nobody charge while firmware is installed, which waits until those who do are done (L01.FR.06, 07)."""
        self.installing = True
        try:
            await self._show_idle()
            running = [connector.session for connector in self.connectors.values() if connector.session]
            if running:
                await asyncio.wait(running)
            yield
        finally:
            self.installing = False
            await self._show_idle()

    async def _show_idle(self) -> None:
        for connector in self.connectors.values():
            self.refresh(connector)
        await self.report_changes()

    def idle_status(self, connector: Connector) -> str:
        return "Unavailable" if self.installing else super().idle_status(connector)

    async def _notify(self, action: str, status: str, request_id: int | None = None) -> None:
        await self.deliver_again(action, self._noted(action, status, request_id))

    def _noted(self, action: str, status: str, request_id: int | None = None) -> Payload:
        payload: Payload = {"status": status}
        if request_id is not None:
            payload["requestId"] = request_id
        self._last[action] = payload
        return payload

    def _begin(self, kind: str, work: Coroutine[Any, Any, None]) -> None:
        self._cancel(kind)
        self._jobs[kind] = self.spawn(work)

    def _cancel(self, kind: str) -> bool:
        """End what goes on; say whether something did."""
        job = self._jobs.pop(kind, None)
        return job is not None and not job.done() and job.cancel()

    def _file_name(self, what: str) -> str:
        return f"{re.sub(r'[^A-Za-z0-9.-]', '_', self.identity)}-{what}.log"[-255:]
