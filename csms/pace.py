"""How fast messages may come, and what may be said of it.

OCPP has no word for "more slowly", so who sends too fast is read more slowly: TCP makes the
station wait, every message is served and none is lost.
"""

from collections import OrderedDict

# A message counts once more for each 2 KiB of it, as a large one takes longer to serve.
COUNT_SHIFT = 11
# So many messages of a connection are counted together, which costs them next to nothing.
COUNTED_AT_ONCE = 10
# Subjects that are remembered, so that nobody fills the memory by changing names.
MOST_SUBJECTS = 10_000
SELDOM = 60.0  # seconds


class Pace:
    """A bucket that holds `burst` messages and gets room for `rate` more a second.

    It is kept as the moment at which it will be empty: that costs one number and no timer.
    """

    __slots__ = ("_step", "_window", "empty_at")

    def __init__(self, rate: float, burst: float) -> None:
        self.empty_at = 0.0
        self._step = 1 / rate
        self._window = burst / rate

    def take(self, count: int, now: float) -> float:
        """Put `count` messages in; return the moment from which on there is room for more, `now` or later."""
        self.empty_at = max(self.empty_at, now) + count * self._step
        return max(self.empty_at - self._window, now)

    def room_at(self) -> float:
        """Return the moment from which on there is room again."""
        return self.empty_at - self._window

    def fill(self, until: float) -> None:
        """Leave no room before `until`."""
        self.empty_at = max(self.empty_at, until + self._window)


class Seldom:
    """Says of each subject once a minute that it may be spoken of."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, float] = OrderedDict()

    def may_tell(self, subject: str, now: float) -> bool:
        if now - self._last.get(subject, -SELDOM) < SELDOM:
            return False
        self._last.pop(subject, None)
        self._last[subject] = now
        if len(self._last) > MOST_SUBJECTS:
            self._last.popitem(last=False)
        return True
