"""Messages that stations are asked to send (F06)."""

from collections.abc import Mapping, Sequence

from chargers.values import Facts
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload
from csms.versions.triggers import keep_refusal


def keep_trigger_refusal(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Remember a refusal, but of a boot: an accepted station must not boot once more (F06.FR.17)."""
    if request["requestedMessage"] == "BootNotification" and answer["status"] == "Rejected":
        return []
    return keep_refusal(request, answer, context)


def greetings(message: str, facts: Facts) -> Sequence[Payload]:
    """Ask for the status of each connector by itself (F06.FR.13)."""
    if message != "StatusNotification":
        return [{"requestedMessage": message}]
    return [
        {"requestedMessage": message, "evse": {"id": evse, "connectorId": connector}}
        for evse, connector in facts.connectors
    ]


EFFECTS: Mapping[str, Effect] = {"TriggerMessage": keep_trigger_refusal}
# Messages that are asked for by another name than they have.
TRIGGERED: Mapping[str, Sequence[str]] = {
    "SignChargingStationCertificate": ("SignCertificate",),
    "SignCombinedCertificate": ("SignCertificate",),
    "SignV2GCertificate": ("SignCertificate",),
}
