"""Requests about transactions."""

from chargers.models import ChargePoint, Transaction
from tasks.action import Draft, Payload


def name_as_the_station_does(draft: Draft) -> Payload:
    """Name a transaction that began elsewhere by the id its station knows (TX-18)."""
    return {**draft.payload, "transactionId": station_number(draft.station, draft.payload["transactionId"])}


def station_number(station: ChargePoint, number: int) -> int:
    """Return the number by which a station knows one of its transactions; an unknown one is taken as given."""
    foreign = Transaction.objects.filter(pk=number, chargepoint=station, uuid__isnull=False)
    for uuid in foreign.values_list("uuid", flat=True):
        if uuid and uuid.isdecimal():
            return int(uuid)
    return number
