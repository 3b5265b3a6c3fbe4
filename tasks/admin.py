"""The admin site of commands, and of what can be done by commands, which the domain does not know."""

from collections.abc import Iterable

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from chargers.admin import ReadOnly, column, link, of_transaction, pretty, station
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, IdTag, Reservation
from chargers.models.reservation import OPEN
from chargers.secrets import masked
from tasks import dispatch
from tasks.action import Action, Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command, CommandStatus
from tasks.roles import Role, may
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


class Operated(ReadOnly):
    """Rows that whoever may send commands can do something about."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return may(request.user, Role.OPERATOR)


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
class ReservationAdmin(Operated):
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
    actions = ("cancel",)

    @admin.display(description="id tag", ordering="id_tag_id")
    def tag(self, row: Reservation) -> SafeString:
        return link(IdTag, row.id_tag_id)

    @admin.display(description="command")
    def command(self, row: Reservation) -> SafeString:
        return link(Command, row.command_id)

    @admin.action(description="Cancel reservations that are not over", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Reservation]) -> None:
        rows = queryset.filter(status__in=OPEN)
        ask_each(
            self,
            request,
            BY_NAME[OcppVersion.V16, "CancelReservation"],
            ((row, row.chargepoint_id, {"reservationId": row.reservation_id}) for row in rows),
        )
