"""The lease of a node, without which its stations count as offline.

It is renewed from a thread of its own over a connection of its own, so that it does not wait behind
what stations have to store, however much that is. A node whose event loop stands still serves
nobody: it lets its lease run out.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from chargers.changes import Changes
from chargers.models import CsmsNode
from chargers.services import stations
from chargers.values import NodeReport

logger = logging.getLogger(__name__)


def lasting() -> datetime:
    """Return until when a lease lasts that is renewed now."""
    return datetime.now(UTC) + timedelta(seconds=settings.NODE_LEASE)


def report(values: Sequence[NodeReport], changes: Changes) -> list[int]:
    """Store what nodes report; their leases count from when that is done, and not from when it was asked for."""
    return stations.report_node([replace(value, lease_until=lasting()) for value in values], changes)


class Lease:
    """Renews a node's lease three times in its course, as long as the event loop says that it goes on."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew_regularly, name="lease", daemon=True)
        self._alive_at = time.monotonic()

    def start(self) -> None:
        self.note_life()
        self._thread.start()

    def stop(self) -> None:
        """Renew it no more. What is on its way is waited for, as long as the database may take."""
        self._stopped.set()
        self._thread.join(settings.DATABASE_TIMEOUT)

    def note_life(self) -> None:
        """Say that the event loop goes on; at least as often as a lease is long."""
        self._alive_at = time.monotonic()

    # From here on, everything runs in the thread.

    def _renew_regularly(self) -> None:
        while not self._stopped.wait(settings.NODE_LEASE / 3):
            if time.monotonic() - self._alive_at < settings.NODE_LEASE:
                self._renew()
        connection.close()

    def _renew(self) -> None:
        close_old_connections()
        until = lasting()
        try:
            # A node that has been forgotten is made again by its report.
            CsmsNode.objects.filter(pk=self._node_id, lease_until__lt=until).update(lease_until=until)
        except DatabaseError as error:
            logger.error("the node's lease was not renewed: %s", str(error).partition("\n")[0])
        except Exception:
            # Whatever it was: without its lease the node's stations would count as offline.
            logger.exception("the node's lease was not renewed")
