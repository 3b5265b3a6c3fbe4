"""What a CSMS may ask of an OCPP 1.6 station."""

from chargers.choices import LimitationKind, OcppVersion
from tasks import certificates, credentials, firmware, listupdates, logs, triggers
from tasks.action import DOWNLOAD, UPLOAD, Action
from tasks.charging import ITS_TRANSACTION, STORED_PROFILE
from tasks.reservations import unanswered as unanswered_reservations
from tasks.v16 import charging, configuration, diagnostics, locallists, reservations, transactions
from tasks.v16 import firmware as plain_firmware

V16 = OcppVersion.V16

ACTIONS: tuple[Action, ...] = (
    Action(V16, "CancelReservation", "Give up a reservation."),
    Action(
        V16,
        "CertificateSigned",
        "Bring the station its own certificate, signed; what it asks to be signed is brought to it by itself.",
        prepare=certificates.prepare_chain,
    ),
    Action(
        V16,
        "ChangeAvailability",
        "Put a connector, or the whole station, in or out of service.",
        renames={"availability_type": "type"},
        path_aliases=("changeavailaility",),
    ),
    Action(
        V16,
        "ChangeConfiguration",
        "Set a configuration key of the station.",
        prepare=configuration.prepare_change,
        unanswered=credentials.unanswered,
    ),
    Action(V16, "ClearCache", "Make the station forget the id tags it has cached."),
    Action(V16, "ClearChargingProfile", "Remove charging profiles from the station: one by its id, or all that match."),
    Action(V16, "DataTransfer", "Send vendor-specific data."),
    Action(V16, "DeleteCertificate", "Delete a root certificate, named by its hashes."),
    Action(
        V16,
        "ExtendedTriggerMessage",
        "Ask the station to send a message now, one of the security extensions too.",
        needs=triggers.needs,
    ),
    Action(
        V16,
        "GetCompositeSchedule",
        "Read what all charging profiles of a connector, or of the station, come to.",
        renames={"charging_rate_unit_type": "charging_rate_unit"},
    ),
    Action(V16, "GetConfiguration", "Read configuration keys and keep them as variables.", renames={"keys": "key"}),
    Action(
        V16,
        "GetDiagnostics",
        "Ask the station to upload its diagnostics.",
        note=UPLOAD,
        fills=("location",),
        prepare=diagnostics.prepare_diagnostics,
        unanswered=logs.unanswered,
    ),
    Action(V16, "GetInstalledCertificateIds", "Read which root certificates the station holds, and keep them."),
    Action(V16, "GetLocalListVersion", "Ask which version of the local authorisation list the station holds."),
    Action(
        V16,
        "GetLog",
        "Ask the station to upload one of its logs.",
        note=UPLOAD,
        fills=("requestId", "log", "log.remoteLocation"),
        prepare=logs.prepare_log,
        unanswered=logs.unanswered,
    ),
    Action(
        V16,
        "InstallCertificate",
        "Install a root certificate, by which the station verifies the platform or its manufacturer.",
        prepare=certificates.prepare_root,
    ),
    Action(
        V16,
        "RemoteStartTransaction",
        "Ask the station to start charging for an id tag.",
        fills=("chargingProfile.chargingProfileId",),
        extras={"charging_profile_id": STORED_PROFILE},
        prepare=charging.prepare_start,
        unanswered=charging.start_unanswered,
        while_pending=False,
    ),
    Action(
        V16,
        "RemoteStopTransaction",
        "Ask the station to stop a transaction.",
        prepare=transactions.name_as_the_station_does,
        while_pending=False,
    ),
    Action(
        V16,
        "ReserveNow",
        "Reserve a connector, or with connector 0 any of them, for an id tag and its group.",
        fills=("reservationId",),
        prepare=reservations.prepare,
        unanswered=unanswered_reservations,
    ),
    Action(V16, "Reset", "Restart the station.", renames={"reset_type": "type"}),
    Action(
        V16,
        "SendLocalList",
        "Send the local authorisation list or changes of it, in parts where the station wants that.",
        fills=("listVersion",),
        prepare=locallists.prepare,
        needs=lambda payload: [(LimitationKind.LOCAL_LIST, "")],
        unanswered=listupdates.unanswered,
    ),
    Action(
        V16,
        "SetChargingProfile",
        "Limit what the station, a connector or a transaction may charge with.",
        fills=("csChargingProfiles", "csChargingProfiles.chargingProfileId"),
        extras={"charging_profile_id": STORED_PROFILE, "transaction_id": ITS_TRANSACTION},
        prepare=charging.prepare_setting,
        needs=charging.needs_of_setting,
        instead=charging.purposes_taken,
    ),
    Action(
        V16,
        "SignedUpdateFirmware",
        "Ask the station to install a firmware that its maker has signed.",
        note=DOWNLOAD,
        fills=("requestId", "firmware.location"),
        prepare=firmware.prepare_numbered_update,
        unanswered=firmware.unanswered,
    ),
    Action(V16, "TriggerMessage", "Ask the station to send a message now.", needs=triggers.needs),
    Action(V16, "UnlockConnector", "Unlock a connector's cable."),
    Action(
        V16,
        "UpdateFirmware",
        "Ask the station to install a firmware.",
        note=DOWNLOAD,
        fills=("location",),
        prepare=plain_firmware.prepare_update,
        unanswered=firmware.unanswered,
    ),
)
