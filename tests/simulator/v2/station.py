"""The whole station."""

from tests.simulator.v2.device_model import DeviceModel
from tests.simulator.v2.displays import Displays
from tests.simulator.v2.files import Files
from tests.simulator.v2.monitoring import Monitoring
from tests.simulator.v2.smart_charging import SmartCharging


class Station201(Files, DeviceModel, Displays, Monitoring, SmartCharging):
    """An OCPP 2.0.1 station: the constructors of its parts say what it takes.

    They are `Base201`, `Device`, and `Station` for the connection.
    """
