"""The whole station."""

from tests.simulator.v2.files import Files
from tests.simulator.v2.remote import Remote


class Station201(Files, Remote):
    """An OCPP 2.0.1 station: the constructors of its parts say what it takes.

    They are `Base201`, `Device`, and `Station` for the connection.
    """
