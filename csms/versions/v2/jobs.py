"""Firmware updates and log uploads (blocks L and N)."""

from collections.abc import Mapping

from chargers.services import firmware, logs
from csms.versions.base import Effect, Handler
from csms.versions.jobs import keep_log_answer, keep_update_status, numbered_report
from csms.versions.v2.members import nothing

HANDLERS: Mapping[str, Handler] = {
    "FirmwareStatusNotification": Handler(numbered_report, firmware.record, nothing, records=True),
    "LogStatusNotification": Handler(numbered_report, logs.record, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {"GetLog": keep_log_answer, "UpdateFirmware": keep_update_status}
