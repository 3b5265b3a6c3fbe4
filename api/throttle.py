"""So many requests a second of each user, so that none keeps a web process busy alone.

Each process counts for itself, as what one user could take from others is its own: its turns and its
time. So it costs a microsecond, and goes on while Redis is away.
"""

import logging
import threading
import time

from django.conf import settings
from django.views import View
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from tasks import broker

logger = logging.getLogger(__name__)

# A page or a script may ask for as much at once as it may in this time.
BURST_SECONDS = 10.0
# How often it is told that requests are refused: for the log of each user, and for the metric.
LOG_SECONDS = 60.0
COUNT_SECONDS = 1.0


class Rates:
    """What each user has left: kept as the moment at which nothing of it is used up any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._whole_at: dict[int, float] = {}

    def take(self, user: int, rate: float, now: float) -> float:
        """Take one request; return 0, or the seconds until the user may send the next one."""
        with self._lock:
            whole_at = max(self._whole_at.get(user, now), now) + 1 / rate
            wait = whole_at - now - BURST_SECONDS
            if wait > 0:
                return wait
            self._whole_at[user] = whole_at
            return 0.0


class Refusals:
    """Counts what is refused, for the log and for the metric, neither of them each time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged_at: dict[int, float] = {}
        self._waiting = 0
        self._count_at = 0.0

    def note(self, user: int, name: str, now: float) -> None:
        with self._lock:
            logs = now - self._logged_at.get(user, -LOG_SECONDS) >= LOG_SECONDS
            if logs:
                self._logged_at[user] = now
            self._waiting += 1
            count = self._waiting if now >= self._count_at else 0
            if count:
                self._waiting, self._count_at = 0, now + COUNT_SECONDS
        if logs:
            logger.warning("%s sends too many requests; more are refused, and not logged for a minute", name)
        if count:
            self._tell(count)

    def _tell(self, count: int) -> None:
        try:
            broker.count_refused(count)
        except broker.RedisError:
            # Nobody waits for it again soon.
            with self._lock:
                self._waiting += count
                self._count_at = time.monotonic() + LOG_SECONDS


_rates, _refusals = Rates(), Refusals()


class UserThrottle(BaseThrottle):
    """Refuses requests of a user who sends more than `OV2XMP_WEB_MAX_USER_RATE` a second, with 429."""

    _wait = 0.0

    def allow_request(self, request: Request, view: View) -> bool:
        rate, user = settings.WEB_MAX_USER_RATE, request.user
        if not rate or user.pk is None:
            return True
        now = time.monotonic()
        self._wait = _rates.take(user.pk, rate, now)
        if self._wait:
            _refusals.note(user.pk, user.get_username(), now)
        return not self._wait

    def wait(self) -> float:
        return self._wait
