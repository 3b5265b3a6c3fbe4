"""Bodies of requests, as long as they are of a size that somebody could mean."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException
from rest_framework.parsers import JSONParser


class BodyTooLarge(APIException):
    status_code = 413
    default_code = "BODY_TOO_LARGE"

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {settings.WEB_MAX_BODY} bytes (OV2XMP_WEB_MAX_BODY).")


class BoundedJSONParser(JSONParser):
    """Parses JSON of at most OV2XMP_WEB_MAX_BODY bytes. Raises BodyTooLarge.

    Django's own limit is for forms: the framework reads past it.
    """

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(settings.WEB_MAX_BODY + 1)
        if len(body) > settings.WEB_MAX_BODY:
            raise BodyTooLarge
        return super().parse(BytesIO(body), media_type, parser_context)
