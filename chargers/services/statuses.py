"""Statuses: the history of what stations report, and the state it leaves."""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.choices import ConnectorStatus
from chargers.models import ChargePoint, StatusNotification
from chargers.services import connectors
from chargers.values import StatusReport


def record(values: Sequence[StatusReport], changes: Changes) -> list[None]:
    """Store every report, and let the newest by the station's own time be the live state (BO-11)."""
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
    )
    known = connectors.ensure(((v.station, v.evse_id, v.connector_id) for v in values), changes)
    for value in values:
        if value.evse_id == 0:
            _move_station(value, changes)
            continue
        connector = known[value.station, value.evse_id, value.connector_id]
        if _is_news(value, connector.status_timestamp):
            connector.connector_status = _known(value.status)
            connector.status_timestamp = value.at
            connector.error_code = value.error_code
            connector.save(update_fields=["connector_status", "status_timestamp", "error_code"])
            changes.note(connectors.TOPIC, connector.pk)
    return [None] * len(values)


def _is_news(value: StatusReport, last: datetime | None) -> bool:
    """Tell whether a status is newer than the last one; a last one from the future was a clock's mistake."""
    return last is None or not value.at < last <= value.received_at


def _known(status: str) -> str:
    return status if status in ConnectorStatus.values else ConnectorStatus.UNKNOWN


def _move_station(value: StatusReport, changes: Changes) -> None:
    station = ChargePoint.objects.only("chargepoint_status_timestamp").filter(pk=value.station).first()
    if station is not None and _is_news(value, station.chargepoint_status_timestamp):
        station.chargepoint_status = _known(value.status)
        station.chargepoint_status_timestamp = value.at
        station.save(update_fields=["chargepoint_status", "chargepoint_status_timestamp"])
        changes.note("chargepoint", value.station)
