"""What a CSMS may ask of a station: one row an action and version.

The command endpoints, their documentation and the relay are generated from this table and the
official schemas; a new command is a new row. What completes and checks a request as a whole stands
in the package of its version here, what an answer changes in ``csms/versions/``.
"""

from collections.abc import Mapping, Sequence

from chargers.choices import LimitationKind, OcppVersion
from tasks.action import Action, Need, Payload
from tasks.v16 import charging, configuration, transactions


def _trigger(payload: Payload) -> Sequence[Need]:
    return [(LimitationKind.TRIGGER, payload["requestedMessage"])]


V16 = OcppVersion.V16

STORED_PROFILE: Payload = {"type": "integer", "description": "a charging profile in store, in place of one told here"}
ITS_TRANSACTION: Payload = {"type": "integer", "description": "the transaction that a TxProfile is for"}

ACTIONS: tuple[Action, ...] = (
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
        unanswered=configuration.change_unanswered,
    ),
    Action(V16, "ClearCache", "Make the station forget the id tags it has cached."),
    Action(V16, "ClearChargingProfile", "Remove charging profiles from the station: one by its id, or all that match."),
    Action(V16, "DataTransfer", "Send vendor-specific data."),
    Action(
        V16,
        "GetCompositeSchedule",
        "Read what all charging profiles of a connector, or of the station, come to.",
        renames={"charging_rate_unit_type": "charging_rate_unit"},
    ),
    Action(V16, "GetConfiguration", "Read configuration keys and keep them as variables.", renames={"keys": "key"}),
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
    Action(V16, "Reset", "Restart the station.", renames={"reset_type": "type"}),
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
        "ExtendedTriggerMessage",
        "Ask the station to send a message now, one of the security extensions too.",
        needs=_trigger,
    ),
    Action(V16, "TriggerMessage", "Ask the station to send a message now.", needs=_trigger),
    Action(V16, "UnlockConnector", "Unlock a connector's cable."),
)

BY_NAME: Mapping[tuple[str, str], Action] = {(action.version, action.name): action for action in ACTIONS}
