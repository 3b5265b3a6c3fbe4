"""What becomes of the parts of reports, kind by kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chargers.changes import Changes
from chargers.services import displaymessages, installedprofiles, monitors, variables
from chargers.values import ProfileCriteria, ProfilesListed
from tasks.action import Payload
from tasks.models import Report, ReportKind


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps what the parts of a kind of report tell.

    `store` is a service of the domain that takes what each part tells; where there is none, the
    report keeps it itself, as JSON. `complete` is told of a report all of whose parts have come, or of
    which the station said that it has none.
    """

    store: Callable[[Sequence[Any], Changes], Sequence[Any]] | None = None
    complete: Callable[[Report, Changes], None] | None = None


def conclude_profiles(report: Report, changes: Changes) -> None:
    """Believe that a station has none of the profiles it was asked for but those it told (K09)."""
    if report.command and report.chargepoint_id:
        criteria = profile_criteria(report.command.payload)
        installedprofiles.conclude([ProfilesListed(report.chargepoint_id, criteria, report.asked_at)], changes)


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


def forget_untold_variables(report: Report, changes: Changes) -> None:
    """Forget what a full inventory did not tell (B07): the station no longer has it."""
    command = report.command
    if (
        report.parts
        and command
        and command.action == "GetBaseReport"
        and command.payload["reportBase"] == "FullInventory"
    ):
        variables.forget_untold(report.chargepoint_id or "", report.asked_at)


def forget_untold_monitors(report: Report, changes: Changes) -> None:
    """Forget what a report of all monitors did not tell (N02.FR.11)."""
    command = report.command
    if command and not {"monitoringCriteria", "componentVariable"} & command.payload.keys():
        monitors.forget_untold(report.chargepoint_id or "", report.asked_at, changes)


def forget_untold_messages(report: Report, changes: Changes) -> None:
    """Forget what a report of all messages did not tell (O03)."""
    command = report.command
    if command and not {"id", "priority", "state"} & command.payload.keys():
        displaymessages.forget_untold(report.chargepoint_id or "", report.asked_at, changes)


KEEPERS: Mapping[ReportKind, Keeper] = {
    ReportKind.CHARGING_PROFILES: Keeper(installedprofiles.report, conclude_profiles),
    ReportKind.CUSTOMER_INFORMATION: Keeper(),
    ReportKind.DISPLAY_MESSAGES: Keeper(displaymessages.record, forget_untold_messages),
    ReportKind.MONITORS: Keeper(monitors.record, forget_untold_monitors),
    ReportKind.VARIABLES: Keeper(variables.record, forget_untold_variables),
}
