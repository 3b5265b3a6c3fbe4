"""The roles as groups, with the permissions that the admin site asks for.

REST asks for the role alone.
"""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from tasks.roles import Role

OURS = ("chargers", "tasks")
# What operators may add, change and delete in the admin, as they may over REST.
OPERATED = ("chargepoint", "chargingprofile", "idtag", "location")
# What else they may: tell what stations do not tell, and send commands.
ALLOWED = ("add_command", "change_connector")


def create(using: str) -> None:
    """Make the groups of the roles and give each what it lacks; what else they were given stays."""
    for role in Role:
        group, _ = Group.objects.using(using).get_or_create(name=role)
        group.permissions.add(*_permissions(role, using))


def _permissions(role: Role, using: str) -> QuerySet[Permission]:
    ours = Q(content_type__app_label__in=OURS)
    viewed = ours & Q(codename__startswith="view_")
    operated = ours & (Q(content_type__model__in=OPERATED) | Q(codename__in=ALLOWED))
    granted = {
        Role.VIEWER: viewed,
        Role.OPERATOR: viewed | operated,
        Role.ADMINISTRATOR: ours | Q(content_type__app_label="auth", content_type__model__in=("user", "group")),
    }
    return Permission.objects.using(using).filter(granted[role])
