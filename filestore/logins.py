"""Addresses that guess passwords."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

# More addresses than that are forgotten, the longest quiet first.
MAX_ADDRESSES = 10_000


class FailedLogins:
    """Counts the different wrong accounts that an address has tried within `period` seconds.

    Many stations may share an address, and one of them may have an old password and try it again
    and again; that must not keep the others out. So the same wrong account counts once.
    """

    def __init__(self, *, limit: int, period: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._period = period
        self._clock = clock
        # What was tried is kept in a form that cannot be read back.
        self._key = secrets.token_bytes(32)
        self._tried: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    def add(self, address: str, username: bytes, password: bytes) -> None:
        """Note a failed login."""
        recent = self._recent(address)
        if len(recent) < self._limit:
            digest = hashlib.blake2b(username + b"\0" + password, key=self._key, digest_size=16).digest()
            recent[digest] = self._clock()
        self._tried[address] = recent
        self._tried.move_to_end(address)
        while len(self._tried) > MAX_ADDRESSES:
            self._tried.popitem(last=False)

    def blocked(self, address: str) -> float:
        """Return for how many seconds an address may not log in; 0 where it may."""
        recent = self._recent(address)
        if len(recent) < self._limit:
            return 0
        return max(0.0, min(recent.values()) + self._period - self._clock())

    def _recent(self, address: str) -> dict[bytes, float]:
        since = self._clock() - self._period
        return {digest: at for digest, at in self._tried.get(address, {}).items() if at > since}
