"""A charging station that speaks OCPP 1.6 with its security extensions: a module a noun.

The methods named after requests send them and return the answer's payload. The ones named
``on_<action>`` answer the CSMS from the station's memory, as section 5 of OCPP 1.6 and the security
whitepaper have it. With ``autonomous=True`` the station also does what it accepted, in methods
named ``do_<action>``: a remote start becomes a charging session, a reset ends the sessions and boots
again, a firmware update tells how it goes. What it does not support it says in
SupportedFeatureProfiles, which a test may shorten.
"""

from tests.simulator.times import moment, timestamp
from tests.simulator.v16.base import Connector
from tests.simulator.v16.meter import meter_value, readings, sample
from tests.simulator.v16.reservations import Reservation
from tests.simulator.v16.station import Station16
from tests.simulator.v16.transactions import Session

__all__ = [
    "Connector",
    "Reservation",
    "Session",
    "Station16",
    "meter_value",
    "moment",
    "readings",
    "sample",
    "timestamp",
]
