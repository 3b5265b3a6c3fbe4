"""Cookies of who came over TLS are never sent without it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class SecureCookies:
    """The middleware around those that set cookies.

    Whether there is TLS is known with the request only: a trusted proxy tells it, and without one
    the admin must work over plain HTTP.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response
