"""URLs of the web process."""

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = admin.site.site_title = "O-V2X-MP"
admin.site.index_title = "Platform"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("api.urls")),
]
