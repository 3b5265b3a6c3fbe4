"""What stations tell, given straight to the services, each in a batch of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, Transaction
from chargers.services import (
    metervalues,
    stations,
    statuses,
    transactionevents,
    transactions,
    transactionstarts,
    transactionstops,
)
from chargers.values import (
    NO_TRANSACTION,
    Authorization,
    Boot,
    MeterReport,
    Reading,
    Sample,
    Started,
    StatusReport,
    Stopped,
    TransactionEvent,
    TransactionRef,
    TransactionStart,
    TransactionStop,
)

V16 = OcppVersion.V16
TEN_O_CLOCK = datetime(2026, 1, 1, 10, tzinfo=UTC)
# How long a message is on its way.
TRAVEL = timedelta(seconds=1)


def at(minute: float) -> datetime:
    """Return the moment so many minutes after ten o'clock."""
    return TEN_O_CLOCK + timedelta(minutes=minute)


def wh(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def station(identity: str = "CP1", **members: Any) -> ChargePoint:
    return ChargePoint.objects.create(chargepoint_id=identity, **members)


def row(told: Started | Stopped) -> Transaction:
    """Read the transaction that a start or a stop was answered with."""
    return Transaction.objects.get(pk=told.transaction_id)


def a_start(
    minute: float = 0,
    *,
    meter: float | None = 1000,
    evse_id: int = 1,
    id_token: str = "TAG1",
    told_at: float | None = None,
    **members: Any,
) -> TransactionStart:
    defaults = {
        "station": "CP1",
        "ocpp_version": V16,
        "connector_id": 1 if evse_id else 0,
        "at": at(minute),
        "received_at": at(minute if told_at is None else told_at) + TRAVEL,
        "fingerprint": f"start {evse_id} {id_token} {minute} {meter}",
    }
    return TransactionStart(evse_id=evse_id, id_token=id_token, meter_start=wh(meter), **defaults | members)


def start(minute: float = 0, changes: Changes | None = None, **members: Any) -> Started:
    (started,) = transactionstarts.record([a_start(minute, **members)], changes if changes is not None else Changes())
    return started


def a_stop(
    number: int | None,
    minute: float = 30,
    *,
    meter: float | None = 2000,
    id_token: str = "TAG1",
    told_at: float | None = None,
    **members: Any,
) -> TransactionStop:
    defaults = {
        "station": "CP1",
        "ocpp_version": V16,
        "ref": TransactionRef(number=number) if number is not None else TransactionRef(by_connector=True),
        "at": at(minute),
        "received_at": at(minute if told_at is None else told_at) + TRAVEL,
        "fingerprint": f"stop {number} {id_token} {minute} {meter}",
    }
    return TransactionStop(id_token=id_token, meter_stop=wh(meter), **defaults | members)


def stop(number: int | None, minute: float = 30, changes: Changes | None = None, **members: Any) -> Stopped:
    (stopped,) = transactionstops.record(
        [a_stop(number, minute, **members)], changes if changes is not None else Changes()
    )
    return stopped


def an_event(kind: str, seq_no: int, minute: float, *meter: float | Sample, **members: Any) -> TransactionEvent:
    """Spell an event of CP1's transaction T1; numbers stand for the energy register in Wh."""
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    samples = [energy(each, context=context) if isinstance(each, int | float) else each for each in meter]
    defaults = {
        "station": "CP1",
        "ocpp_version": OcppVersion.V201,
        "uuid": "T1",
        "trigger": "CablePluggedIn" if kind == "Started" else "MeterValuePeriodic",
        "at": at(minute),
        "received_at": at(minute) + TRAVEL,
        "evse_id": 1,
        "connector_id": 1,
        "reason": "Local" if kind == "Ended" else "",
        "readings": [reading(minute, *samples)] if samples else (),
    }
    return TransactionEvent(kind=kind, seq_no=seq_no, **defaults | members)


def event(
    kind: str, seq_no: int, minute: float, *meter: float | Sample, changes: Changes | None = None, **members: Any
) -> Authorization | None:
    """Tell one event in a batch of its own; return what the token that it names is told."""
    values = [an_event(kind, seq_no, minute, *meter, **members)]
    [answer] = transactionevents.record(values, changes if changes is not None else Changes())
    return answer.authorization


def energy(value: float | str, **members: Any) -> Sample:
    sample: dict[str, Any] = {"value": str(value), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    return sample | members  # type: ignore[return-value]


def power(watts: float) -> Sample:
    return {"value": str(watts), "measurand": "Power.Active.Import", "unit": "W"}


def reading(minute: float, *samples: Sample) -> Reading:
    return Reading(at(minute), samples)


def a_report(
    number: int | None, readings: Sequence[Reading], *, evse_id: int = 1, received: float | None = None, **members: Any
) -> MeterReport:
    moment = at(received) if received is not None else max((each.at for each in readings), default=at(0))
    defaults = {
        "station": "CP1",
        "ocpp_version": V16,
        "connector_id": 1 if evse_id else 0,
        "ref": NO_TRANSACTION if number is None else TransactionRef(number=number),
        "received_at": moment + TRAVEL,
    }
    return MeterReport(evse_id=evse_id, readings=readings, **defaults | members)


def meter(number: int | None, minute: float, *samples: float | Sample, **members: Any) -> None:
    """Tell one reading; a number stands for the energy register in Wh."""
    told = [energy(each) if isinstance(each, int | float) else each for each in samples]
    metervalues.record([a_report(number, [reading(minute, *told)], **members)], Changes())


def a_status(
    status: str, minute: float, *, evse_id: int = 1, told_at: float | None = None, **members: Any
) -> StatusReport:
    defaults = {
        "station": "CP1",
        "ocpp_version": V16,
        "connector_id": 1 if evse_id else 0,
        "at": at(minute),
        "received_at": at(minute if told_at is None else told_at) + TRAVEL,
        "error_code": "NoError",
    }
    return StatusReport(status=status, evse_id=evse_id, **defaults | members)


def status(status: str, minute: float, changes: Changes | None = None, **members: Any) -> None:
    statuses.record([a_status(status, minute, **members)], changes if changes is not None else Changes())


def a_boot(minute: float, **members: Any) -> Boot:
    return Boot(**{"station": "CP1", "at": at(minute), "vendor": "Acme", "model": "One"} | members)


def boot(minute: float, **members: Any) -> None:
    stations.boot([a_boot(minute, **members)], Changes())


def abandoned(minute: float, changes: Changes | None = None) -> int:
    """Close what is abandoned by then."""
    return transactions.close_abandoned(now=at(minute), changes=changes if changes is not None else Changes())
