"""A car on a charging cable, and the meter that watches it."""

import random
from dataclasses import dataclass, field

# The state of charge, in percent, above which a battery takes less and less.
TAPER_FROM = 80.0


@dataclass
class Vehicle:
    """A battery that is charged over `phases` AC phases, or with DC where there are none.

    Energy in Wh, power in W, state of charge in percent.
    """

    capacity: float = 60_000
    soc: float = 30
    max_power: float = 11_000
    phases: int = 3
    noise: random.Random = field(default_factory=random.Random)

    @property
    def full(self) -> bool:
        return self.soc >= 100

    def power(self) -> float:
        """What the car draws now: all it may up to 80 %, then down to a twentieth."""
        if self.full:
            return 0
        left = min(1, (100 - self.soc) / (100 - TAPER_FROM))
        return self.max_power * max(0.05, left) * self.noise.uniform(0.985, 1)

    def charge(self, power: float, seconds: float) -> float:
        """Take `power` for a while; return the Wh taken."""
        taken = min(power * seconds / 3600, self.capacity * (100 - self.soc) / 100)
        self.soc = min(100, self.soc + taken / self.capacity * 100)
        return taken

    def voltages(self) -> list[float]:
        """V of each phase, or of the battery."""
        if self.phases:
            return [self.noise.uniform(228, 233) for _ in range(self.phases)]
        return [360 + self.soc * 0.6]
