"""What a CSMS may ask of an OCPP 2.x station: all that 2.0.1 has, 2.1 has too."""

from chargers.choices import LimitationKind, OcppVersion
from tasks import certificates, credentials, firmware, listupdates, logs, reports, triggers
from tasks.action import DOWNLOAD, UPLOAD, Action
from tasks.charging import ITS_TRANSACTION, STORED_PROFILE
from tasks.reservations import unanswered as unanswered_reservations
from tasks.v2 import (
    charging,
    customers,
    displaymessages,
    locallists,
    monitoring,
    provisioning,
    publications,
    reservations,
    transactions,
    variables,
)

REPORT = "The station tells it in messages that follow its answer; how far that is, `report` of `/api/task/<task_id>/` tells."
PUBLICATION = (
    "The location is a URL, or the path of a file on the platform's file server. How far it is, "
    "`/api/firmwarepublication/` tells, and where stations find it once it is published."
)


def actions(version: OcppVersion) -> tuple[Action, ...]:
    """Return the rows that the 2.x versions share."""
    return (
        Action(version, "CancelReservation", "Give up a reservation.", prepare=reservations.prepare_cancellation),
        Action(
            version,
            "CertificateSigned",
            "Bring the station a certificate of its own, signed; what it asks to be signed is brought to it by itself.",
            prepare=certificates.prepare_chain,
        ),
        Action(version, "ChangeAvailability", "Put a connector, an EVSE or the whole station in or out of service."),
        Action(version, "ClearCache", "Make the station forget the id tokens it has cached."),
        Action(
            version,
            "ClearChargingProfile",
            "Remove charging profiles from the station: one by its id, or all that match.",
            prepare=charging.prepare_clearing,
        ),
        Action(version, "ClearDisplayMessage", "Remove a message from the station's display."),
        Action(version, "ClearVariableMonitoring", "Remove monitors of variables by their ids."),
        Action(
            version,
            "CostUpdated",
            "Tell the station what a transaction costs so far, for its display.",
            prepare=transactions.prepare_cost,
            note=transactions.ITS_TRANSACTION,
        ),
        Action(
            version,
            "CustomerInformation",
            "Ask the station for what it holds of a customer, have it deleted, or both.",
            fills=("requestId",),
            prepare=customers.prepare,
            unanswered=reports.unanswered,
            note=(
                "The station tells it in messages that follow its answer: `report` of `/api/task/<task_id>/` has them."
            ),
        ),
        Action(version, "DataTransfer", "Send vendor-specific data."),
        Action(version, "DeleteCertificate", "Delete a certificate, named by its hashes."),
        Action(
            version,
            "GetBaseReport",
            "Ask the station to report its inventory, which `/api/variable/` shows.",
            fills=("requestId",),
            prepare=variables.prepare_report,
            unanswered=reports.unanswered,
            note=REPORT,
        ),
        Action(
            version,
            "GetChargingProfiles",
            "Ask which charging profiles the station has, and keep them.",
            fills=("requestId", "chargingProfile"),
            prepare=charging.prepare_report,
            unanswered=reports.unanswered,
            note=f"{REPORT} What it told, `/api/installedprofile/` has.",
        ),
        Action(
            version,
            "GetCompositeSchedule",
            "Read what all charging profiles of an EVSE, or of the station, come to.",
            renames={"charging_rate_unit_type": "charging_rate_unit"},
            prepare=charging.prepare_composite,
        ),
        Action(
            version,
            "GetDisplayMessages",
            "Ask which messages the station displays, which `/api/displaymessage/` shows.",
            fills=("requestId",),
            prepare=displaymessages.prepare_report,
            unanswered=reports.unanswered,
            note=REPORT,
        ),
        Action(version, "GetInstalledCertificateIds", "Read which certificates the station holds, and keep them."),
        Action(version, "GetLocalListVersion", "Ask which version of the local authorisation list the station holds."),
        Action(
            version,
            "GetLog",
            "Ask the station to upload one of its logs.",
            note=UPLOAD,
            fills=("requestId", "log", "log.remoteLocation"),
            prepare=logs.prepare_log,
            unanswered=logs.unanswered,
        ),
        Action(
            version,
            "GetMonitoringReport",
            "Ask which variables the station monitors, which `/api/variablemonitor/` shows.",
            fills=("requestId",),
            prepare=monitoring.prepare_report,
            unanswered=reports.unanswered,
            note=REPORT,
        ),
        Action(
            version,
            "GetReport",
            "Ask the station to report variables that meet criteria, which `/api/variable/` shows.",
            fills=("requestId",),
            prepare=variables.prepare_report,
            unanswered=reports.unanswered,
            note=REPORT,
        ),
        Action(
            version,
            "GetTransactionStatus",
            "Ask whether the station has messages of a transaction in its queue.",
            prepare=transactions.name_as_the_station_does,
            note=f"{transactions.ITS_TRANSACTION} Left out, it is any of them.",
        ),
        Action(
            version,
            "GetVariables",
            "Read variables of the station and keep them, in as many messages as it wants.",
            prepare=variables.prepare_reading,
        ),
        Action(
            version,
            "InstallCertificate",
            "Install a root certificate, by which the station verifies the platform, its manufacturer, "
            "vehicles' contracts or the certificates of ISO 15118.",
            prepare=certificates.prepare_root,
        ),
        Action(
            version,
            "PublishFirmware",
            "Ask a local controller to fetch a firmware and offer it to its stations.",
            note=PUBLICATION,
            fills=("requestId",),
            prepare=publications.prepare_publication,
            unanswered=publications.unanswered,
        ),
        Action(
            version,
            "RequestStartTransaction",
            "Ask the station to start charging for an id token.",
            fills=("remoteStartId", "chargingProfile.id"),
            extras={"charging_profile_id": STORED_PROFILE},
            prepare=transactions.prepare_start,
            unanswered=charging.start_unanswered,
            while_pending=False,
            note="The transaction that follows tells the `remote_start_id`.",
        ),
        Action(
            version,
            "RequestStopTransaction",
            "Ask the station to stop a transaction.",
            prepare=transactions.name_as_the_station_does,
            while_pending=False,
            note=transactions.ITS_TRANSACTION,
        ),
        Action(
            version,
            "ReserveNow",
            "Reserve an EVSE, a kind of connector or any of them, for an id token and its group.",
            fills=("id",),
            prepare=reservations.prepare,
            unanswered=unanswered_reservations,
        ),
        Action(version, "Reset", "Restart the station or one of its EVSEs.", renames={"reset_type": "type"}),
        Action(
            version,
            "SendLocalList",
            "Send the local authorisation list or changes of it, in parts where the station wants that.",
            fills=("versionNumber",),
            prepare=locallists.prepare,
            needs=lambda payload: [(LimitationKind.LOCAL_LIST, "")],
            unanswered=listupdates.unanswered,
        ),
        Action(
            version,
            "SetChargingProfile",
            "Limit what the station, an EVSE or a transaction may charge with.",
            fills=("chargingProfile", "chargingProfile.id"),
            extras={"charging_profile_id": STORED_PROFILE, "transaction_id": ITS_TRANSACTION},
            prepare=charging.prepare_setting,
        ),
        Action(
            version,
            "SetDisplayMessage",
            "Put a message on the station's display, in place of the one of the same id if there is one.",
            fills=("message.id",),
            prepare=displaymessages.prepare_setting,
            unanswered=displaymessages.unanswered,
        ),
        Action(version, "SetMonitoringBase", "Choose which set of monitors the station starts from."),
        Action(
            version,
            "SetMonitoringLevel",
            "Choose how severe an event must be to be reported.",
            prepare=monitoring.prepare_level,
        ),
        Action(
            version,
            "SetNetworkProfile",
            "Tell the station how to connect, as one of its network profiles.",
            prepare=provisioning.prepare_network_profile,
            unanswered=credentials.unanswered,
            note=(
                "A profile is in use when NetworkConfigurationPriority of OCPPCommCtrlr names its slot first "
                "(SetVariables) and the station has booted (Reset)."
            ),
        ),
        Action(
            version,
            "SetVariableMonitoring",
            "Let the station monitor variables; `/api/event/` shows what they notice.",
            prepare=monitoring.prepare_setting,
        ),
        Action(
            version,
            "SetVariables",
            "Set variables of the station, in as many messages as it wants; each has a result of its own.",
            prepare=variables.prepare_setting,
            unanswered=credentials.unanswered,
        ),
        Action(
            version,
            "TriggerMessage",
            "Ask the station to send a message now.",
            prepare=provisioning.prepare_trigger,
            needs=triggers.needs,
        ),
        Action(version, "UnlockConnector", "Unlock a connector's cable."),
        Action(
            version,
            "UnpublishFirmware",
            "Ask a local controller to offer a firmware no longer.",
            prepare=publications.check_checksum,
        ),
        Action(
            version,
            "UpdateFirmware",
            "Ask the station to install a firmware, signed by its maker or not.",
            note=DOWNLOAD,
            fills=("requestId", "firmware.location"),
            prepare=firmware.prepare_numbered_update,
            unanswered=firmware.unanswered,
        ),
    )
