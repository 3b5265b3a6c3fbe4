"""What a CSMS may ask of an OCPP 2.x station: all that 2.0.1 has, 2.1 has too."""

from chargers.choices import OcppVersion
from tasks import certificates, firmware, logs
from tasks.action import DOWNLOAD, UPLOAD, Action
from tasks.v2 import publications

PUBLICATION = (
    "The location is a URL, or the path of a file on the platform's file server. How far it is, "
    "`/api/firmwarepublication/` tells, and where stations find it once it is published."
)


def actions(version: OcppVersion) -> tuple[Action, ...]:
    """Return the rows that the 2.x versions share."""
    return (
        Action(version, "CancelReservation", "Give up a reservation."),
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
        ),
        Action(version, "ClearDisplayMessage", "Remove a message from the station's display."),
        Action(version, "ClearVariableMonitoring", "Remove monitors of variables by their ids."),
        Action(version, "CostUpdated", "Tell the station what a transaction costs so far, for its display."),
        Action(
            version,
            "CustomerInformation",
            "Ask the station for what it holds of a customer, have it deleted, or both.",
            fills=("requestId",),
        ),
        Action(version, "DataTransfer", "Send vendor-specific data."),
        Action(version, "DeleteCertificate", "Delete a certificate, named by its hashes."),
        Action(version, "GetBaseReport", "Ask the station to report its inventory.", fills=("requestId",)),
        Action(
            version,
            "GetChargingProfiles",
            "Ask which charging profiles the station has.",
            fills=("requestId", "chargingProfile"),
        ),
        Action(
            version, "GetCompositeSchedule", "Read what all charging profiles of an EVSE, or of the station, come to."
        ),
        Action(version, "GetDisplayMessages", "Ask which messages the station displays.", fills=("requestId",)),
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
        Action(version, "GetMonitoringReport", "Ask which variables the station monitors.", fills=("requestId",)),
        Action(version, "GetReport", "Ask the station to report variables that meet criteria.", fills=("requestId",)),
        Action(version, "GetTransactionStatus", "Ask whether the station has messages of a transaction in its queue."),
        Action(version, "GetVariables", "Read variables of the station and keep them."),
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
            fills=("remoteStartId",),
            while_pending=False,
        ),
        Action(version, "RequestStopTransaction", "Ask the station to stop a transaction.", while_pending=False),
        Action(
            version,
            "ReserveNow",
            "Reserve an EVSE, a kind of connector or any of them, for an id token and its group.",
            fills=("id",),
        ),
        Action(version, "Reset", "Restart the station or one of its EVSEs.", renames={"reset_type": "type"}),
        Action(
            version, "SendLocalList", "Send the local authorisation list or changes of it.", fills=("versionNumber",)
        ),
        Action(version, "SetChargingProfile", "Limit what the station, an EVSE or a transaction may charge with."),
        Action(version, "SetDisplayMessage", "Put a message on the station's display.", fills=("message.id",)),
        Action(version, "SetMonitoringBase", "Choose which set of monitors the station starts from."),
        Action(version, "SetMonitoringLevel", "Choose how severe an event must be to be reported."),
        Action(version, "SetNetworkProfile", "Tell the station how to connect, as one of its network profiles."),
        Action(version, "SetVariableMonitoring", "Let the station monitor variables."),
        Action(version, "SetVariables", "Set variables of the station."),
        Action(version, "TriggerMessage", "Ask the station to send a message now."),
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
