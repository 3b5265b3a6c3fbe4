"""What the resources have in common, so that each of them is little more than its name."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from api.filters import Ordering
from api.openapi import Schema
from api.representations import Representation
from api.work import Work, unit_of_work

# A key in a URL may hold anything, slashes and line ends too; what it may not hold is nothing.
ANYTHING = r"(?s:.+?)"


class Resource(GenericViewSet):
    """Rows behind a path. `key` turns the key of the URL into a value of `lookup`.

    `ordering` is the order unless told, `ordering_fields` are the others that can be had;
    `columns` names the column of a field where it is called otherwise.
    """

    schema = Schema()
    filter_backends = (DjangoFilterBackend, Ordering)
    serializer_class: type[Representation]
    tag: str
    noun: str
    ordering: tuple[str, ...]
    ordering_fields: tuple[str, ...]
    columns: dict[str, str] = {}
    lookup = "pk"
    key: Callable[[str], Any] = staticmethod(str)
    lookup_value_regex = ANYTHING

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "fields": self.picked_fields()}

    def picked_fields(self) -> list[str]:
        """Read ``fields=a,b``. An unknown field is refused by name."""
        if not self.request or self.request.method != "GET":
            return []
        picked = [name.strip() for name in self.request.query_params.get("fields", "").split(",") if name.strip()]
        if unknown := set(picked) - set(self.serializer_class().fields):
            raise ValidationError({"fields": [f"There is no field {name!r}." for name in sorted(unknown)]})
        return picked

    def get_object(self) -> Model:
        given = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        try:
            return self.get_queryset().get(**{self.lookup: self.key(given)})
        except (ValueError, ObjectDoesNotExist) as error:
            raise self.missing(given) from error

    def missing(self, given: str) -> Exception:
        return NotFound(f"There is no {self.noun.split(maxsplit=1)[1]} {given!r}.")


class Listed(ListModelMixin):
    """GET on the collection."""


class Readable:
    """GET on one."""

    def retrieve(self, request: Request, **keys: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)


class Writable:
    """What the writes share. Listeners of `topic` hear of them."""

    topic: str | None = None
    input_class: type

    def checked(self, row: Model | None = None) -> Any:
        given = self.input_class(row, data=self.request.data, partial=row is not None, context={"view": self})
        given.is_valid(raise_exception=True)
        return given

    def note(self, work: Work, row: Model, event: str) -> None:
        if self.topic:
            work.note(self.topic, row.pk, event)

    def shown(self, row: Model) -> dict[str, Any]:
        """Represent a row as reading it would."""
        return self.get_serializer(self.get_queryset().get(pk=row.pk)).data


class Creatable(Writable):
    """POST on the collection."""

    def create(self, request: Request) -> Response:
        given = self.checked()
        with unit_of_work() as work:
            row = given.save()
            extra = self.complete(row)
            self.note(work, row, "created")
        return Response({**self.shown(row), **extra}, status=status.HTTP_201_CREATED)

    def complete(self, row: Model) -> dict[str, Any]:
        """Do what else belongs to a new row; return what only its creator is told."""
        return {}


class Changeable(Writable):
    """PATCH on one."""

    def partial_update(self, request: Request, **keys: str) -> Response:
        given = self.checked(self.get_object())
        with unit_of_work() as work:
            row = given.save()
            self.note(work, row, "updated")
        return Response(self.shown(row))


class Deletable(Writable):
    """DELETE on one."""

    def destroy(self, request: Request, **keys: str) -> Response:
        row = self.get_object()
        with unit_of_work() as work:
            self.note_going(work, row)
            row.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def note_going(self, work: Work, row: Model) -> None:
        """Note the row's end and what follows from it."""
        if self.topic:
            work.note_deleted(self.topic, [row.pk])
