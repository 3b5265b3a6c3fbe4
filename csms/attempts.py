"""Failed attempts to connect: answered ever more slowly, and at last refused without a look.

A station at an address fails by itself, so that one behind the same NAT does not lock out the
others, nor somebody elsewhere the station. Only what has failed is slowed. Each node counts for
itself, in memory.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.conf import settings

from chargers.models.station import identity_key
from tasks import proxies

# Counts that are kept of each kind; a node answers fewer attempts in a minute.
MOST_KEPT = 50_000
# Refusals that wait at once; each is a connection.
MOST_HELD = 200
# Pairs whose attempts are told at once, by the report that a node makes every few seconds.
MOST_TOLD = 1000
# Refusals of one address that are logged in a window.
MOST_LOGGED = 100


class Pair(NamedTuple):
    """A station, or somebody who says to be it, at an address."""

    address: str
    station: str


class Failure(NamedTuple):
    """What follows from a failed attempt.

    The seconds that its answer is due later, for how many the pair is refused from now on, and how
    many failures of the address there were to log.
    """

    delay: float
    shut_out: int
    to_log: int


class Tally:
    """Counts by key, each for the window that begins with its first."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str | Pair, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def read(self, key: str | Pair, now: float) -> tuple[int, float]:
        """Return the count, and the seconds until it is forgotten."""
        count, end = self._counts.get(key, (0, now))
        return (count, end - now) if end > now else (0, 0.0)

    def add(self, key: str | Pair, now: float) -> int:
        count, end = self._counts.get(key, (0, now))
        if end <= now:
            self._counts.pop(key, None)
            count, end = 0, now + settings.OCPP_ATTEMPT_WINDOW
            # In the order in which they end, as all windows are of one length.
            while self._counts and (len(self._counts) >= MOST_KEPT or next(iter(self._counts.values()))[1] <= now):
                self._counts.popitem(last=False)
        self._counts[key] = count + 1, end
        return count + 1

    def forget(self, key: str | Pair) -> None:
        self._counts.pop(key, None)


class Attempts:
    """The attempts of a node's stations within OV2XMP_OCPP_ATTEMPT_WINDOW.

    `unseen` counts those that were refused without a look; who stores them empties it.
    """

    def __init__(self) -> None:
        self.clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
        self.unseen: Counter[Pair] = Counter()
        self._pairs, self._addresses, self._stations, self._logged = Tally(), Tally(), Tally(), Tally()
        self._under_way: dict[Pair, int] = {}
        self._ends: dict[Pair, asyncio.Event] = {}
        self._held = 0
        self._released = asyncio.Event()

    @staticmethod
    def pair(address: str | None, identity: str) -> Pair:
        return Pair(proxies.network(address or ""), identity_key(identity))

    def shut_out(self, pair: Pair) -> int:
        """Return for how many seconds a pair is refused without a look; 0 for one that is not."""
        limit = settings.OCPP_MAX_FAILED_ATTEMPTS
        if not limit:
            return 0
        failed, seconds = self._pairs.read(pair, self.clock())
        if failed < limit:
            return 0
        if pair in self.unseen or len(self.unseen) < MOST_TOLD:
            self.unseen[pair] += 1
        return math.ceil(seconds)

    async def turn(self, pair: Pair) -> int:
        """Wait until a pair's attempt may be looked at, and return 0; else what `shut_out` does.

        No more are looked at together than may fail: all may have been sent at once.
        """
        while not (seconds := self.shut_out(pair)):
            failed, _ = self._pairs.read(pair, self.clock())
            if failed + self._under_way.get(pair, 0) < (settings.OCPP_MAX_FAILED_ATTEMPTS or math.inf):
                break
            await self._ends.setdefault(pair, asyncio.Event()).wait()
        return seconds

    @contextmanager
    def under_way(self, pair: Pair) -> Iterator[None]:
        """Count an attempt while it is looked at, right after its `turn`."""
        self._under_way[pair] = self._under_way.get(pair, 0) + 1
        try:
            yield
        finally:
            self._under_way[pair] -= 1
            if not self._under_way[pair]:
                del self._under_way[pair]
            if end := self._ends.pop(pair, None):
                end.set()

    def passed(self, pair: Pair) -> None:
        """Forget the failures of a station that has proved itself."""
        self._pairs.forget(pair)

    def failed(self, pair: Pair, *, guess: bool) -> Failure:
        """Count a failed attempt.

        Without a `guess` it stands for nobody else: many stations ask first and send their key
        when they are told to.
        """
        limit, now = settings.OCPP_MAX_FAILED_ATTEMPTS, self.clock()
        to_log = self._logged.add(pair.address, now)
        if not limit:
            return Failure(0.0, 0, to_log)
        shut_out = math.ceil(settings.OCPP_ATTEMPT_WINDOW) if self._pairs.add(pair, now) == limit else 0
        if not guess:
            return Failure(0.0, shut_out, to_log)
        most = max(self._addresses.add(pair.address, now), self._stations.add(pair.station, now))
        share = min(max(most - limit, 0) / limit, 1.0)
        # An answer that is too late for the handshake would be none.
        longest = min(settings.OCPP_ATTEMPT_DELAY, settings.OCPP_HANDSHAKE_TIMEOUT / 2)
        return Failure(share * longest, shut_out, to_log)

    async def hold(self, seconds: float) -> bool:
        """Wait before an answer; False at once where too many do already."""
        if self._held >= MOST_HELD:
            return False
        self._held += 1
        try:
            async with asyncio.timeout(seconds):
                await self._released.wait()
        except TimeoutError:
            pass
        finally:
            self._held -= 1
        return True

    def release(self) -> None:
        """Let all answers go, and none wait any more."""
        self._released.set()
