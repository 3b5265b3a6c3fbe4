"""What went wrong, as HTTP tells it: a 4xx or 5xx with ``{"code", "message", "details"}``.

One table maps exceptions, looked up along the exception's MRO, so that a new error of the domain
or of the commands is covered by its base. `details` names the fields of a request that is no
good, each with its reasons.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback
from rest_framework_simplejwt.exceptions import DetailDictMixin

from chargers.errors import (
    ChargersError,
    FileRefused,
    FileTooLarge,
    NoCertificateAuthority,
    StorageFull,
    StorageReadOnly,
    UnknownChargingProfile,
    UnknownFile,
    UnknownStation,
)
from tasks import logcontext
from tasks.errors import CommandError
from tasks.schemas import InvalidBody

logger = logging.getLogger(__name__)

Details = dict[str, Any]

INVALID = "invalid"


class Problem(NamedTuple):
    """What a client is told."""

    status: int
    code: str
    message: str
    details: Details = {}


class ErrorBody(serializers.Serializer):
    """Every error looks like this."""

    code = serializers.CharField(help_text="stable, for programs")
    message = serializers.CharField(help_text="for people")
    details = serializers.DictField(
        help_text="the fields that are no good, each with its reasons; where the platform failed, the request_id "
        "that its log lines carry"
    )


def body(code: str, message: str, details: Details | None = None) -> Details:
    return {"code": code, "message": _tellable(message), "details": _tellable(details or {})}


def _tellable(value: Any) -> Any:
    """Spell out halves of surrogate pairs, which JSON can say and UTF-8 cannot: a client's own words may have them."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_tellable(name): _tellable(each) for name, each in value.items()}
        case list():
            return [_tellable(each) for each in value]
    return value


def traced() -> Details:
    """Return the details of what failed here: the id under which the log tells of it."""
    request_id = logcontext.request_id.get()
    return {"request_id": request_id} if request_id else {}


def invalid(fields: Mapping[str, list[str]]) -> Problem:
    """Tell which fields are no good, and why."""
    message = "; ".join(f"{field}: {' '.join(reasons)}" for field, reasons in fields.items())
    return Problem(400, INVALID, message, dict(fields))


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Turn the framework's nested reasons into one list a field, inner fields as ``outer.inner``."""
    if isinstance(detail, dict):
        inner = [flatten(each, _join(path, name)) for name, each in detail.items()]
    elif any(isinstance(each, dict | list) for each in detail):
        inner = [flatten(each, _join(path, str(index))) for index, each in enumerate(detail) if each]
    else:
        return {path or "body": [str(each) for each in detail]}
    return {field: reasons for each in inner for field, reasons in each.items()}


def _join(path: str, name: str) -> str:
    if name == "non_field_errors":
        return path
    return f"{path}.{name}" if path else name


def _invalid_fields(error: exceptions.ValidationError) -> Problem:
    return invalid(flatten(error.detail))


def _of_the_framework(error: exceptions.APIException) -> Problem:
    details = {"wait": error.wait} if getattr(error, "wait", None) else {}
    return Problem(error.status_code, error.detail.code, str(error.detail), details)


def _of_a_token(error: Any) -> Problem:
    return Problem(error.status_code, str(error.detail["code"]), str(error.detail["detail"]))


def _own(status: int) -> Callable[[Any], Problem]:
    """Map an error of the platform's own, which carries its code."""
    return lambda error: Problem(status, error.code, str(error))


def _fixed(status: int, code: str, message: str) -> Callable[[Any], Problem]:
    """Map an error whose text is nothing for clients."""
    return lambda error: Problem(status, code, message)


PROBLEMS: Mapping[type[BaseException], Callable[[Any], Problem]] = {
    NoCertificateAuthority: _own(404),
    UnknownStation: _own(404),
    UnknownFile: _own(404),
    FileRefused: lambda error: invalid({error.field: [str(error)]}),
    FileTooLarge: _own(413),
    StorageFull: _own(507),
    StorageReadOnly: _own(503),
    UnknownChargingProfile: _own(404),
    ChargersError: _own(409),
    CommandError: _own(409),
    InvalidBody: lambda error: invalid(error.fields),
    exceptions.ValidationError: _invalid_fields,
    DetailDictMixin: _of_a_token,
    exceptions.APIException: _of_the_framework,
    Http404: _fixed(404, "not_found", "There is nothing here."),
    PermissionDenied: _fixed(403, "permission_denied", "Your role does not allow this."),
    # Two requests at once: what the first one made, the second one's checks could not see.
    IntegrityError: _fixed(409, "CONFLICT", "Something else changed the same thing at the same time: try again."),
    OperationalError: _fixed(503, "DATABASE_UNAVAILABLE", "The database does not answer: try again later."),
    InterfaceError: _fixed(503, "DATABASE_UNAVAILABLE", "The database does not answer: try again later."),
    # JSON nested deeper than the parser goes.
    RecursionError: _fixed(400, "parse_error", "The body is nested too deeply."),
    Exception: _fixed(500, "error", "The platform failed; its log says why."),
}


def problem_of(error: BaseException) -> Problem:
    return next(PROBLEMS[kind](error) for kind in type(error).__mro__ if kind in PROBLEMS)


def handle(error: Exception, context: Details) -> Response:
    """Answer an exception of a view; REST_FRAMEWORK names this function."""
    problem = problem_of(error)
    details = problem.details
    if problem.status >= 500:
        logger.exception("request failed: %s %s", context["request"].method, context["request"].path)
        details = {**details, **traced()}
    elif problem.status == 403:
        request = context["request"]
        logger.warning("%s may not %s %s", request.user.get_username(), request.method, request.path)
    set_rollback()
    return Response(body(problem.code, problem.message, details), status=problem.status, headers=_headers(error))


def _headers(error: Exception) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers
