import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from tasks.roles import Role
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


def granted(role: Role) -> set[str]:
    rows = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


def test_each_role_is_a_group_with_what_the_admin_asks_for() -> None:
    viewers, operators, administrators = (granted(role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR))
    assert viewers < operators < administrators
    assert {each.split(".")[1].split("_")[0] for each in viewers} == {"view"}
    assert {"chargers.view_transaction", "tasks.view_command"} <= viewers
    assert {"chargers.change_chargepoint", "chargers.add_idtag", "chargers.change_connector"} <= operators
    assert not {"chargers.change_transaction", "auth.view_user"} & operators
    assert {"auth.add_user", "chargers.change_transaction"} <= administrators


def test_migrating_again_changes_nothing_and_brings_back_what_is_missing() -> None:
    before = granted(Role.OPERATOR)
    Group.objects.get(name=Role.OPERATOR).permissions.clear()
    Group.objects.get(name=Role.VIEWER).permissions.add(Permission.objects.get(codename="view_user"))
    Group.objects.get(name=Role.ADMINISTRATOR).delete()
    call_command("migrate", verbosity=0)
    assert granted(Role.OPERATOR) == before
    assert "auth.view_user" in granted(Role.VIEWER)
    assert Group.objects.filter(name__in=Role.values).count() == 3


def test_the_strongest_of_several_roles_counts() -> None:
    user = User.objects.create(username="both")
    user.groups.set(Group.objects.filter(name__in=(Role.VIEWER, Role.OPERATOR)))
    assert client_of(user).post("/api/location/", {"name": "Depot"}).status_code == 201
