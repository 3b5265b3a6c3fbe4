"""Remote control of transactions, and what stations tell of them when asked (blocks E, F and I)."""

from collections.abc import Mapping
from decimal import Decimal

from chargers.services import transactions
from chargers.values import CostTold, RemoteStartAnswer, TransactionGone
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload
from csms.versions.v2 import charging


def keep_start(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Match a transaction that had begun before, when the cable was plugged in (F01.FR.13); keep its profile (K05)."""
    if answer["status"] != "Accepted":
        return []
    uuid, profile = answer.get("transactionId"), charging.keep_start(request, context)
    if not uuid:
        return profile
    told = RemoteStartAnswer(context.station, request["remoteStartId"], uuid, context.received_at)
    return [(transactions.follow, told), *profile]


def keep_cost(request: Payload, answer: Payload, context: Context) -> list[Work]:
    cost = Decimal(str(request["totalCost"]))
    return [(transactions.keep_costs, CostTold(context.station, request["transactionId"], cost, context.received_at))]


def keep_transaction_status(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Close a transaction that is over for the station, and of which nothing more is to come (E14)."""
    over = answer.get("ongoingIndicator") is False and not answer["messagesInQueue"]
    if "transactionId" not in request or not over:
        return []
    gone = TransactionGone(context.station, request["transactionId"], context.received_at)
    return [(transactions.close_gone, gone)]


EFFECTS: Mapping[str, Effect] = {
    "CostUpdated": keep_cost,
    "GetTransactionStatus": keep_transaction_status,
    "RequestStartTransaction": keep_start,
}
