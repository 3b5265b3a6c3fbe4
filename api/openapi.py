"""How the API documents itself, derived from what the views declare anyway."""

import functools
import inspect
from datetime import date
from typing import Any
from uuid import UUID

import uritemplate
from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.errors import ErrorBody
from chargers.choices import OcppVersion

DESCRIPTION = """The Open Vehicle-To-Grid Management Platform: drive charging stations over OCPP.

**To begin**, log in with *tokens → Log in*, copy the `access` token from the answer, press
**Authorize** and paste it. *Viewers* may read, *operators* may also change stations and send them
commands, *administrators* may also manage users.

Lists are `{count, next, previous, results}`. Errors are `{code, message, details}`. Times are UTC,
energy is in Wh. An identity in a path is percent-encoded.

Every answer names its request in the header `X-Request-ID`, by the id that the client sent there or
by a new one. The platform's log lines carry it too.

What happens is told live on `ws://<host>/ws/updates/<topic>/?token=<access>`, where the topic is
`chargepoint`, `connector`, `transaction`, `metervalues`, `reservation`, `chargingprofile`, `charginglimit`,
`chargingneeds`, `evschedule`, `firmwareupdate`, `firmwarepublication`, `logupload`, `securityevent`,
`event`, `variablemonitor`, `displaymessage`, `tasks` or `all`.
"""

# In the order of the page.
TAGS = {
    "tokens": "Logging in.",
    "stations": "Charging stations, and what they told.",
    "connectors": "The plugs of stations.",
    "transactions": "Charging sessions and their meter values.",
    "reservations": "Connectors that are kept for somebody.",
    "charging profiles": "Limits to charge with: in store, at stations, what they come to there, those of others, and what vehicles need.",
    "id tags": "Who may charge.",
    "local lists": "The id tags that stations know by themselves, to serve drivers while they are offline.",
    "firmware updates": "What stations install, and local controllers offer to them.",
    "log uploads": "The logs that stations upload.",
    "files": "What stations upload and fetch, as it lies on the file server.",
    "certificates": "What stations hold and want signed, and who signs it.",
    "locations": "Where stations are.",
    **{f"commands {version.label}": f"What {version.label} stations can be asked." for version in OcppVersion},
    "commands": "What became of commands.",
    "users": "Who may use the platform, for administrators.",
    "platform": "The platform itself.",
}

SUMMARIES = {
    "list": "List {view.tag}",
    "retrieve": "Read {view.noun}",
    "create": "Add {view.noun}",
    "partial_update": "Change {view.noun}",
    "destroy": "Delete {view.noun}",
}

# What the key in a path is, by what turns it into a value; else it is text.
PATH_TYPES = {int: OpenApiTypes.INT, UUID: OpenApiTypes.UUID}

FIELDS = OpenApiParameter(
    "fields",
    OpenApiTypes.STR,
    many=True,
    explode=False,
    description="The members to answer, separated by commas; all of them unless told.",
)


def error(
    code: str, meaning: str, details: dict[str, Any] | None = None, *, body: type[ErrorBody] = ErrorBody
) -> OpenApiResponse:
    """Document an error by what it means, and by an example."""
    example = OpenApiExample(code, {"code": code, "message": meaning, "details": details or {}})
    return OpenApiResponse(body, meaning, [example])


INVALID = error("invalid", "The request is no good; `details` names the fields.", {"field": ["Is required."]})
CONFLICT = error("CONFLICT", "Something else changed the same thing at the same time.")


class Schema(AutoSchema):
    """Reads ``tag``, ``noun``, ``summaries``, ``input_class`` and ``problems`` off a view.

    `problems` maps, for each action, statuses to a code and what it means, besides those that
    follow from the request.
    """

    @property
    def action(self) -> str:
        return getattr(self.view, "action", self.method.lower())

    def get_tags(self) -> list[str]:
        return [self.view.tag]

    def get_summary(self) -> str:
        own = getattr(self.view, "summaries", {})
        return own.get(self.action) or SUMMARIES[self.action].format(view=self.view)

    def get_description(self) -> str:
        return inspect.getdoc(type(self.view)) or ""

    def get_override_parameters(self) -> list[OpenApiParameter]:
        kind = PATH_TYPES.get(getattr(self.view, "key", None), OpenApiTypes.STR)
        keys = [OpenApiParameter(name, kind, OpenApiParameter.PATH) for name in uritemplate.variables(self.path)]
        return [*keys, FIELDS] if self.action in ("list", "retrieve") else keys

    def get_request_serializer(self) -> Any:
        body = getattr(self.view, "input_class", None)
        example = examples.RESOURCES.get((getattr(self.view, "noun", ""), self.action))
        return OpenApiRequest(body, examples=[OpenApiExample("example", example)]) if example else body

    def get_response_serializers(self) -> dict[int, Any]:
        return {**self.successes(), **self.errors()}

    def successes(self) -> dict[int, Any]:
        if self.action == "destroy":
            return {204: OpenApiResponse(description="Done.")}
        if self.action == "create":
            return {201: getattr(self.view, "created_class", self.view.serializer_class)}
        return {200: self.view.serializer_class}

    def errors(self) -> dict[int, Any]:
        errors = {}
        if self.action in ("list", "retrieve", "create", "partial_update", "post"):
            errors[400] = INVALID
        if self.action in ("create", "partial_update"):
            errors[409] = CONFLICT
        if self.view.authentication_classes:
            errors[401] = error("not_authenticated", "No valid access token.")
            errors[403] = error("permission_denied", "The user's role does not allow it.")
            errors[429] = error("throttled", "Too many requests; `Retry-After` has the seconds.", {"wait": 1})
        if uritemplate.variables(self.path):
            errors[404] = error("not_found", "There is no such thing.")
        own = getattr(self.view, "problems", {}).get(self.action, {})
        return errors | {status: error(*problem) for status, problem in own.items()}


@functools.lru_cache(maxsize=1)
def document(day: date) -> dict[str, Any]:
    """Build the whole document, once a day: it is the same for everybody, and its examples speak of tomorrow."""
    built = SchemaGenerator().get_schema(public=True)
    used = {tag for path in built["paths"].values() for operation in path.values() for tag in operation["tags"]}
    built["info"]["description"] = DESCRIPTION
    built["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    return built


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, as JSON unless YAML is asked for."""

    # YAML takes seconds; the second asks for no more than JSON.
    renderer_classes = (OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer)

    def _get_schema_response(self, request: Request) -> Response:
        return Response(document(timezone.now().date()))

    def handle_exception(self, exc: Exception) -> HttpResponseBase:
        told = super().handle_exception(exc)
        # In JSON like every other error, whatever the document is asked for as.
        return JsonResponse(told.data, status=told.status_code)
