"""Statuses: the history of what stations report, and the state it leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from chargers.changes import Changes
from chargers.choices import ConnectorStatus
from chargers.models import ChargePoint, Connector, StatusNotification
from chargers.services import connectors, reservations
from chargers.values import StatusReport

# Statuses this close to each other are taken in the order they come: stations set their clocks by
# our whole seconds, so theirs run a little behind the times of receipt that stand in for absent ones.
CLOCK_SLACK = timedelta(seconds=2)


def record(values: Sequence[StatusReport], changes: Changes) -> list[None]:
    """Store every report, and let the newest by the station's own time be the live state (BO-11).

    It takes a fixed number of statements a batch: after an outage all stations report at once. A report that is
    told again, as its answer was lost, is stored once; it takes a query of its own.
    """
    known = connectors.ensure(((v.station, v.evse_id, v.connector_id) for v in values if v.evse_id), changes)
    wholes = [value.station for value in values if not value.evse_id]
    stations = ChargePoint.objects.only("chargepoint_status_timestamp").in_bulk(wholes) if wholes else {}
    StatusNotification.objects.bulk_create(
        StatusNotification(
            chargepoint_id=value.station,
            ocpp_version=value.ocpp_version,
            evse_id=value.evse_id,
            connectorid=value.connector_id,
            status=value.status,
            error_code=value.error_code,
            info=value.info,
            vendor_id=value.vendor_id,
            vendor_error_code=value.vendor_error_code,
            timestamp=value.at,
            timestamp_raw=value.at_raw,
            received_at=value.received_at,
        )
        for value in values
        if not _is_repeated(value, known, stations)
    )
    _move_connectors([value for value in values if value.evse_id], known, changes)
    _move_stations([value for value in values if not value.evse_id], stations, changes)
    reservations.lose(values, changes)
    return [None] * len(values)


def _is_repeated(
    value: StatusReport, known: Mapping[connectors.Place, Connector], stations: Mapping[str, ChargePoint]
) -> bool:
    """Tell whether the last report of a place was this one.

    History is asked only where the live state has its very time: a plug that bounces within a second tells news.
    """
    if value.evse_id:
        last = known[value.station, value.evse_id, value.connector_id].status_timestamp
    else:
        last = station.chargepoint_status_timestamp if (station := stations.get(value.station)) else None
    if last != value.at:
        return False
    reports = StatusNotification.objects.filter(
        chargepoint=value.station, evse_id=value.evse_id, connectorid=value.connector_id
    )
    told = (value.at, value.status, value.error_code, value.info, value.vendor_id, value.vendor_error_code)
    fields = ("timestamp", "status", "error_code", "info", "vendor_id", "vendor_error_code")
    return reports.order_by("-id").values_list(*fields).first() == told


def _move_connectors(
    values: Sequence[StatusReport], known: Mapping[connectors.Place, Connector], changes: Changes
) -> None:
    moved = {}
    for value in values:
        connector = known[value.station, value.evse_id, value.connector_id]
        if _is_news(value, connector.status_timestamp):
            connector.connector_status = _known(value.status)
            connector.status_timestamp = value.at
            connector.error_code = value.error_code
            moved[connector.pk] = connector
            changes.note(connectors.TOPIC, connector.pk)
    Connector.objects.bulk_update(moved.values(), ["connector_status", "status_timestamp", "error_code"])


def _move_stations(values: Sequence[StatusReport], stations: Mapping[str, ChargePoint], changes: Changes) -> None:
    moved = {}
    for value in values:
        station = stations.get(value.station)
        if station is not None and _is_news(value, station.chargepoint_status_timestamp):
            station.chargepoint_status = _known(value.status)
            station.chargepoint_status_timestamp = value.at
            moved[station.pk] = station
            changes.note("chargepoint", station.pk)
    ChargePoint.objects.bulk_update(moved.values(), ["chargepoint_status", "chargepoint_status_timestamp"])


def _is_news(value: StatusReport, last: datetime | None) -> bool:
    """Tell whether a status is newer than the last one; a last one from the future was a clock's mistake."""
    return last is None or not value.at < last - CLOCK_SLACK < value.received_at


def _known(status: str) -> str:
    return status if status in ConnectorStatus.values else ConnectorStatus.UNKNOWN
