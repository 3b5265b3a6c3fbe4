"""The admin site of commands, and of what can be done by commands, which the domain does not know."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from chargers.admin import (
    ConnectorAdmin,
    ReadOnly,
    StationAdmin,
    TransactionAdmin,
    column,
    link,
    of_transaction,
    pretty,
    station,
)
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, Connector, IdTag, Reservation, Transaction
from chargers.models.reservation import OPEN
from chargers.secrets import masked
from tasks import dispatch
from tasks.action import Action, Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody

# A row that a station is asked about, the station's identity, and what it is asked.
Asked = tuple[Model, str | None, Payload]


def ask_each(of: admin.ModelAdmin, request: HttpRequest, action: Action, asked: Iterable[Asked]) -> None:
    """Send a command for each row, as REST does without waiting, and tell the user of those that cannot be sent."""
    asked = list(asked)
    known = ChargePoint.objects.with_connected(timezone.now())
    stations = known.in_bulk([key for _, key, _ in asked if key is not None])
    sent = 0
    for row, key, payload in asked:
        try:
            if key not in stations:
                raise CommandError(f"{key} is gone")
            command = dispatch.ask(stations[key], action, payload, requested_by=request.user)
            if command.status == CommandStatus.ERROR:
                raise CommandError(dispatch.QUEUE_DOWN)
        except (CommandError, InvalidBody) as error:
            of.message_user(request, f"{row}: {error}", messages.WARNING)
        else:
            of.log_change(request, row, f"Sent {action.name}.")
            sent += 1
    if sent:
        of.message_user(request, f"{sent} on their way: {action.name}. The commands tell what comes of them.")


class Operated(admin.ModelAdmin):
    """Rows that whoever may send commands can do something about."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks.add_command")


def asking(name: str, description: str, asked: Callable[[QuerySet[Any]], Iterable[Asked]]) -> Callable[..., None]:
    """Make an admin action that sends a command of OCPP 1.6 for each of the chosen rows."""

    @admin.action(description=description, permissions=["operate"])
    def act(self: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ask_each(self, request, BY_NAME[OcppVersion.V16, name], asked(queryset))

    act.__name__ = description.lower().replace(" ", "_")
    return act


def of_stations(payload: Payload) -> Callable[[QuerySet[ChargePoint]], Iterable[Asked]]:
    return lambda rows: ((row, row.pk, payload) for row in rows)


def of_connectors(**payload: Any) -> Callable[[QuerySet[Connector]], Iterable[Asked]]:
    return lambda rows: ((row, row.chargepoint_id, {"connectorId": row.evse_id, **payload}) for row in rows)


def of_running(rows: QuerySet[Transaction]) -> Iterable[Asked]:
    running = rows.filter(stop_transaction_timestamp__isnull=True)
    return ((row, row.chargepoint_id, {"transactionId": row.pk}) for row in running)


def of_open(rows: QuerySet[Reservation]) -> Iterable[Asked]:
    return ((row, row.chargepoint_id, {"reservationId": row.reservation_id}) for row in rows.filter(status__in=OPEN))


def operate(model: type[Model], base: type[admin.ModelAdmin], *actions: Callable[..., None]) -> None:
    """Add actions that send commands to an admin page of the domain."""
    page = type(base.__name__, (Operated, base), {"actions": (*(base.actions or ()), *actions)})
    admin.site.unregister(model)
    admin.site.register(model, page)


operate(
    ChargePoint,
    StationAdmin,
    asking("TriggerMessage", "Ask for statuses", of_stations({"requestedMessage": "StatusNotification"})),
    asking("GetConfiguration", "Ask for configuration", of_stations({})),
    asking("Reset", "Soft reset", of_stations({"type": "Soft"})),
    asking("Reset", "Hard reset", of_stations({"type": "Hard"})),
)
operate(
    Connector,
    ConnectorAdmin,
    asking("UnlockConnector", "Unlock", of_connectors()),
    asking("ChangeAvailability", "Put out of service", of_connectors(type="Inoperative")),
    asking("ChangeAvailability", "Put in service", of_connectors(type="Operative")),
)
operate(Transaction, TransactionAdmin, asking("RemoteStopTransaction", "Stop remotely", of_running))


@admin.register(Command)
class CommandAdmin(ReadOnly):
    list_display = ("created_at", "action", station, "status", "why", column("requested_by", "by"), "took")
    list_filter = ("status", "action", "ocpp_version", "created_at")
    list_select_related = ("requested_by",)
    search_fields = ("chargepoint__chargepoint_id", "requested_by__username")
    search_help_text = "Station or user."
    fieldsets = (
        (None, {"fields": ("task_id", station, "ocpp_version", "action", "status", "requested_by")}),
        ("When", {"fields": ("created_at", "sent_at", "finished_at", "expires_at", "took")}),
        ("What", {"fields": ("request", "answer", "failure", "every_call")}),
    )

    @admin.display(description="error")
    def why(self, row: Command) -> str:
        return " ".join(filter(None, (row.error["code"], row.error["description"]))) if row.error else "-"

    @admin.display(description="took")
    def took(self, row: Command) -> str:
        end = row.finished_at
        return f"{(end - row.created_at).total_seconds():.1f} s" if end else "-"

    @admin.display(description="request")
    def request(self, row: Command) -> SafeString:
        return pretty(masked(row.payload))

    @admin.display(description="answer")
    def answer(self, row: Command) -> SafeString:
        return pretty(masked(row.response))

    @admin.display(description="error")
    def failure(self, row: Command) -> SafeString:
        return pretty(row.error)

    @admin.display(description="calls")
    def every_call(self, row: Command) -> SafeString:
        return pretty(masked(row.calls) or None)


@admin.register(Reservation)
class ReservationAdmin(Operated, ReadOnly):
    list_display = (
        column("reservation_id", "#"),
        station,
        column("evse_id", "EVSE"),
        "tag",
        column("parent_id_tag", "group"),
        column("expiry_date", "until"),
        column("status", "status"),
        "reason",
        of_transaction,
    )
    list_filter = ("status", "expiry_date", "created_at")
    search_fields = ("chargepoint__chargepoint_id", "id_tag__id_token", "reservation_id__exact")
    search_help_text = "Station, id tag, or number."
    fields = (
        "reservation_id",
        station,
        "evse_id",
        "tag",
        "parent_id_tag",
        "expiry_date",
        "status",
        "reason",
        of_transaction,
        "command",
        "created_at",
        "answered_at",
        "ended_at",
    )
    actions = (asking("CancelReservation", "Cancel reservations that are not over", of_open),)

    @admin.display(description="id tag", ordering="id_tag_id")
    def tag(self, row: Reservation) -> SafeString:
        return link(IdTag, row.id_tag_id)

    @admin.display(description="command")
    def command(self, row: Reservation) -> SafeString:
        return link(Command, row.command_id)
