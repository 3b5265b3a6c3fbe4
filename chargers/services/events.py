"""Events: what stations notice of their variables (2.0.1 N07, N08)."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import Connector, Event, VariableMonitor
from chargers.services import statuses
from chargers.values import EventReport, EventsReport, StatusReport

TOPIC = "event"
# What tells the status of a connector besides StatusNotification (B01, G01).
STATUS = ("Connector", "AvailabilityState")

# A station, and its number of an event.
Told = tuple[EventsReport, EventReport]


def record(values: Sequence[EventsReport], changes: Changes) -> list[None]:
    """Keep every event once, whatever is repeated, and let those that tell a connector's status be a status too."""
    told = [(value, event) for value in values for event in value.events]
    known = _known(told)
    severities = _severities(values)
    new = {}
    for value, event in told:
        row = _row(value, event)
        row.severity = severities.get((value.station, event.monitor_id))
        if _key(row) not in known:
            new[_key(row)] = row
    Event.objects.bulk_create(new.values(), ignore_conflicts=True)
    for row in _known(told).values():
        if _key(row) in new:
            changes.note(TOPIC, row.pk, "created")
    for value, event in told:
        if event.cleared:
            _clear(value, event, changes)
    _tell_statuses(told, changes)
    return [None] * len(values)


def _row(value: EventsReport, event: EventReport) -> Event:
    row = Event(
        chargepoint_id=value.station,
        event_id=event.number,
        trigger=event.trigger,
        notification=event.notification,
        monitor_id=event.monitor_id,
        actual_value=event.actual_value,
        cause=event.cause,
        tech_code=event.tech_code,
        tech_info=event.tech_info,
        transaction_uuid=event.transaction_uuid,
        cleared=event.cleared,
        timestamp=event.at,
        timestamp_raw=event.at_raw,
        received_at=value.received_at,
    )
    row.be_about(event.name)
    return row


def _key(row: Event) -> tuple[object, ...]:
    return (
        row.chargepoint_id,
        row.event_id,
        row.timestamp,
        row.component,
        row.evse_id,
        row.connectorid,
        row.variable,
    )


def _known(told: Sequence[Told]) -> dict[tuple[object, ...], Event]:
    rows = Event.objects.filter(
        chargepoint__in={value.station for value, _ in told},
        event_id__in={event.number for _, event in told},
        timestamp__in={event.at for _, event in told},
    )
    return {_key(row): row for row in rows}


def _severities(values: Sequence[EventsReport]) -> dict[tuple[str, int | None], int]:
    monitors = VariableMonitor.objects.filter(
        chargepoint__in={value.station for value in values},
        monitor_id__in={event.monitor_id for value in values for event in value.events if event.monitor_id is not None},
    )
    return {
        (station, number): severity
        for station, number, severity in monitors.values_list("chargepoint", "monitor_id", "severity")
    }


def _clear(value: EventsReport, event: EventReport, changes: Changes) -> None:
    """Let the alarms that an event tells the end of be over."""
    alarms = Event.objects.filter(
        chargepoint=value.station,
        component=event.name.component,
        component_instance=event.name.component_instance,
        evse_id=event.name.evse_id,
        connectorid=event.name.connector_id,
        variable=event.name.variable,
        variable_instance=event.name.variable_instance,
        monitor_id=event.monitor_id,
        cleared=False,
        cleared_at=None,
        timestamp__lte=event.at,
    )
    for key in alarms.values_list("pk", flat=True):
        changes.note(TOPIC, key)
    alarms.update(cleared_at=event.at)


def _tell_statuses(told: Sequence[Told], changes: Changes) -> None:
    """Take the statuses that are news: stations tell most of them in a StatusNotification as well."""
    found = [
        StatusReport(
            station=value.station,
            ocpp_version=value.ocpp_version,
            evse_id=event.name.evse_id,
            connector_id=event.name.connector_id,
            status=event.actual_value,
            at=event.at,
            at_raw=event.at_raw,
            received_at=value.received_at,
        )
        for value, event in told
        if (event.name.component, event.name.variable) == STATUS and event.name.evse_id and event.name.connector_id
    ]
    if not found:
        return
    rows = Connector.objects.filter(chargepoint__in={each.station for each in found})
    current = {(row.chargepoint_id, row.evse_id, row.connectorid): row.connector_status for row in rows}
    if news := [each for each in found if current.get((each.station, each.evse_id, each.connector_id)) != each.status]:
        statuses.record(news, changes)
