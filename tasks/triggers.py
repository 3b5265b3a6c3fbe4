"""Messages that stations are asked to send, in every version of OCPP."""

from collections.abc import Sequence

from chargers.choices import LimitationKind
from tasks.action import Need, Payload


def needs(payload: Payload) -> Sequence[Need]:
    return [(LimitationKind.TRIGGER, payload["requestedMessage"])]
