"""How much a node holds of messages that it has not answered yet, over all its connections.

Each connection holds a little as a matter of course. What goes beyond that is counted together, and
where it is too much, connections that send more of it are not read any more: TCP makes their
stations wait, and whatever is there already is served. A message that is not complete makes room for
nobody, so a connection that holds on to one while others wait is closed in the end.
"""

import logging
from typing import Protocol

from django.conf import settings

from csms import metrics
from csms.large import LARGE
from csms.pace import Seldom

logger = logging.getLogger(__name__)

# What a connection holds without being counted.
OWN = LARGE
# Bytes that the event loop reads off a socket at once.
READ = 256 * 1024


class Reader(Protocol):
    """A connection that can be left unread."""

    # What is counted of it, and since when it has had nothing served.
    beyond: int
    beyond_since: float

    def hold_back(self) -> None: ...

    def go_on(self) -> None: ...

    def give_up(self) -> None: ...


class Unanswered:
    """Counts bytes, and says who is read."""

    def __init__(self) -> None:
        self.total = 0
        self._most = settings.OCPP_MAX_UNANSWERED_SIZE
        self._counted: set[Reader] = set()
        # In the order in which they came to wait.
        self._held_back: dict[Reader, None] = {}
        self._seldom = Seldom()

    def count(self, reader: Reader, held: int, now: float) -> None:
        """Take note that a connection holds `held` bytes now."""
        beyond = max(held - OWN, 0)
        grown = beyond - reader.beyond
        if not grown:
            return
        self.total += grown
        if grown < 0 or not reader.beyond:
            reader.beyond_since = now
        reader.beyond = beyond
        if beyond:
            self._counted.add(reader)
        else:
            self._counted.discard(reader)
        if grown > 0 and self.total > self._most and reader not in self._held_back:
            self._held_back[reader] = None
            reader.hold_back()
            metrics.PAUSES.labels("memory").inc()
            if self._seldom.may_tell("memory", now):
                logger.warning("too much waits to be answered: connections that send more of it are not read")
        elif grown < 0:
            self.let_go_on(now)

    def forget(self, reader: Reader, now: float) -> None:
        """Count a connection no more, which is over."""
        self._held_back.pop(reader, None)
        self.count(reader, 0, now)

    def let_go_on(self, now: float) -> None:
        """Read as many of those that wait as there is room for."""
        room = self._most - self.total
        while self._held_back and room >= 0:
            reader = next(iter(self._held_back))
            del self._held_back[reader]
            reader.beyond_since = now
            reader.go_on()
            room -= READ

    def stalled(self, now: float) -> list[Reader]:
        """Return who makes the others wait: connections that hold most, and have long had nothing served."""
        if not self._held_back:
            return []
        since = now - settings.OCPP_SEND_TIMEOUT
        found, excess = [], self.total - self._most
        for each in sorted(self._counted, key=lambda each: -each.beyond):
            if excess >= 0 and each.beyond_since < since:
                found.append(each)
                excess -= each.beyond
        return found
