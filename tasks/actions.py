"""What a CSMS may ask of a station: one row an action and version.

The command endpoints, their documentation and the relay are generated from this table and the
official schemas; a new command is a new row. What an answer changes stands with its version in
``csms/versions/``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chargers.choices import OcppVersion
from chargers.models import ChargePoint, Transaction

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """An OCPP action in the direction of the station.

    `renames` maps the field names that older clients send to the schema's; `prepare` completes a
    checked payload before it is stored. `while_pending` says whether the specification lets the
    CSMS send it to a station whose boot was answered Pending (OCPP 1.6 section 4.2).
    """

    version: OcppVersion
    name: str
    summary: str
    renames: Mapping[str, str] = field(default_factory=dict)
    path_aliases: tuple[str, ...] = ()
    prepare: Callable[[ChargePoint, Payload], Payload] | None = None
    while_pending: bool = True

    @property
    def path(self) -> str:
        return self.name.lower()


def _stations_own_transaction_id(station: ChargePoint, payload: Payload) -> Payload:
    """Name a transaction that began elsewhere by the id its station knows (TX-18)."""
    foreign = Transaction.objects.filter(
        pk=payload["transactionId"], chargepoint=station, uuid__isnull=False
    ).values_list("uuid", flat=True)
    for uuid in foreign:
        if uuid and uuid.isdecimal():
            return {**payload, "transactionId": int(uuid)}
    return payload


V16 = OcppVersion.V16

ACTIONS: tuple[Action, ...] = (
    Action(
        V16,
        "ChangeAvailability",
        "Put a connector, or the whole station, in or out of service.",
        renames={"availability_type": "type"},
        path_aliases=("changeavailaility",),
    ),
    Action(V16, "ChangeConfiguration", "Set a configuration key of the station."),
    Action(V16, "ClearCache", "Make the station forget the id tags it has cached."),
    Action(V16, "DataTransfer", "Send vendor-specific data."),
    Action(V16, "GetConfiguration", "Read configuration keys and keep them as variables.", renames={"keys": "key"}),
    Action(V16, "RemoteStartTransaction", "Ask the station to start charging for an id tag.", while_pending=False),
    Action(
        V16,
        "RemoteStopTransaction",
        "Ask the station to stop a transaction.",
        prepare=_stations_own_transaction_id,
        while_pending=False,
    ),
    Action(V16, "Reset", "Restart the station.", renames={"reset_type": "type"}),
    Action(V16, "TriggerMessage", "Ask the station to send a message now."),
    Action(V16, "UnlockConnector", "Unlock a connector's cable."),
)

BY_NAME: Mapping[tuple[str, str], Action] = {(action.version, action.name): action for action in ACTIONS}
