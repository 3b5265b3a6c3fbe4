"""The whole station."""

from tests.simulator.v2.smart_charging import SmartCharging


class Station201(SmartCharging):
    """An OCPP 2.0.1 station: the constructors of its parts say what it takes.

    They are `Base201`, `Device`, and `Station` for the connection.
    """
