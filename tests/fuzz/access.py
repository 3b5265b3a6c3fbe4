"""Whom the API tells that they may not, before it looks at anything else."""

from collections.abc import Collection

# Roles that may change nothing, nobody's among them.
READERS = ("viewers", "")
# What anybody may ask.
PUBLIC = ("/api/health/", "/api/schema/", "/api/token/", "/api/token/refresh/", "/api/token/verify/")
ONLY_ADMINISTRATORS = ("/api/user/", "/api/user/create/", "/api/user/{username}/")
READING = ("GET", "HEAD", "OPTIONS")
# A method may be none, and an odd enough token is nobody's.
REFUSED = {401: (401, 405), 403: (401, 403, 405)}


def expected_statuses(role: str, method: str, path: str) -> Collection[int]:
    """Return what a request must be answered with; nothing where that depends on more than the role."""
    if path in PUBLIC or role == "administrators":
        return ()
    if not role:
        return REFUSED[401]
    if path in ONLY_ADMINISTRATORS or (method == "DELETE" and path == "/api/file/{path}/"):
        return REFUSED[403]
    return REFUSED[403] if role == "viewers" and method not in READING else ()
