"""What is remembered of messages that stations refuse to send, in every version of OCPP."""

from chargers.choices import LimitationKind
from csms.intake import Work
from csms.versions.base import Context, Payload, limitation


def keep_refusal(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Remember which messages the station does not send when asked to (CF-10); one that comes says that it does."""
    status = answer.get("status", "")
    if status == "Accepted":
        return []
    certain = status == "NotImplemented"
    if ("connectorId" in request or "evse" in request) and not certain:
        # It may be the connector that it refuses.
        return []
    return [
        limitation(context, LimitationKind.TRIGGER, request["requestedMessage"], f"answered {status}", certain=certain)
    ]
