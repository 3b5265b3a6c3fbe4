"""Who may do what: three roles, kept as Django groups of the same names."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import TextChoices


class Role(TextChoices):
    """Each role may do what the ones below it may."""

    ADMINISTRATOR = "administrators"
    OPERATOR = "operators"
    VIEWER = "viewers"


_ORDER = (Role.ADMINISTRATOR, Role.OPERATOR, Role.VIEWER)


def role_of(user: AbstractBaseUser | AnonymousUser) -> Role | None:
    """Return the strongest role of a user; a superuser is an administrator."""
    if user.is_superuser:
        return Role.ADMINISTRATOR
    names = {group.name for group in user.groups.all()}
    return next((role for role in _ORDER if role in names), None)


def may(user: AbstractBaseUser | AnonymousUser, needed: Role) -> bool:
    """Tell whether an active user has a role or a stronger one."""
    role = role_of(user) if user.is_active else None
    return role is not None and _ORDER.index(role) <= _ORDER.index(needed)
