"""Firmware updates, publications and logs (blocks L and N): what they are answered, and how a station tells of them.

The lists of statuses say what an autonomous station goes through; a test may put others in. No file is moved.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import moment
from tests.simulator.v2.security import Security


class Files(Security):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.firmware_statuses: Sequence[str] = ("Downloading", "Downloaded", "Installing", "Installed")
        self.publication_statuses: Sequence[str] = ("Downloading", "Downloaded", "ChecksumVerified", "Published")
        self.log_statuses: Sequence[str] = ("Uploading", "Uploaded")
        self.published: set[str] = set()
        self._jobs: dict[str, asyncio.Task[None]] = {}

    def on_update_firmware(self, payload: Payload) -> Answer:
        signer = payload["firmware"].get("signingCertificate")
        try:
            if signer is not None:
                self.certificates.check_firmware_signer(signer, self.clock())
        except ValueError:
            # L01.FR.22
            return {"status": "InvalidCertificate"}
        return {"status": self._taken("update")}

    async def refused_update_firmware(self, _: Payload) -> None:
        await self.security_event("InvalidFirmwareSigningCertificate")

    def do_update_firmware(self, payload: Payload) -> None:
        self._jobs["update"] = self.spawn(self._update(payload))

    async def _update(self, payload: Payload) -> None:
        firmware, request_id = payload["firmware"], payload["requestId"]
        retrieve = moment(firmware["retrieveDateTime"])
        if retrieve > self.clock():
            await self._notify("FirmwareStatusNotification", request_id, "DownloadScheduled")
            await self.sleep_until(retrieve)
        for status in self.firmware_statuses:
            await self._notify("FirmwareStatusNotification", request_id, status)
            if status == "Downloaded" and "signature" in firmware:
                await self._notify("FirmwareStatusNotification", request_id, "SignatureVerified")
        if self.firmware_statuses[-1] == "Installed":
            # L01.FR.31
            await self.security_event("FirmwareUpdated")

    def on_publish_firmware(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    async def do_publish_firmware(self, payload: Payload) -> None:
        for status in self.publication_statuses:
            where = {"location": [payload["location"]]} if status == "Published" else {}
            await self._notify("PublishFirmwareStatusNotification", payload["requestId"], status, **where)
            if status == "Published":
                self.published.add(payload["checksum"])

    def on_unpublish_firmware(self, payload: Payload) -> Answer:
        if payload["checksum"] not in self.published:
            return {"status": "NoFirmware"}
        self.published.remove(payload["checksum"])
        return {"status": "Unpublished"}

    def on_get_log(self, payload: Payload) -> Answer:
        return {"status": self._taken("upload"), "filename": f"{payload['logType']}.log"}

    def do_get_log(self, payload: Payload) -> None:
        self._jobs["upload"] = self.spawn(self._upload(payload))

    async def _upload(self, payload: Payload) -> None:
        for status in self.log_statuses:
            await self._notify("LogStatusNotification", payload["requestId"], status)

    async def _notify(self, action: str, request_id: int, status: str, **more: Any) -> None:
        await self.deliver_again(action, {"status": status, "requestId": request_id, **more})

    def _taken(self, kind: str) -> str:
        """Give up what goes on, if something does (L01.FR.24, N01.FR.12)."""
        job = self._jobs.pop(kind, None)
        return "AcceptedCanceled" if job is not None and not job.done() and job.cancel() else "Accepted"
