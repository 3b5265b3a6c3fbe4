"""What becomes of the parts of reports, kind by kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chargers.changes import Changes
from chargers.services import installedprofiles
from chargers.values import ProfileCriteria, ProfilesListed
from tasks.action import Payload
from tasks.models import Command, Report, ReportKind


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps what the parts of a kind of report tell.

    `store` is a service of the domain that takes what each part tells; where there is none, the
    report keeps it itself, as JSON. `complete` is told of a report all of whose parts have come.
    """

    store: Callable[[Sequence[Any], Changes], Sequence[Any]] | None = None
    complete: Callable[[Report, Changes], None] | None = None


def conclude_profiles(report: Report, changes: Changes) -> None:
    """Believe that a station has none of the profiles it was asked for but those it told."""
    command = Command.objects.filter(pk=report.command_id).first() if report.command_id else None
    if command is not None and report.chargepoint_id is not None:
        listed = ProfilesListed(report.chargepoint_id, profile_criteria(command.payload), report.asked_at)
        installedprofiles.conclude([listed], changes)


def profile_criteria(request: Payload) -> ProfileCriteria:
    """Read which profiles a GetChargingProfiles asks for."""
    told = request["chargingProfile"]
    return ProfileCriteria(
        chargingprofile_ids=told.get("chargingProfileId"),
        evse_id=request.get("evseId"),
        purpose=told.get("chargingProfilePurpose"),
        stack_level=told.get("stackLevel"),
        sources=told.get("chargingLimitSource"),
    )


KEEPERS: Mapping[ReportKind, Keeper] = {
    ReportKind.CHARGING_PROFILES: Keeper(installedprofiles.report, conclude_profiles),
    ReportKind.CUSTOMER_INFORMATION: Keeper(),
}
