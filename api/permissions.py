from django.views import View
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from tasks.roles import Role, may


def needed_role(view: View, method: str) -> Role:
    """Name the role a request needs: what the view says, else viewers read and operators write."""
    if method in SAFE_METHODS:
        return getattr(view, "read_role", Role.VIEWER)
    return getattr(view, "write_role", Role.OPERATOR)


class RolePermission(BasePermission):
    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: View) -> bool:
        return may(request.user, needed_role(view, request.method))
