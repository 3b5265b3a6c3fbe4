"""OCPP 1.6: its payloads and the domain's values, a module a noun.

Connector n of a station is EVSE n, connector 1; connector 0 is the station itself. Section
numbers are those of the OCPP 1.6 specification, edition 2; ids like TX-01 name the habits of
real stations listed in ``docs/quirks.md``.
"""

from csms.errors import ErrorCode
from csms.versions import reservations, vendors
from csms.versions.base import Version, together
from csms.versions.v16 import (
    certificates,
    charging,
    configuration,
    core,
    jobs,
    locallists,
    security,
    triggers,
)
from csms.versions.v16.members import NAME

MODULES = (certificates, charging, configuration, core, jobs, locallists, reservations, security, triggers, vendors)

VERSION = Version(
    name=NAME,
    handlers=together(MODULES, "HANDLERS"),
    effects=together(MODULES, "EFFECTS"),
    scripts=together(MODULES, "SCRIPTS"),
    # A security event refused is sent again without end (BO-15).
    before_accepted=frozenset({"BootNotification", "SecurityEventNotification"}),
    error_codes={
        ErrorCode.FORMAT_VIOLATION: "FormationViolation",
        ErrorCode.RPC_FRAMEWORK: "FormationViolation",
        ErrorCode.OCCURRENCE_CONSTRAINT: "OccurenceConstraintViolation",
    },
    triggered=triggers.TRIGGERED,
    dispensable=charging.DISPENSABLE,
    # A CALLERROR repeats the id (section 4.2.3), and a frame of another type is ignored (section 4.1.3).
    answers_unreadable=False,
)
