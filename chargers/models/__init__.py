"""One module per noun; callers import the models from here."""

from chargers.models.certificate import Certificate
from chargers.models.charginglimit import ChargingLimit
from chargers.models.chargingprofile import ChargingProfile, CompositeSchedule, InstalledProfile
from chargers.models.connector import Connector
from chargers.models.displaymessage import DisplayMessage
from chargers.models.evcharging import ChargingNeeds, EVSchedule
from chargers.models.event import Event, VariableMonitor
from chargers.models.firmwarepublication import FirmwarePublication
from chargers.models.firmwareupdate import FirmwareUpdate
from chargers.models.idtag import IdTag
from chargers.models.limitation import Limitation
from chargers.models.locallist import LocalList
from chargers.models.location import Location
from chargers.models.logupload import LogUpload
from chargers.models.metervalue import MeterValue
from chargers.models.node import CsmsNode
from chargers.models.reservation import Reservation
from chargers.models.securityevent import SecurityEvent
from chargers.models.station import ChargePoint, Deviation
from chargers.models.status import StatusNotification
from chargers.models.transaction import Transaction
from chargers.models.transactionevent import TransactionEvent
from chargers.models.variable import Variable

__all__ = [
    "Certificate",
    "ChargePoint",
    "ChargingLimit",
    "ChargingNeeds",
    "ChargingProfile",
    "CompositeSchedule",
    "Connector",
    "CsmsNode",
    "Deviation",
    "DisplayMessage",
    "EVSchedule",
    "Event",
    "FirmwarePublication",
    "FirmwareUpdate",
    "IdTag",
    "InstalledProfile",
    "Limitation",
    "LocalList",
    "Location",
    "LogUpload",
    "MeterValue",
    "Reservation",
    "SecurityEvent",
    "StatusNotification",
    "Transaction",
    "TransactionEvent",
    "Variable",
    "VariableMonitor",
]
