"""Whether the platform works, for load balancers and for people at night."""

from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.openapi import Schema
from chargers.models import CsmsNode
from tasks import broker

UP, DEGRADED, DOWN = "up", "degraded", "down"
# Without these nothing works; without the others, what exists can still be read.
ESSENTIAL = ("database", "redis")

State = dict[str, Any]


def check() -> dict[str, State]:
    """Tell the state of each component."""
    return {**_database_and_csms(), **_redis_and_worker()}


def _database_and_csms() -> dict[str, State]:
    try:
        nodes = CsmsNode.objects.filter(lease_until__gt=timezone.now()).count()
    except (DatabaseError, InterfaceError):
        return {"database": _state(False), "csms": {"state": "unknown"}}
    return {"database": _state(True), "csms": {**_state(nodes > 0), "nodes": nodes}}


def _redis_and_worker() -> dict[str, State]:
    try:
        worker = broker.worker_is_alive()
    except broker.RedisError:
        return {"redis": _state(False), "worker": {"state": "unknown"}}
    return {"redis": _state(True), "worker": _state(worker)}


def _state(good: bool) -> State:
    return {"state": UP if good else DOWN}


class ComponentState(serializers.Serializer):
    state = serializers.ChoiceField(choices=[UP, DOWN, "unknown"])


class CsmsState(ComponentState):
    nodes = serializers.IntegerField(required=False, help_text="how many OCPP servers are alive")


class Components(serializers.Serializer):
    database = ComponentState()
    redis = ComponentState()
    csms = CsmsState()
    worker = ComponentState()


class HealthState(serializers.Serializer):
    status = serializers.ChoiceField(choices=[UP, DEGRADED, DOWN])
    components = Components()


class HealthSchema(Schema):
    def errors(self) -> dict[int, Any]:
        return {503: HealthState}


class Health(APIView):
    """The state of each component. 503 while the database or redis is down."""

    schema = HealthSchema()
    tag = "platform"
    summaries = {"get": "Tell whether the platform works"}
    serializer_class = HealthState
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        components = check()
        broken = {name for name, component in components.items() if component["state"] != UP}
        status = DOWN if broken.intersection(ESSENTIAL) else DEGRADED if broken else UP
        return Response({"status": status, "components": components}, status=503 if status == DOWN else 200)
