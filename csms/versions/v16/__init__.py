"""OCPP 1.6: its payloads and the domain's values, a module a noun.

Connector n of a station is EVSE n, connector 1; connector 0 is the station itself. Section
numbers are those of the OCPP 1.6 specification, edition 2; ids like TX-01 name the habits of
real stations listed in ``docs/quirks.md``.
"""

from csms.errors import ErrorCode
from csms.versions.base import Version
from csms.versions.v16 import charging, configuration, core, security, triggers
from csms.versions.v16.members import NAME

VERSION = Version(
    name=NAME,
    handlers={**core.HANDLERS, **security.HANDLERS},
    effects={**core.EFFECTS, **charging.EFFECTS, **configuration.EFFECTS, **triggers.EFFECTS},
    scripts={**core.SCRIPTS, **charging.SCRIPTS, **configuration.SCRIPTS},
    # A security event refused is sent again without end (BO-15).
    before_accepted=frozenset({"BootNotification", "SecurityEventNotification"}),
    error_codes={
        ErrorCode.FORMAT_VIOLATION: "FormationViolation",
        ErrorCode.OCCURRENCE_CONSTRAINT: "OccurenceConstraintViolation",
    },
    triggered=triggers.TRIGGERED,
    dispensable=charging.DISPENSABLE,
)
