"""What a meter reads, spelt as OCPP 1.6 does."""

from collections.abc import Sequence
from datetime import datetime

from tests.simulator.station import Payload
from tests.simulator.times import timestamp
from tests.simulator.vehicle import Vehicle

# V. A charging rate is converted with the set voltage of the area, not with the measured one (section 7.12).
VOLTAGE = 230


def sample(
    value: float | str,
    measurand: str | None = None,
    unit: str | None = None,
    phase: str | None = None,
    context: str | None = None,
    location: str | None = None,
) -> Payload:
    """Build one SampledValue; fields that are None are left out."""
    text = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
    fields = {
        "value": text,
        "context": context,
        "measurand": measurand,
        "phase": phase,
        "location": location,
        "unit": unit,
    }
    return {name: content for name, content in fields.items() if content is not None}


def meter_value(at: datetime, samples: Sequence[Payload]) -> Payload:
    return {"timestamp": timestamp(at), "sampledValue": list(samples)}


def readings(
    energy: float, power: float, vehicle: Vehicle, context: str = "Sample.Periodic", *, limit: float | None = None
) -> list[Payload]:
    """Build what a meter reports: energy, power, each phase's voltage and current, and SoC where DC tells it.

    A `limit` in W, where there is one, shows as what the vehicle is offered.
    """
    voltages = vehicle.voltages()
    samples = [
        sample(round(energy), "Energy.Active.Import.Register", "Wh", context=context, location="Outlet"),
        sample(power, "Power.Active.Import", "W", context=context, location="Outlet"),
    ]
    for number, voltage in enumerate(voltages, 1):
        current = power / len(voltages) / voltage
        phase, to_neutral = (f"L{number}", f"L{number}-N") if vehicle.phases else (None, None)
        samples.append(sample(current, "Current.Import", "A", phase, context, "Outlet"))
        samples.append(sample(voltage, "Voltage", "V", to_neutral, context, "Outlet"))
    if not vehicle.phases:
        samples.append(sample(round(vehicle.soc), "SoC", "Percent", context=context, location="EV"))
    if limit is not None:
        samples.append(sample(limit, "Power.Offered", "W", context=context, location="Outlet"))
        if vehicle.phases:
            offered = limit / VOLTAGE / vehicle.phases
            samples.append(sample(offered, "Current.Offered", "A", context=context, location="Outlet"))
    return samples
