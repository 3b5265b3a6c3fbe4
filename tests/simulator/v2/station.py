"""The whole station."""

from tests.simulator.v2.device_model import DeviceModel
from tests.simulator.v2.displays import Displays
from tests.simulator.v2.monitoring import Monitoring
from tests.simulator.v2.remote import Remote


class Station201(DeviceModel, Displays, Monitoring, Remote):
    """An OCPP 2.0.1 station: the constructors of its parts say what it takes.

    They are `Base201`, `Device`, and `Station` for the connection.
    """
