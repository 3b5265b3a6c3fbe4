"""Reads that span relations, each with all that its representation needs and no query per row."""

from datetime import datetime

from django.db.models import Prefetch, QuerySet

from chargers.models import (
    ChargePoint,
    Connector,
    FirmwarePublication,
    FirmwareUpdate,
    IdTag,
    LogUpload,
    Reservation,
    Transaction,
)


def chargepoints(*, now: datetime) -> QuerySet[ChargePoint]:
    """Read stations with what is known of them; as lists, since a manager a row costs more than the rest of a page."""
    return ChargePoint.objects.with_connected(now).prefetch_related(  # type: ignore[no-redef]
        Prefetch("deviations", to_attr="known_deviations"), Prefetch("limitations", to_attr="known_limitations")
    )


def connectors() -> QuerySet[Connector]:
    return Connector.objects.all()


def firmwarepublications() -> QuerySet[FirmwarePublication]:
    return FirmwarePublication.objects.select_related("asked_by")


def firmwareupdates() -> QuerySet[FirmwareUpdate]:
    return FirmwareUpdate.objects.select_related("asked_by")


def idtags() -> QuerySet[IdTag]:
    return IdTag.objects.select_related("user")


def loguploads() -> QuerySet[LogUpload]:
    return LogUpload.objects.select_related("asked_by")


def transactions() -> QuerySet[Transaction]:
    return Transaction.objects.select_related("connector")


def reservations() -> QuerySet[Reservation]:
    return Reservation.objects.select_related("connector")
