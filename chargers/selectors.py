"""Reads that span relations, each with all that its representation needs and no query per row."""

from datetime import datetime

from django.db.models import QuerySet

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
    return ChargePoint.objects.with_connected(now).prefetch_related("deviations", "limitations")


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
