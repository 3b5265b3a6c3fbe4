"""Requests about transactions."""

from chargers.models import Transaction
from tasks.action import Draft, Payload


def name_as_the_station_does(draft: Draft) -> Payload:
    """Name a transaction that began elsewhere by the id its station knows (TX-18)."""
    foreign = Transaction.objects.filter(
        pk=draft.payload["transactionId"], chargepoint=draft.station, uuid__isnull=False
    ).values_list("uuid", flat=True)
    for uuid in foreign:
        if uuid and uuid.isdecimal():
            return {**draft.payload, "transactionId": int(uuid)}
    return draft.payload
