from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request

# What both databases can count to.
MAX_OFFSET = 2**63 - 1


class Pagination(LimitOffsetPagination):
    """``limit`` and ``offset``; a limit above the most is cut down to it, nonsense is refused."""

    default_limit = 100
    max_limit = 1000
    limit_query_description = f"Number of results, {default_limit} unless told, at most {max_limit}."
    offset_query_description = "Number of results to skip."

    def get_limit(self, request: Request) -> int:
        return min(_number(request, "limit", default=self.default_limit, least=1), self.max_limit)

    def get_offset(self, request: Request) -> int:
        return _number(request, "offset", default=0, least=0)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        paginated = super().get_paginated_response_schema(schema)
        paginated["required"] = ["count", "next", "previous", "results"]
        for link in ("next", "previous"):
            del paginated["properties"][link]["example"]
        return paginated


def _number(request: Request, name: str, *, default: int, least: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdecimal() or len(given) > 19 or not least <= int(given) <= MAX_OFFSET:
        raise ValidationError({name: [f"Must be a whole number, at least {least}."]})
    return int(given)
