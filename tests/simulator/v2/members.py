"""How members that many payloads share are spelt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.simulator.station import Payload
from tests.simulator.times import timestamp


def token(id_token: str, kind: str = "ISO14443", **more: Any) -> Payload:
    """Build an IdTokenType; `more` are further members, such as additionalInfo."""
    return {"idToken": id_token, "type": kind, **more}


def sample(value: float, measurand: str | None = None, unit: str | None = None, **more: Any) -> Payload:
    """Build one SampledValue; `more` are further members, such as context, phase or signedMeterValue."""
    fields = {"value": value, "measurand": measurand, **more}
    if unit is not None:
        fields["unitOfMeasure"] = {"unit": unit}
    return {name: content for name, content in fields.items() if content is not None}


def meter_value(at: datetime, samples: Sequence[Payload]) -> Payload:
    return {"timestamp": timestamp(at), "sampledValue": list(samples)}


def energy(wh: float, context: str = "Sample.Periodic") -> Payload:
    """Build the sample of an energy register in Wh."""
    return sample(wh, "Energy.Active.Import.Register", "Wh", context=context)
