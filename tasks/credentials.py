"""What stations prove their identity with, where a command changes it: their keys and security profiles.

What is proposed is good beside the old from now on: the station may take it and be cut off before
its answer arrives.
"""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.services import stations
from tasks.action import Draft
from tasks.errors import KeyChangeInDoubt
from tasks.models import Command, CommandStatus


def propose_key(draft: Draft, key: str) -> None:
    """Let a station use another key. Raises KeyChangeInDoubt while the change before is not settled."""
    if not stations.propose_key(draft.station, key.encode(), draft.command_id, instead=draft.force):
        raise KeyChangeInDoubt(
            f"It is not known whether {draft.station} uses the key of the change before this one. It tells by "
            "connecting with that key: wait for it, or ask for a Reset. With `force` that key is given up, "
            "and if the station uses it and does not take the new one, it is locked out."
        )


def propose_profile(draft: Draft, profile: int) -> str:
    """Let a station use a higher security profile; return why it never could, and nothing where it can."""
    if reason := draft.station.why_unable_to_use(profile):
        return reason
    stations.propose_profile(draft.station, profile, draft.command_id)
    return ""


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """Drop the keys and profiles that stations never got, or that they answered with an error.

    What was sent and not answered may be in force: the next connection tells.
    """
    dropped = [each.pk for each in commands if each.sent_at is None or each.status == CommandStatus.ERROR]
    for change_id in dropped:
        stations.drop_proposed_key(change_id)
    stations.drop_proposed_profiles(dropped, changes)
