"""How stations are told to connect (B09, A05)."""

from collections.abc import Mapping

from chargers.services import stations
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload


def keep_refusal(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Expect no higher security profile of a station that did not take the one it was told."""
    assert context.command_id is not None
    return [] if answer["status"] == "Accepted" else [(stations.drop_proposed_profiles, context.command_id)]


EFFECTS: Mapping[str, Effect] = {"SetNetworkProfile": keep_refusal}
