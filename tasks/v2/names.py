"""How transactions are named in requests of OCPP 2.x."""

from chargers.models import ChargePoint, Transaction


def station_id(station: ChargePoint, named: str) -> str:
    """Return the id by which a station knows one of its transactions; an unknown one is taken as given."""
    mine = Transaction.objects.filter(chargepoint=station, uuid__isnull=False)
    if named.isascii() and named.isdecimal() and len(named) < 19 and not mine.filter(uuid=named).exists():
        return mine.filter(pk=int(named)).values_list("uuid", flat=True).first() or named
    return named
