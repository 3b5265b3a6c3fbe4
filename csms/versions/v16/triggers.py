"""Messages that stations are asked to send (section 5.17, whitepaper section 5.5)."""

from collections.abc import Mapping, Sequence

from csms.versions.base import Effect
from csms.versions.triggers import keep_refusal

EFFECTS: Mapping[str, Effect] = {"ExtendedTriggerMessage": keep_refusal, "TriggerMessage": keep_refusal}
# Messages that are asked for by another name than they have.
TRIGGERED: Mapping[str, Sequence[str]] = {
    "FirmwareStatusNotification": ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    "SignChargePointCertificate": ("SignCertificate",),
}
