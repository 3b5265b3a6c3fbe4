"""Who is connected to a node: how many in all, and how many from each address.

Every socket counts from the moment it is open, so that nobody takes all places by asking for
nothing. What comes through a trusted proxy counts for the client behind it, once that is known.
"""

import contextlib
import sys
from collections import Counter

from django.conf import settings

from filestore import addresses
from tasks.proxies import trusts

if sys.platform != "win32":
    import resource

# Descriptors that a node needs for everything but stations: its database, Redis, logs, certificates.
RESERVED_FILES = 200
# Sockets beyond the limit that are still answered with a refusal, and with metrics and health.
MOST_REFUSED = 100


def allow_files() -> None:
    """Let this process open as many files as its connections take, as far as the system allows it."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.OCPP_MAX_CONNECTIONS + MOST_REFUSED + RESERVED_FILES
    if soft not in (resource.RLIM_INFINITY, hard) and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # macOS names a limit that it does not take.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_connections() -> int:
    """Return how many connections a node takes: what is set, or what its open files are enough for."""
    if sys.platform == "win32":
        return settings.OCPP_MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.OCPP_MAX_CONNECTIONS
    # Half of very few is better than none.
    return min(settings.OCPP_MAX_CONNECTIONS, max(files - RESERVED_FILES - MOST_REFUSED, files // 2))


class Census:
    """Counts sockets by the network of their client."""

    def __init__(self) -> None:
        self.total = 0
        self._of: Counter[str] = Counter()
        self.most = most_connections()
        self.most_of_one = settings.OCPP_MAX_CONNECTIONS_PER_ADDRESS

    def enter(self, address: str) -> str:
        """Count a socket, and return what it counts for."""
        client = addresses.network(address)
        self.total += 1
        self._of[client] += 1
        return client

    def leave(self, client: str) -> None:
        self.total -= 1
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]

    def move(self, client: str, address: str) -> str:
        """Count a socket for another client, now that it is known, and return what it counts for."""
        self.leave(client)
        return self.enter(address)

    @property
    def is_full(self) -> bool:
        return self.total > self.most

    def is_full_for(self, client: str) -> bool:
        return bool(self.most_of_one) and self._of[client] > self.most_of_one

    def is_flooded(self, client: str, peer: str) -> bool:
        """Tell whether a socket cannot even be answered; one from a trusted proxy may be anybody's."""
        if self.total > self.most + MOST_REFUSED:
            return True
        most = self.most_of_one
        return bool(most) and self._of[client] > most + MOST_REFUSED and not trusts(addresses.read_address(peer))
