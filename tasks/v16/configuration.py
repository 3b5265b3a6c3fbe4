"""Changes of configuration keys."""

import re
from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.secrets import is_station_key
from chargers.services import stations
from tasks.action import Draft, Payload
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody

# 16 to 20 bytes, two digits each (security whitepaper A00.FR.205).
_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)


def prepare_change(draft: Draft) -> Payload:
    """Check a new key for the station before anybody hears of it, and accept it from now on beside the old one.

    The station may take it and be cut off before its answer arrives.
    """
    if not is_station_key(draft.payload["key"]):
        return draft.payload
    value = draft.payload["value"]
    if not _KEY.fullmatch(value):
        raise InvalidBody({"value": ["A station's key is 32 to 40 hexadecimal digits."]})
    stations.propose_key(draft.station, value.encode(), draft.command_id)
    return draft.payload


def change_unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """Drop the keys that stations never got, or that they answered with an error.

    One that was sent and not answered may be in force: the next connection tells.
    """
    for command in commands:
        if command.sent_at is None or command.status == CommandStatus.ERROR:
            stations.drop_proposed_key(command.pk)
