"""Keys of stations: their passwords for OCPP, shown once."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api import inputs
from api.openapi import Schema
from api.viewsets import Resource
from api.work import unit_of_work
from chargers.errors import UnknownStation
from chargers.models import ChargePoint
from chargers.models.station import identity_key
from chargers.services import stations
from tasks.errors import KeyChangeInDoubt


class NewKey(serializers.Serializer):
    """A key just made."""

    chargepoint_id = serializers.CharField()
    key = serializers.CharField(help_text="the station's password for OCPP, shown only now")


class KeyInput(serializers.Serializer):
    force = serializers.BooleanField(default=False, help_text="also give up a key that the station may have taken")

    def to_internal_value(self, data: Any) -> Any:
        inputs.refuse_others(data, self.fields)
        return super().to_internal_value(data)


class StationKey(Resource):
    """The station's only key from now on, made at random and answered this once.

    Put it into the station. One that is connected stays so, and is turned away with its old key when
    it connects next. To change the key of a connected station over OCPP, send ChangeConfiguration
    with the key AuthorizationKey instead. While it is in doubt whether the station has taken one that
    it was sent that way, `force` gives that one up.
    """

    schema = Schema()
    tag = "stations"
    noun = "a station's key"
    summaries = {"create": "Make a station's key anew"}
    problems = {
        "create": {409: ("KEY_CHANGE_IN_DOUBT", "The station may have taken a key that it was sent; see `force`.")}
    }
    serializer_class = NewKey
    input_class = KeyInput
    lookup_url_kwarg = "chargepoint_id"
    lookup = "lookup_key"
    key = staticmethod(identity_key)

    def get_queryset(self) -> QuerySet[ChargePoint]:
        return ChargePoint.objects.select_for_update()

    def missing(self, given: str) -> Exception:
        return UnknownStation(given)

    def create(self, request: Request, chargepoint_id: str) -> Response:
        given = KeyInput(data=request.data)
        given.is_valid(raise_exception=True)
        with unit_of_work() as work:
            station = self.get_object()
            if station.key_change_id is not None and not given.validated_data["force"]:
                raise KeyChangeInDoubt(
                    f"It is not known whether {station} uses the key that it was sent last. It tells by connecting "
                    "with that key. With `force` that key is given up, and the station needs the new one."
                )
            by = request.user.get_username()
            key = stations.renew_key(station, by=by, at=timezone.now(), changes=work)
        return Response({"chargepoint_id": station.pk, "key": key}, status=status.HTTP_201_CREATED)
