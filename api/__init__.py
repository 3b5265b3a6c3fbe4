"""The HTTP edge: REST resources, command endpoints, permissions and the admin's login."""
