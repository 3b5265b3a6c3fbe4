"""Everything under ``/api/``. A trailing slash may be left out everywhere."""

import functools
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from api import commands, keys, representations, resources, tokens
from api.files import FileResource
from api.health import Health
from api.locallists import LocalListResource
from api.openapi import SchemaView
from api.users import NewUser, UserResource
from api.views import NothingHere
from api.viewsets import ANYTHING


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


def post_apart(view: Any, others: Any, suffix: str) -> Any:
    """Serve POST with a view of its own where an identity may end with what its path ends with."""

    @functools.wraps(view)
    def serve(request: HttpRequest, chargepoint_id: str) -> HttpResponse:
        if request.method == "POST":
            return view(request, chargepoint_id=chargepoint_id)
        return others(request, chargepoint_id=f"{chargepoint_id}{suffix}")

    return serve


router = Router()
router.register("chargepoint", resources.StationResource, "chargepoint")
router.register("connector", resources.ConnectorResource, "connector")
router.register("certificate", resources.CertificateResource, "certificate")
router.register("idtag", resources.IdTagResource, "idtag")
router.register("transaction", resources.TransactionResource, "transaction")
router.register("location", resources.LocationResource, "location")
router.register("variable", resources.VariableResource, "variable")
router.register("displaymessage", resources.DisplayMessageResource, "displaymessage")
router.register("variablemonitor", resources.VariableMonitorResource, "variablemonitor")
router.register("event", resources.EventResource, "event")
router.register("securityevent", resources.SecurityEventResource, "securityevent")
router.register("firmwarepublication", resources.FirmwarePublicationResource, "firmwarepublication")
router.register("firmwareupdate", resources.FirmwareUpdateResource, "firmwareupdate")
router.register("logupload", resources.LogUploadResource, "logupload")
router.register("chargingprofile16", resources.ChargingProfile16Resource, "chargingprofile16")
router.register("chargingprofile201", resources.ChargingProfile201Resource, "chargingprofile201")
router.register("charginglimit", resources.ChargingLimitResource, "charginglimit")
router.register("chargingneeds", resources.ChargingNeedsResource, "chargingneeds")
router.register("evschedule", resources.EVScheduleResource, "evschedule")
router.register("installedprofile", resources.InstalledProfileResource, "installedprofile")
router.register("compositeschedule", resources.CompositeScheduleResource, "compositeschedule")
router.register("task", resources.CommandResource, "task")
router.register("user", UserResource, "user")

listed = {"get": "list"}
station = resources.StationResource.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

urlpatterns = [
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema", url_self="/api/"), name="swagger"),
    re_path(r"^schema/?$", SchemaView.as_view(), name="schema"),
    re_path(
        r"^redoc/?$", SpectacularRedocView.as_view(url_name="schema", template_name="api/redoc.html"), name="redoc"
    ),
    re_path(r"^health/?$", Health.as_view(), name="health"),
    re_path(r"^token/?$", tokens.Login.as_view(), name="token"),
    re_path(r"^token/refresh/?$", tokens.Refresh.as_view(), name="token-refresh"),
    re_path(r"^token/verify/?$", tokens.Verify.as_view(), name="token-verify"),
    re_path(r"^certificateauthority/?$", resources.CertificateAuthority.as_view(), name="certificateauthority"),
    re_path(r"^user/create/?$", NewUser.as_view({"post": "create"}), name="user-create"),
    re_path(
        rf"^sampledvalue/(?P<transaction_id>{ANYTHING})/?$", resources.SampleResource.as_view(listed), name="samples"
    ),
    re_path(
        rf"^statusnotification/(?P<chargepoint_id>{ANYTHING})/?$",
        resources.StatusResource.as_view(listed),
        name="statusnotification",
    ),
    re_path(
        rf"^chargepoint/(?P<chargepoint_id>{ANYTHING})/key/?$",
        post_apart(keys.StationKey.as_view({"post": "create"}), station, "/key"),
        name="chargepoint-key",
    ),
    re_path(r"^file/?$", FileResource.as_view(listed), name="file-list"),
    re_path(
        rf"^file/(?P<path>{ANYTHING})/?$",
        FileResource.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="file-detail",
    ),
    re_path(r"^locallist/?$", LocalListResource.as_view(listed), name="locallist-list"),
    re_path(
        rf"^locallist/(?P<chargepoint_id>{ANYTHING})/synchronize/?$",
        LocalListResource.as_view({"post": "synchronize"}),
        name="locallist-synchronize",
    ),
    re_path(
        rf"^locallist/(?P<chargepoint_id>{ANYTHING})/?$",
        LocalListResource.as_view(
            {"get": "retrieve", "patch": "partial_update"}, serializer_class=representations.LocalListInFull
        ),
        name="locallist-detail",
    ),
    re_path(r"^reservation/?$", resources.ReservationResource.as_view(listed), name="reservation-list"),
    re_path(
        rf"^reservation/(?P<chargepoint_id>{ANYTHING})/?$",
        resources.ReservationResource.as_view(listed),
        name="reservation-of-station",
    ),
    *commands.urls(),
    *router.urls,
    re_path("", NothingHere.as_view(), name="nothing-here"),
]
