"""The admin site of commands, and of what can be done by commands, which the domain does not know."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from chargers.admin import ReadOnly, column, link, of_transaction, pretty, station
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, IdTag, LocalList, Reservation
from chargers.models.reservation import OPEN
from chargers.secrets import masked
from chargers.services import locallists
from tasks import dispatch
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody

# Sends the command that a row of a station calls for; None where none is needed.
Send = Callable[[Any, ChargePoint], Command | None]


def send_each(of: admin.ModelAdmin, request: HttpRequest, rows: QuerySet[Any], action: str, send: Send) -> None:
    """Send a command for each row of a station, as REST does without waiting; tell the user which cannot be sent."""
    stations = ChargePoint.objects.with_connected(timezone.now()).in_bulk({row.chargepoint_id for row in rows})
    sent = 0
    for row in rows:
        try:
            if row.chargepoint_id not in stations:
                raise CommandError(f"{row.chargepoint_id} is gone")
            command = send(row, stations[row.chargepoint_id])
            if command is not None and command.status == CommandStatus.ERROR:
                raise CommandError(dispatch.QUEUE_DOWN)
        except (CommandError, InvalidBody) as error:
            of.message_user(request, f"{row}: {error}", messages.WARNING)
            continue
        if command is not None:
            of.log_change(request, row, f"Sent {action}.")
            sent += 1
    of.message_user(request, f"{sent} on their way: {action}. The commands tell what comes of them.")


def offer(model: type[Model], act: Callable[..., None]) -> None:
    """Offer an action of commands in the admin of a model of the domain."""
    of = admin.site.get_model_admin(model)
    of.actions = (*of.actions, act)


class Operated(ReadOnly):
    """Rows that operators can do something about by commands, though nobody writes them by hand."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        # Whoever may change stations may also ask them for something, as over REST.
        return request.user.has_perm("chargers.change_chargepoint")


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
        action = BY_NAME[OcppVersion.V16, "CancelReservation"]

        def send(row: Reservation, of: ChargePoint) -> Command | None:
            payload = {"reservationId": row.reservation_id}
            return dispatch.ask(of, action, payload, requested_by=request.user)

        send_each(self, request, queryset.filter(status__in=OPEN), action.name, send)


def send_lists(of: admin.ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> None:
    """Send stations what their local lists lack."""

    def send(row: Any, station: ChargePoint) -> Command | None:
        return dispatch.synchronise_list(station, requested_by=request.user)

    send_each(of, request, rows, "SendLocalList", send)


@admin.register(LocalList)
class LocalListAdmin(Operated):
    list_display = (
        station,
        "automatic",
        "version",
        column("reported_version", "reported"),
        "reported_at",
        "updated_at",
        "last_attempt",
        column("last_outcome", "outcome"),
    )
    list_filter = ("automatic", "last_outcome")
    search_fields = ("chargepoint__chargepoint_id",)
    fields = (*list_display, "failures", "is_in_sync", "number_held", "number_wanted", "held")
    actions = ("synchronise", "keep_in_sync", "leave_alone")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LocalList]:
        return super().get_queryset(request).defer("entries")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LocalList | None:
        row = super().get_object(request, object_id, from_field)
        return locallists.compare([row], now=timezone.now())[0] if row else None

    @admin.display(description="in sync", boolean=True)
    def is_in_sync(self, row: LocalList) -> bool:
        return row.in_sync

    @admin.display(description="tags it should hold")
    def number_wanted(self, row: LocalList) -> int:
        return len(row.wanted)

    @admin.display(description="tags it holds")
    def number_held(self, row: LocalList) -> str:
        return "unknown" if row.entries is None else str(len(row.entries))

    @admin.display(description="what it holds")
    def held(self, row: LocalList) -> SafeString:
        return pretty(row.entries)

    @admin.action(description="Send what they lack", permissions=["operate"])
    def synchronise(self, request: HttpRequest, queryset: QuerySet[LocalList]) -> None:
        send_lists(self, request, queryset)

    @admin.action(description="Keep in sync from now on", permissions=["operate"])
    def keep_in_sync(self, request: HttpRequest, queryset: QuerySet[LocalList]) -> None:
        self.message_user(request, f"{queryset.update(automatic=True)} are kept in sync.", messages.SUCCESS)

    @admin.action(description="Leave alone from now on", permissions=["operate"])
    def leave_alone(self, request: HttpRequest, queryset: QuerySet[LocalList]) -> None:
        self.message_user(request, f"{queryset.update(automatic=False)} are left alone.", messages.SUCCESS)


@admin.action(description="Send what their local lists lack", permissions=["change"])
def synchronise_lists(of: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[ChargePoint]) -> None:
    send_lists(of, request, queryset)


offer(ChargePoint, synchronise_lists)
