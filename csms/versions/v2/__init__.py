"""What OCPP 2.0.1 and 2.1 share: their payloads and the domain's values, a module a noun.

Requirement ids are those of the OCPP 2.0.1 specification, edition 3, part 2.
"""

from chargers.choices import OcppVersion
from csms.versions import vendors
from csms.versions.base import Version, together
from csms.versions.v2 import (
    availability,
    certificates,
    charging,
    contracts,
    customers,
    displaymessages,
    jobs,
    locallists,
    monitoring,
    networkprofiles,
    provisioning,
    publications,
    remote,
    reports,
    reservations,
    security,
    transactions,
    triggers,
    variables,
)

MODULES = (
    availability,
    certificates,
    charging,
    contracts,
    customers,
    displaymessages,
    jobs,
    locallists,
    monitoring,
    networkprofiles,
    provisioning,
    publications,
    remote,
    reports,
    reservations,
    security,
    transactions,
    triggers,
    variables,
    vendors,
)


def version(name: OcppVersion) -> Version:
    """Return a version that has what all 2.x share."""
    return Version(
        name=name,
        handlers=together(MODULES, "HANDLERS"),
        effects=together(MODULES, "EFFECTS"),
        scripts=together(MODULES, "SCRIPTS"),
        before_accepted=frozenset({"BootNotification", "SecurityEventNotification"}),
        error_codes={},
        triggered=triggers.TRIGGERED,
        dispensable=charging.DISPENSABLE,
        # B02.FR.02.
        reported={"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"},
        greetings=triggers.greetings,
    )
