from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView


class NothingHere(APIView):
    """Answers every path that nothing else does, in the form of every other error."""

    schema = None
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: object, **keys: object) -> None:
        raise NotFound(f"There is nothing at {request.path}.")
