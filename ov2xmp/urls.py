"""URLs of the web process."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from api.logins import AdminLogin

admin.site.site_header = admin.site.site_title = "O-V2X-MP"
admin.site.index_title = "Platform"
admin.site.site_url = "/api/"
admin.site.login_form = AdminLogin

handler400 = "api.views.refused"
handler500 = "api.views.failed"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("api.urls")),
    # Behind Caddy a frontend answers here; without one, the API's pages do.
    path("", RedirectView.as_view(url="/api/")),
]
