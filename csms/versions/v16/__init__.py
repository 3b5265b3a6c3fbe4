"""OCPP 1.6: its payloads and the domain's values, a module a noun.

Connector n of a station is EVSE n, connector 1; connector 0 is the station itself. Section
numbers are those of the OCPP 1.6 specification, edition 2; ids like TX-01 name the habits of
real stations listed in ``docs/quirks.md``.
"""

from typing import Any

from csms.errors import ErrorCode
from csms.versions.base import Version
from csms.versions.v16 import (
    certificates,
    charging,
    configuration,
    core,
    jobs,
    locallists,
    reservations,
    security,
    triggers,
)
from csms.versions.v16.members import NAME

MODULES = (certificates, charging, configuration, core, jobs, locallists, reservations, security, triggers)


def _together(table: str) -> dict[str, Any]:
    """Put the tables of one name together, of the modules that have one."""
    return {action: each for module in MODULES for action, each in getattr(module, table, {}).items()}


VERSION = Version(
    name=NAME,
    handlers=_together("HANDLERS"),
    effects=_together("EFFECTS"),
    scripts=_together("SCRIPTS"),
    # A security event refused is sent again without end (BO-15).
    before_accepted=frozenset({"BootNotification", "SecurityEventNotification"}),
    error_codes={
        ErrorCode.FORMAT_VIOLATION: "FormationViolation",
        ErrorCode.OCCURRENCE_CONSTRAINT: "OccurenceConstraintViolation",
    },
    triggered=triggers.TRIGGERED,
    dispensable=charging.DISPENSABLE,
)
