"""A charging station that speaks OCPP 2.0.1: a module a noun.

The methods named after requests send them and return the answer's payload. The ones named
``on_<action>`` answer the CSMS from the station's memory. With ``autonomous=True`` the station also
does what it accepted, in methods named ``do_<action>``: a remote start becomes a transaction, a
remote stop ends it. Requirement ids are those of OCPP 2.0.1, edition 3, part 2.
"""

from tests.simulator.v2.base import Evse, Running
from tests.simulator.v2.members import meter_value, sample, token
from tests.simulator.v2.station import Station201

__all__ = ["Evse", "Running", "Station201", "meter_value", "sample", "token"]
