"""What went wrong, as HTTP tells it: a 4xx or 5xx with ``{"code", "message"}``, as the REST API does."""

from aiohttp import web

from filestore.errors import FileError, InTheWay, Missing, NoSpace, PathTooDeep, TooLarge


class Problem(Exception):
    """A request cannot be served; the client is told so."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


OF_FILES: dict[type[FileError], tuple[int, str]] = {
    Missing: (404, "not_found"),
    InTheWay: (409, "conflict"),
    PathTooDeep: (400, "invalid"),
    TooLarge: (413, "too_large"),
    NoSpace: (507, "insufficient_storage"),
}


def of_file(error: FileError) -> Problem:
    return Problem(*OF_FILES[type(error)], str(error))


def response(problem: Problem) -> web.Response:
    return web.json_response(
        {"code": problem.code, "message": str(problem)}, status=problem.status, headers=problem.headers
    )
