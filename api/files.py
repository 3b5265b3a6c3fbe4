"""The files that stations upload and fetch: listed, downloaded, put there and deleted."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from api import inputs, representations
from api.openapi import Schema
from api.viewsets import Listed, Resource
from api.work import unit_of_work
from chargers import filing, folder
from chargers.download import download
from chargers.filing import Belonging
from chargers.folder import StoredFile
from tasks.roles import Role

MISSING = ("FILE_DOES_NOT_EXIST", "There is no such file, or none that is shown.")
READ_ONLY = ("STORAGE_READ_ONLY", "The web process may not write to the folder.")


class FileSchema(Schema):
    def get_override_parameters(self) -> list[Any]:
        given = super().get_override_parameters()
        if self.action == "list":
            return [*given, inputs.FileQuery]
        return [each for each in given if each.location == "path"]

    def get_request_serializer(self) -> Any:
        return {"application/octet-stream": OpenApiTypes.BINARY} if self.action == "update" else None

    def successes(self) -> dict[Any, Any]:
        if self.action == "retrieve":
            return {(200, "application/octet-stream"): OpenApiTypes.BINARY}
        if self.action == "update":
            return {201: representations.File}
        return super().successes()


class FileResource(Listed, Resource):
    """A file in the folder that the FTP and HTTP file servers share, by its path as stations see it.

    Logs lie in `logs/<station>/<log upload>/`, the firmware of an update in
    `firmware/<firmware update>/firmware.bin`. Stations may put files elsewhere: those are listed too,
    without a job. Listed are files that are whole; numbers in their names count as such, 9 before 10.

    A download has no ranges. An upload is the bare content, never replaces a file, and is held in
    memory meanwhile: large files go over the file servers.
    """

    schema = FileSchema()
    tag = "files"
    noun = "a file"
    summaries = {"list": "List files", "retrieve": "Download a file", "update": "Put a file there"}
    problems = {
        "retrieve": {404: MISSING},
        "update": {
            400: (
                "invalid",
                "The path is no good, or the body is empty.",
                {"path": ["'a b' is no good: take 'a_b', so that every station finds it."]},
            ),
            409: ("FILE_EXISTS", "A file is there already."),
            413: ("FILE_TOO_LARGE", "It is larger than `OV2XMP_FILES_MAX_SIZE`."),
            503: READ_ONLY,
            507: ("STORAGE_FULL", "There is no room for it."),
        },
        "destroy": {404: MISSING, 503: READ_ONLY},
    }
    serializer_class = representations.File
    filter_backends = ()
    lookup_url_kwarg = "path"

    @property
    def write_role(self) -> Role:
        return Role.ADMINISTRATOR if self.request.method == "DELETE" else Role.OPERATOR

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # Whoever downloads accepts no JSON, but for errors.
        return super().perform_content_negotiation(request, force=True)

    def list(self, request: Request) -> Response:
        query = inputs.FileQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        narrowed = dict(query.validated_data)
        backwards = narrowed.pop("ordering", "path").startswith("-")
        paths = filing.listed(**narrowed)
        page = self.paginate_queryset(paths[::-1] if backwards else paths)
        return self.get_paginated_response(self.get_serializer(shown(page, **narrowed), many=True).data)

    def retrieve(self, request: Request, path: str) -> HttpResponseBase:
        return download(request, path)

    def update(self, request: Request, path: str) -> Response:
        # As it came: nothing is to be parsed.
        folder.store(path, request._request)
        stored, belonging = folder.look(path), filing.belongings([path])[path]
        self.tell(belonging)
        return Response(self.get_serializer((stored, belonging)).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, path: str) -> Response:
        belonging = filing.belongings([folder.look(path).path])[path]
        folder.remove(path)
        self.tell(belonging)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def tell(self, belonging: Belonging) -> None:
        """Tell listeners of a job that its files are others."""
        if job := belonging.job:
            with unit_of_work() as work:
                work.note(job.topic, job.pk)


def shown(paths: Sequence[str], **narrowed: Any) -> list[tuple[StoredFile, Belonging]]:
    """Look at the files of a page; one that is gone meanwhile is left out."""
    narrowed.pop("kind", None)
    belongings = filing.belongings(paths, **narrowed)
    return [(each, belongings[each.path]) for each in folder.look_at(paths)]
