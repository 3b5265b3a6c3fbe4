from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from api import errors


class NothingHere(APIView):
    """Answers every path that nothing else does, in the form of every other error."""

    schema = None
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: object, **keys: object) -> None:
        raise NotFound(f"There is nothing at {request.path}.")


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before any view looks at it, as it does a foreign host: ``handler400``."""
    if not request.path.startswith("/api/"):
        return defaults.bad_request(request, exception)
    message = "This host is none of the platform's." if isinstance(exception, DisallowedHost) else "This is no request."
    return JsonResponse(errors.body(errors.INVALID, message), status=400)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer what failed outside the views of REST, in the admin or before any view: ``handler500``."""
    problem = errors.problem_of(Exception())
    if request.path.startswith("/api/"):
        return JsonResponse(errors.body(problem.code, problem.message, errors.traced()), status=problem.status)
    page = render_to_string("500.html", {"message": problem.message, **errors.traced()})
    return HttpResponse(page, status=problem.status)
