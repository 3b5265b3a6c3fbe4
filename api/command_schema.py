"""How a command documents itself: from its row and the official schemas of OCPP."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiRequest, OpenApiResponse
from rest_framework import serializers

from api import examples
from api.errors import ErrorBody
from api.openapi import Schema, error
from chargers.choices import OcppVersion
from tasks import schemas

DESCRIPTION = """The body holds the station, `sync`, and the fields of OCPP's {name} request in snake_case. With `sync`
true, which is the default, the answer is the station's; with `sync` false it comes at once, and
`/api/task/{{task_id}}/` or the live topic `tasks` tell what becomes of the command.
"""
ALIASES = "Also accepted, for older clients: {}."

PROBLEMS = {
    404: (
        "CHARGING_STATION_DOES_NOT_EXIST",
        "There is no such station, or no charging profile in store with this id (`CHARGING_PROFILE_DOES_NOT_EXIST`).",
    ),
    409: (
        "CHARGING_STATION_OFFLINE",
        "The station is not connected, speaks another version of OCPP (`OCPP_VERSION_MISMATCH`), may not get "
        "this command while it is not accepted (`CHARGING_STATION_NOT_ACCEPTED`), is known to refuse it "
        "(`CHARGING_STATION_UNABLE`, unless `force` is true), or is being sent its local list "
        "(`LOCAL_LIST_UPDATE_RUNNING`). A change of its key is refused while it may have taken another one "
        "(`KEY_CHANGE_IN_DOUBT`, unless `force` is true).",
    ),
    502: (
        "OCPP_CALL_ERROR",
        "The station answered with an error, which is in `details`.",
        {"code": "NotSupported", "description": "no such action", "details": {}},
    ),
    503: ("QUEUE_UNAVAILABLE", "The queue or the database does not answer; nothing was sent."),
    504: ("OCPP_TIMEOUT", "The station did not answer in time."),
}


def prefix(version: OcppVersion) -> str:
    """Name a version in a path: ``ocpp1.6`` is ``ocpp16``."""
    return version.value.replace(".", "")


class CommandErrorBody(ErrorBody):
    """The error of a command, with the task once there is one."""

    task_id = serializers.UUIDField(required=False)


class CommandSchema(Schema):
    @property
    def request(self) -> dict[str, Any]:
        return schemas.openapi(
            schemas.schema(self.view.row.version, self.view.row.name, "Request"), self.view.row.fills
        )

    @property
    def response(self) -> dict[str, Any]:
        return schemas.openapi(schemas.schema(self.view.row.version, self.view.row.name, "Response"))

    def get_operation_id(self) -> str:
        return f"{prefix(self.view.row.version)}_{self.view.row.path}"

    def get_tags(self) -> list[str]:
        return [f"commands {self.view.row.version.label}"]

    def get_summary(self) -> str:
        """Name the action too: pages show summaries, and people look for what the specification calls it."""
        summary = self.view.row.summary.rstrip(".")
        return f"{self.view.row.name}: {summary[0].lower()}{summary[1:]}"

    def get_description(self) -> str:
        row = self.view.row
        text = DESCRIPTION.format(summary=row.summary, name=row.name)
        if row.note:
            text += f"\n{row.note}\n"
        if row.renames:
            text += "\n" + ALIASES.format(", ".join(f"`{old}` for `{new}`" for old, new in row.renames.items()))
        return text

    def get_request_serializer(self) -> dict[str, OpenApiRequest]:
        request = self.request
        body = {
            "type": "object",
            "properties": {
                "chargepoint_id": {"type": "string", "description": "the station's identity"},
                "sync": {"type": "boolean", "default": True, "description": "wait for the station's answer"},
                "force": {
                    "type": "boolean",
                    "default": False,
                    "description": "send it although the station is known to refuse it, or a change of its key is in doubt",
                },
                **self.view.row.extras,
                **request.get("properties", {}),
            },
            "required": ["chargepoint_id", *request.get("required", [])],
            "additionalProperties": False,
        }
        example = OpenApiExample(self.view.row.name, examples.body(self.view.row))
        return {"application/json": OpenApiRequest(body, examples=[example])}

    def successes(self) -> dict[int, Any]:
        return {
            200: OpenApiResponse(result("RESPONSE_RECEIVED", self.response), "The station's answer."),
            202: OpenApiResponse(result("TASK_SUBMITTED"), "`sync` was false: it is on its way."),
        }

    def errors(self) -> dict[int, Any]:
        own = {status: error(*problem, body=CommandErrorBody) for status, problem in PROBLEMS.items()}
        return super().errors() | own

    def _get_request_body(self, direction: Any = "request") -> Any:
        # The library takes a schema of ours for one that may be left out.
        return {**super()._get_request_body(direction), "required": True}


def result(code: str, message: dict[str, Any] | None = None, *, task: bool = True) -> dict[str, Any]:
    """Document an answer with a code, a message, which is text unless told, and the task that it is about."""
    members = {"message_code": {"type": "string", "enum": [code]}, "message": message or {"type": "string"}}
    if task:
        members["task_id"] = {"type": "string", "format": "uuid"}
    return {"type": "object", "properties": members, "required": list(members)}
