"""Boot, heartbeat and status (blocks B and G)."""

from collections.abc import Mapping, Sequence

from django.conf import settings

from chargers.choices import RegistrationStatus
from chargers.services import stations, statuses
from chargers.values import Boot, Booted, Heartbeat, StatusReport
from csms import times
from csms.versions.base import Context, Handler, Payload, Step
from csms.versions.v2.members import nothing, number


def boot(payload: Payload, context: Context) -> Boot:
    station = payload["chargingStation"]
    modem = station.get("modem", {})
    return Boot(
        station=context.station,
        at=context.received_at,
        vendor=station.get("vendorName", ""),
        model=station.get("model", ""),
        serial_number=station.get("serialNumber", ""),
        firmware_version=station.get("firmwareVersion", ""),
        iccid=modem.get("iccid", ""),
        imsi=modem.get("imsi", ""),
        triggered=payload.get("reason") == "Triggered",
        certificate=context.certificate,
        address=context.address,
    )


def booted(result: Booted, context: Context) -> Payload:
    return {
        "currentTime": times.write(context.received_at),
        "interval": settings.OCPP_HEARTBEAT_INTERVAL,
        "status": result.registration.value,
    }


def ask_for_inventory(result: Booted, context: Context) -> Sequence[Step]:
    """Ask an accepted station for all it has, where that is not known (B07), and for its monitors (N04.FR.19)."""
    steps: list[Step] = []
    if not settings.OCPP_INVENTORY or result.registration != RegistrationStatus.ACCEPTED:
        return steps
    if result.changed:
        steps.append(Step("GetBaseReport", {"reportBase": "FullInventory"}))
    if result.monitors:
        steps.append(Step("GetMonitoringReport", {}))
    return steps


def heartbeat(payload: Payload, context: Context) -> Heartbeat:
    return Heartbeat(context.station, context.received_at)


def current_time(result: None, context: Context) -> Payload:
    return {"currentTime": times.write(context.received_at)}


def status(payload: Payload, context: Context) -> StatusReport:
    moment = context.time(payload.get("timestamp"))
    return StatusReport(
        station=context.station,
        ocpp_version=context.version,
        evse_id=number(payload, "evseId"),
        connector_id=number(payload, "connectorId"),
        status=payload["connectorStatus"],
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
    )


HANDLERS: Mapping[str, Handler] = {
    "BootNotification": Handler(boot, stations.boot, booted, then=ask_for_inventory),
    "Heartbeat": Handler(heartbeat, stations.heartbeat, current_time),
    "StatusNotification": Handler(status, statuses.record, nothing, records=True, optional=("timestamp",)),
}
