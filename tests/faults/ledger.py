"""What stations sent and what they were told is stored, and what of it the database has."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One thing that a message tells, by what finds it again: a station's own number that it uses once."""

    kind: str
    station: str
    number: str


@dataclass
class Ledger:
    """The stations' memory, which no fault touches."""

    acknowledged: set[Entry] = field(default_factory=set)
    # What may be stored twice when it is repeated: its time is not believed, so repeats look like news.
    clockless: set[Entry] = field(default_factory=set)
    # Transactions by the number that the platform gave them.
    numbers: dict[Entry, int] = field(default_factory=dict)
    sent: int = 0
    repeated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    # The longest that an acknowledgement took since it was last asked for, in seconds.
    slowest: float = 0.0

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        self.acknowledged.update(entries)

    def take_slowest(self) -> float:
        slowest, self.slowest = self.slowest, 0.0
        return slowest


# Each kind of entry: the station, its number, and how often that is stored.
STORED = {
    "reading": "SELECT chargepoint_id, energy_wh, count(*) FROM chargers_metervalue GROUP BY 1, 2",
    "start": "SELECT chargepoint_id, wh_meter_start, count(*) FROM chargers_transaction WHERE ocpp_version = 'ocpp1.6' "
    "GROUP BY 1, 2",
    "stop": "SELECT chargepoint_id, wh_meter_stop, count(*) FROM chargers_transaction WHERE ocpp_version = 'ocpp1.6' "
    "AND wh_meter_stop IS NOT NULL GROUP BY 1, 2",
    "status": "SELECT chargepoint_id, info, count(*) FROM chargers_statusnotification WHERE info <> '' GROUP BY 1, 2",
    "event": "SELECT t.chargepoint_id, t.uuid || ' ' || e.seq_no, count(*) FROM chargers_transactionevent e "
    "JOIN chargers_transaction t ON t.transaction_id = e.transaction_id GROUP BY 1, 2",
}
NUMBERS = (
    "SELECT chargepoint_id, wh_meter_start, transaction_id FROM chargers_transaction WHERE ocpp_version = 'ocpp1.6'"
)


def number(value: Any) -> str:
    """Spell a number of the database as stations do."""
    return value if isinstance(value, str) else str(round(value))


@dataclass
class Comparison:
    """What the ledger and the database disagree about; nothing, mostly."""

    stored: int
    lost: list[Entry]
    twice: list[Entry]
    misnumbered: list[Entry]


def compare(ledger: Ledger, connection: Any) -> Comparison:
    """Read everything that is stored, and compare. What was sent and not acknowledged may be there or not."""
    found: dict[Entry, int] = {}
    cursor = connection.cursor()
    for kind, statement in STORED.items():
        cursor.execute(statement)
        for station, told, count in cursor.fetchall():
            if told is not None:
                found[Entry(kind, station, number(told))] = count
    cursor.execute(NUMBERS)
    numbers = {
        Entry("start", station, number(told)): key for station, told, key in cursor.fetchall() if told is not None
    }
    return Comparison(
        stored=len(found),
        lost=sorted(ledger.acknowledged - found.keys()),
        twice=sorted(entry for entry, count in found.items() if count > 1 and entry not in ledger.clockless),
        misnumbered=sorted(entry for entry, told in ledger.numbers.items() if numbers.get(entry) != told),
    )
