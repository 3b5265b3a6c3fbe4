"""Requests about transactions (blocks E, F and I)."""

from tasks.action import Draft, Payload
from tasks.schemas import InvalidBody
from tasks.v2 import charging
from tasks.v2.names import station_id
from tasks.v2.tokens import group_of

# What `transaction_id` may be; for the documentation.
ITS_TRANSACTION = "`transaction_id` is the station's own id of the transaction, or the platform's number of it."

MAX_NUMBER = 2**31 - 1


def prepare_start(draft: Draft) -> Payload:
    """Complete a remote start (F01, F02, K05): its number, the group that a reservation may be for, its profile."""
    asked = charging.with_profile(draft)
    # The command's own id makes one that no other has; some stations read 32 bits.
    number = asked.get("remoteStartId", draft.command_id.int % MAX_NUMBER + 1)
    sent = {**asked, "remoteStartId": number}
    if "groupIdToken" not in asked and (group := group_of(asked["idToken"]["idToken"])):
        sent["groupIdToken"] = group
    return sent


def name_as_the_station_does(draft: Draft) -> Payload:
    """Name a transaction by the id that its station knows."""
    if "transactionId" not in draft.payload:
        return draft.payload
    return {**draft.payload, "transactionId": station_id(draft.station, draft.payload["transactionId"])}


def prepare_cost(draft: Draft) -> Payload:
    if draft.payload["totalCost"] < 0:
        raise InvalidBody({"total_cost": ["must not be below 0"]})
    return name_as_the_station_does(draft)
