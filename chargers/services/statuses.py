"""Statuses: the history of what stations report, and the state it leaves."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from chargers.changes import Changes
from chargers.choices import ConnectorStatus
from chargers.models import ChargePoint, Connector, StatusNotification
from chargers.services import connectors, reservations
from chargers.sql import update_rows
from chargers.values import StatusReport

# Statuses this close to each other are taken in the order they come: stations set their clocks by
# our whole seconds, so theirs run a little behind the times of receipt that stand in for absent ones.
CLOCK_SLACK = timedelta(seconds=2)
# How far back a status is looked for that may be stored already, in rows of all stations.
RECENT = 50_000
# Of what place and time a stored report is, and what it says.
MOMENT = ("chargepoint_id", "evse_id", "connectorid", "timestamp")
CONTENT = ("status", "error_code", "info", "vendor_id", "vendor_error_code")


def record(values: Sequence[StatusReport], changes: Changes) -> list[None]:
    """Store every report, and let the newest by the station's own time be the live state (BO-11).

    It takes a fixed number of statements a batch: after an outage all stations report at once. A
    report that is stored already is not stored twice, and moves nothing: a station sends again
    what was not answered.
    """
    on_connectors = connectors.ensure(((v.station, v.evse_id, v.connector_id) for v in values), changes)
    at_large = [value.station for value in values if not value.evse_id]
    stations = ChargePoint.objects.only("chargepoint_status_timestamp").in_bulk(at_large) if at_large else {}

    def last_of(value: StatusReport) -> datetime | None:
        if value.evse_id:
            return connector.status_timestamp if (connector := on_connectors.get(_place(value))) else None
        return station.chargepoint_status_timestamp if (station := stations.get(value.station)) else None

    new = _new(values, last_of)
    StatusNotification.objects.bulk_create(map(_row, new))
    _move_connectors([value for value in new if value.evse_id], on_connectors, changes)
    _move_stations([value for value in new if not value.evse_id], stations, changes)
    reservations.lose(new, changes)
    return [None] * len(values)


def _row(value: StatusReport) -> StatusNotification:
    return StatusNotification(
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


def _place(value: StatusReport) -> connectors.Place:
    return value.station, value.evse_id, value.connector_id


def _new(values: Sequence[StatusReport], last_of: Callable[[StatusReport], datetime | None]) -> list[StatusReport]:
    """Leave out reports that are stored already: the last of their place and time says the same.

    One that is newer than the live state cannot be; a plug that bounces within a second tells news.
    """
    doubtful = [value for value in values if (last := last_of(value)) is not None and value.at <= last]
    told = _stored(doubtful) if doubtful else {}
    new = []
    for value in values:
        moment = (*_place(value), value.at)
        content = (value.status, value.error_code, value.info, value.vendor_id, value.vendor_error_code)
        if told.get(moment) != content:
            told[moment] = content
            new.append(value)
    return new


def _stored(doubtful: Sequence[StatusReport]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Read what was told last of each place at the times of doubtful reports."""
    # The index leads through the rows of a station by their keys.
    newest = StatusNotification.objects.aggregate(Max("pk"))["pk__max"] or 0
    rows = StatusNotification.objects.filter(
        chargepoint__in={value.station for value in doubtful},
        pk__gt=newest - RECENT,
        timestamp__in={value.at for value in doubtful},
    )
    found = rows.order_by("pk").values_list(*MOMENT, *CONTENT)
    return {row[: len(MOMENT)]: row[len(MOMENT) :] for row in found}


def _move_connectors(
    values: Sequence[StatusReport], known: Mapping[connectors.Place, Connector], changes: Changes
) -> None:
    moved = {}
    for value in values:
        connector = known.get(_place(value))
        if connector is not None and _is_news(value, connector.status_timestamp):
            connector.connector_status = _known(value.status)
            connector.status_timestamp = value.at
            connector.error_code = value.error_code
            moved[connector.pk] = connector
            changes.note(connectors.TOPIC, connector.pk)
    update_rows(moved.values(), ["connector_status", "status_timestamp", "error_code"])


def _move_stations(values: Sequence[StatusReport], known: Mapping[str, ChargePoint], changes: Changes) -> None:
    moved = {}
    for value in values:
        station = known.get(value.station)
        if station is not None and _is_news(value, station.chargepoint_status_timestamp):
            station.chargepoint_status = _known(value.status)
            station.chargepoint_status_timestamp = value.at
            moved[station.pk] = station
            changes.note("chargepoint", station.pk)
    update_rows(moved.values(), ["chargepoint_status", "chargepoint_status_timestamp"])


def _is_news(value: StatusReport, last: datetime | None) -> bool:
    """Tell whether a status is newer than the last one; a last one from the future was a clock's mistake."""
    return last is None or not value.at < last - CLOCK_SLACK < value.received_at


def _known(status: str) -> str:
    return status if status in ConnectorStatus.values else ConnectorStatus.UNKNOWN
