"""Certificates of stations: having them signed, and bringing them to the stations."""

import logging
import time
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chargers.changes import Changes
from chargers.choices import CertificateStatus, CertificateUse, OcppVersion
from chargers.models import Certificate, ChargePoint
from chargers.services import certificates
from tasks import broker, commands
from tasks.action import Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command
from tasks.schemas import InvalidBody

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100


def work_on(*, changes: Changes) -> None:
    """Have due requests signed, as many as their time allows, and bring what is signed to connected stations."""
    began = time.monotonic()
    deliver(now=timezone.now(), changes=changes)
    while time.monotonic() - began < settings.CERTIFICATE_TIMEOUT and certificates.sign_next(now=timezone.now()):
        deliver(now=timezone.now(), changes=changes)


def deliver(*, now: datetime, changes: Changes) -> None:
    """Send due chains to stations that are connected; the others get theirs when they are back."""
    connected = ChargePoint.objects.with_connected(now).filter(connected=True)
    due = Certificate.objects.filter(status=CertificateStatus.SIGNED, due_at__lte=now, chargepoint__in=connected)
    for row in due.order_by("due_at")[:MOST_AT_ONCE]:
        with transaction.atomic():
            command = _send(row, now, changes)
            if command is None:
                # However many have to wait, the others get their turn.
                certificates.put_off(row, now=now)
        if command is not None:
            _relay(command, now, changes)


def _send(row: Certificate, now: datetime, changes: Changes) -> Command | None:
    """Store the command that brings a chain to its station; none where it has to wait, or is given up."""
    before = Command.objects.filter(pk=row.command_id).first()
    if before is not None and before.is_open:
        return None
    station = ChargePoint.objects.with_connected(now).get(pk=row.chargepoint_id)
    action = BY_NAME.get((station.ocpp_version, "CertificateSigned"))
    kind = _kind(row, station)
    if action is None or kind is None:
        return None
    try:
        commands.check_sendable(station, action)
    except CommandError:
        return None
    if not certificates.begin_delivery(row, now=now, failure=_failure(before), counts=not _never_left(before)):
        return None
    try:
        command = commands.create(
            station=station,
            action=action,
            payload={"certificateChain": row.pem, **kind},
            requested_by=None,
            now=now,
            changes=changes,
        )
    except (CommandError, InvalidBody) as error:
        certificates.give_up(row, now=now, reason=str(error))
        return None
    certificates.brought_by(row, command.pk)
    return command


def _kind(row: Certificate, station: ChargePoint) -> Payload | None:
    """Say what a chain is for in the words of the station's version; None where that has none (A02.FR.14)."""
    if station.ocpp_version == OcppVersion.V16:
        return None if row.use == CertificateUse.V2G else {}
    return {} if row.use == CertificateUse.COMBINED else {"certificateType": row.use}


def _failure(command: Command | None) -> str:
    """Say why a command brought nothing."""
    error = command.error if command else None
    return f"{error['code']}: {error['description']}" if error else ""


def _never_left(command: Command | None) -> bool:
    """Tell whether a command ended before it was sent, as when the station went away: that is no attempt."""
    return command is not None and command.sent_at is None


def _relay(command: Command, now: datetime, changes: Changes) -> None:
    try:
        commands.relay(command.pk, now=now, changes=changes)
    except broker.RedisError as error:
        # The sweep ends it, and the chain is due again.
        extra = {"chargepoint_id": command.chargepoint_id, "command_id": command.pk}
        logger.warning("command %s was not relayed: %s", command.pk, error, extra=extra)
