"""The admin site of commands."""

from django.contrib import admin
from django.utils.safestring import SafeString

from chargers.admin import ReadOnly, column, pretty, station
from chargers.secrets import masked
from tasks.models import Command


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
