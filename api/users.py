"""Users and their roles, for administrators."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as InvalidPassword
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import APIException

from api.inputs import Input
from api.representations import Moment, Representation
from api.viewsets import Changeable, Creatable, Deletable, Listed, Readable, Resource
from api.work import Work
from chargers import representation
from tasks.roles import Role, role_of

User = get_user_model()

# It has a meaning of its own in the URL.
RESERVED = "create"


class OwnUser(APIException):
    status_code = 409
    default_code = "OWN_USER"
    default_detail = "You cannot delete yourself."


def represent(row: AbstractUser) -> dict[str, Any]:
    """Represent a user read with the groups."""
    return {
        "username": row.username,
        "email": row.email,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "role": role_of(row),
        "is_active": row.is_active,
        "is_staff": row.is_staff,
        "date_joined": representation.time(row.date_joined),
        "last_login": representation.time(row.last_login),
    }


class UserRepresentation(Representation):
    represent = staticmethod(represent)

    username = serializers.CharField()
    email = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True, help_text="null: may do nothing")
    is_active = serializers.BooleanField(help_text="whether the user can log in")
    is_staff = serializers.BooleanField(help_text="whether the user may enter the admin site")
    date_joined = serializers.DateTimeField()
    last_login = Moment()


class UserInput(Input):
    fixed = ("username",)

    password = serializers.CharField(write_only=True, max_length=128, trim_whitespace=False)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.VIEWER)

    class Meta:
        model = User
        fields = ("username", "password", "email", "first_name", "last_name", "role", "is_active", "is_staff")

    def validate_username(self, username: str) -> str:
        if username.casefold() == RESERVED:
            raise serializers.ValidationError("This name is taken.")
        return username

    def validate_role(self, role: str) -> str:
        self._refuse_own("You cannot change your own role.")
        return role

    def validate_is_active(self, is_active: bool) -> bool:
        self._refuse_own("You cannot lock yourself out.")
        return is_active

    def _refuse_own(self, reason: str) -> None:
        """Refuse what could leave the platform without an administrator."""
        if self.instance and self.instance == self.context["view"].request.user:
            raise serializers.ValidationError(reason)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "password" in attrs:
            told = {name: value for name, value in attrs.items() if name in ("username", "email", "first_name")}
            user = self.instance or User(**told)
            try:
                validate_password(attrs["password"], user)
            except InvalidPassword as error:
                raise serializers.ValidationError({"password": error.messages}) from error
        return attrs

    def create(self, validated_data: dict[str, Any]) -> AbstractUser:
        role = validated_data.pop("role")
        user = User.objects.create_user(**validated_data)
        _give_role(user, role)
        return user

    def update(self, instance: AbstractUser, validated_data: dict[str, Any]) -> AbstractUser:
        role = validated_data.pop("role", None)
        password = validated_data.pop("password", None)
        if password is not None:
            instance.set_password(password)
            validated_data["password"] = instance.password
        super().update(instance, validated_data)
        if role is not None:
            _give_role(instance, role)
        return instance


def _give_role(user: AbstractUser, role: str) -> None:
    """Make this the user's only role; groups that are none are kept."""
    if user.is_superuser and role != Role.ADMINISTRATOR:
        user.is_superuser = False
        user.save(update_fields=["is_superuser"])
    user.groups.remove(*Group.objects.filter(name__in=Role.values).exclude(name=role))
    user.groups.add(Group.objects.get(name=role))


class UserResource(Listed, Readable, Changeable, Deletable, Resource):
    """A user of the platform. The role says what the user may do; passwords are never shown."""

    read_role = Role.ADMINISTRATOR
    write_role = Role.ADMINISTRATOR
    tag = "users"
    noun = "a user"
    problems = {"destroy": {409: ("OWN_USER", "It is you.")}}
    serializer_class = UserRepresentation
    input_class = UserInput
    lookup_url_kwarg = "username"
    lookup = "username"
    ordering = ("username",)
    ordering_fields = ("username", "email", "date_joined", "last_login")

    def get_queryset(self) -> QuerySet[AbstractUser]:
        return User.objects.prefetch_related("groups")

    def note_going(self, work: Work, row: AbstractUser) -> None:
        if row == self.request.user:
            raise OwnUser


class NewUser(Creatable, UserResource):
    __doc__ = UserResource.__doc__
