"""Messages that stations are asked to send (section 5.17, whitepaper section 5.5)."""

from collections.abc import Mapping, Sequence

from chargers.choices import LimitationKind
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload, limitation


def keep_refusal(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Remember which messages the station does not send when asked to (CF-10); one that comes says that it does."""
    status = answer.get("status", "")
    if status == "Accepted":
        return []
    certain = status == "NotImplemented"
    if "connectorId" in request and not certain:
        # It may be the connector that it refuses.
        return []
    return [
        limitation(context, LimitationKind.TRIGGER, request["requestedMessage"], f"answered {status}", certain=certain)
    ]


EFFECTS: Mapping[str, Effect] = {"ExtendedTriggerMessage": keep_refusal, "TriggerMessage": keep_refusal}
# Messages that are asked for by another name than they have.
TRIGGERED: Mapping[str, Sequence[str]] = {
    "FirmwareStatusNotification": ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    "SignChargePointCertificate": ("SignCertificate",),
}
