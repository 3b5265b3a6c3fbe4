"""What browsers are told about every answer: what it may load, who may frame it, whether to keep it."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

# An answer that is no page needs nothing.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
# The admin has styles in attributes.
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
# Swagger and Redoc write styles into their page, and Redoc searches in a worker of its own making.
DOCUMENTS = PAGE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'") + "; worker-src 'self' blob:"
CSP = "Content-Security-Policy"


class SecurityHeaders:
    """The middleware that completes the headers of Django's own."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if settings.DEBUG and response.status_code >= 400:
            # Django's own pages for developers have their scripts in themselves.
            return response
        response.setdefault(CSP, _policy(request.path, response))
        if not request.path.startswith("/static/"):
            # What is answered is for the one who asked.
            response.setdefault("Cache-Control", "no-store")
        return response


def _policy(path: str, response: HttpResponseBase) -> str:
    if not response.get("Content-Type", "").startswith("text/html"):
        return NOTHING
    return DOCUMENTS if path.startswith("/api/") else PAGE
