"""Local authorisation lists: what stations hold beside what they should, and sending what they lack."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api import filters, inputs, representations
from api.command_schema import result
from api.commands import QUEUE_DOWN, failure, submitted
from api.openapi import Schema
from api.viewsets import Changeable, Listed, Readable, Resource
from chargers.errors import UnknownStation
from chargers.models import ChargePoint, LocalList
from chargers.models.station import identity_key
from chargers.services import locallists
from tasks import dispatch
from tasks.models import CommandStatus

IN_SYNC = {"message_code": "LOCAL_LIST_IN_SYNC", "message": "The station holds what it should: nothing was sent."}


class LocalListSchema(Schema):
    def get_request_serializer(self) -> Any:
        return None if self.action == "synchronize" else super().get_request_serializer()

    def successes(self) -> dict[int, Any]:
        if self.action != "synchronize":
            return super().successes()
        return {
            200: OpenApiResponse(result("LOCAL_LIST_IN_SYNC", task=False), "There is nothing to send."),
            202: OpenApiResponse(result("TASK_SUBMITTED"), "It is on its way; the task tells what comes of it."),
        }


class LocalListResource(Listed, Readable, Changeable, Resource):
    """The id tags that a station knows by itself, beside those that it should: all of the platform's.

    What it holds is known from the updates it took. A list that is `automatic` follows changes of id
    tags by itself, the others on demand. Listed are those that anything was ever said of.
    """

    schema = LocalListSchema()
    tag = "local lists"
    noun = "a local list"
    summaries = {"synchronize": "Send a station what its local list lacks"}
    problems = {
        "synchronize": {
            409: (
                "LOCAL_LIST_UPDATE_RUNNING",
                "The station is being sent its list, or cannot be: `CHARGING_STATION_OFFLINE`, "
                "`CHARGING_STATION_UNABLE` and the others that commands know.",
            ),
            503: ("QUEUE_UNAVAILABLE", dispatch.QUEUE_DOWN),
        }
    }
    serializer_class = representations.LocalList
    input_class = inputs.LocalListInput
    filterset_class = filters.LocalLists
    ordering = ("chargepoint_id",)
    ordering_fields = ("chargepoint_id", "automatic", "version", "updated_at", "last_attempt", "last_outcome")

    def get_queryset(self) -> QuerySet[LocalList]:
        return LocalList.objects.all()

    def paginate_queryset(self, queryset: QuerySet[LocalList]) -> Sequence[LocalList]:
        return locallists.compare(super().paginate_queryset(queryset), now=timezone.now())

    def station(self) -> ChargePoint:
        given = self.kwargs["chargepoint_id"]
        try:
            return ChargePoint.objects.with_connected(timezone.now()).get(lookup_key=identity_key(given))
        except (ValueError, ChargePoint.DoesNotExist) as error:
            raise UnknownStation(given) from error

    def get_object(self) -> LocalList:
        """Return the station's list, which it has even if nothing was ever said of it."""
        station = self.station()
        if self.action == "partial_update":
            row, _ = LocalList.objects.get_or_create(chargepoint=station)
        else:
            row = LocalList.objects.filter(pk=station.pk).first() or LocalList(chargepoint=station)
        return locallists.compare([row], now=timezone.now())[0]

    def shown(self, row: LocalList) -> dict[str, Any]:
        return self.get_serializer(self.get_object()).data

    def synchronize(self, request: Request, chargepoint_id: str) -> Response:
        command = dispatch.synchronise_list(self.station(), requested_by=request.user)
        if command is None:
            return Response(IN_SYNC)
        if command.status == CommandStatus.ERROR:
            return failure(command, *QUEUE_DOWN)
        return submitted(command)
