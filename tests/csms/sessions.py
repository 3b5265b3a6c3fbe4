"""Charging sessions as stations tell them: what is sent, one message after the other, and how it may arrive."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from chargers.models import Connector, MeterValue, StatusNotification, Transaction, TransactionEvent
from chargers.services import metervalues, statuses, transactionevents, transactionstarts, transactionstops
from chargers.values import Started
from csms.intake import Service, Work
from tests.chargers.told import a_report, a_start, a_status, a_stop, an_event, energy, reading
from tests.csms.writer import Deadlock, Writer, poison

# How much later a message arrives that is sent again; less than what makes it an offline one.
AGAIN = timedelta(seconds=2)

# Known, of a driver who may charge; the other is nobody's.
TAG, STRANGER = "TAG1", "NOBODY"


@dataclass
class Message:
    """What a station says. `value` is given our number of the transaction that it is about, where it has one."""

    text: str
    service: Service
    value: Callable[[int | None], Any]
    # Which session of the station it belongs to, and whether its answer tells the number of that.
    session: int = 0
    begins: bool = False

    def __repr__(self) -> str:
        return self.text


@dataclass
class Station:
    """A station with what it has to say. One of 1.6 waits for each answer; `free` ones send in any order."""

    identity: str
    messages: Sequence[Message]
    free: bool = False
    numbers: dict[int, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.identity} {self.messages}"

    def work(self, message: Message, tries: int = 0) -> Work:
        value = message.value(self.numbers.get(message.session))
        return message.service, replace(value, received_at=value.received_at + tries * AGAIN)

    def hear(self, message: Message, answer: Any) -> None:
        if message.begins and isinstance(answer, Started):
            self.numbers[message.session] = answer.transaction_id


@st.composite
def station_16(draw: st.DrawFn, identity: str) -> Station:
    """Make a station of OCPP 1.6 with some sessions on two EVSEs, one after the other."""
    messages: list[Message] = []
    minute = {1: 0, 2: 0}
    for session in range(draw(st.integers(1, 3))):
        evse = draw(st.integers(1, 2))
        messages += _session_16(draw, identity, session, evse, minute[evse])
        minute[evse] += 40
    return Station(identity, messages)


def _session_16(draw: st.DrawFn, station: str, session: int, evse: int, minute: int) -> Iterator[Message]:
    meter, tag = draw(st.integers(0, 5)) * 1000, draw(st.sampled_from([TAG, TAG, STRANGER]))
    place = {"station": station, "evse_id": evse}
    start = a_start(minute, meter=meter, id_token=tag, **place)
    if draw(st.booleans()):
        yield _status(station, evse, "Preparing", minute - 1)
    yield Message(
        f"start {evse} {minute} {tag} {meter}", transactionstarts.record, lambda number: start, session, begins=True
    )
    if draw(st.booleans()):
        yield _status(station, evse, "Charging", minute)
    for each in range(draw(st.integers(0, 2))):
        meter += draw(st.integers(0, 300))
        sampled = [reading(minute + 5 * each + 5, energy(meter))]
        yield _report(station, evse, sampled, session)
    if draw(st.booleans()):
        # Of the station's main meter, or one of an EVSE that names no transaction.
        yield _clock_aligned(station, draw(st.sampled_from([0, evse])), minute + 15, meter)
    if draw(st.integers(0, 4)):
        last = [reading(minute + 30, energy(meter, context="Transaction.End"))] if draw(st.booleans()) else []
        yield _stop(station, minute + 30, meter, draw(st.sampled_from([tag, ""])), last, session)
    yield _status(station, evse, "Available", minute + 31)


def _status(station: str, evse: int, word: str, minute: int) -> Message:
    status = a_status(word, minute, evse_id=evse, station=station)
    return Message(f"{word} {evse} {minute}", statuses.record, lambda number: status)


def _report(station: str, evse: int, readings: Sequence[Any], session: int) -> Message:
    return Message(
        f"meter {readings}",
        metervalues.record,
        lambda number: a_report(number, readings, evse_id=evse, station=station),
        session,
    )


def _clock_aligned(station: str, evse: int, minute: int, meter: int) -> Message:
    report = a_report(None, [reading(minute, energy(meter, context="Sample.Clock"))], evse_id=evse, station=station)
    return Message(f"clock-aligned {evse} {minute} {meter}", metervalues.record, lambda number: report)


def _stop(station: str, minute: int, meter: int, tag: str, readings: Sequence[Any], session: int) -> Message:
    return Message(
        f"stop {minute} {meter} {tag} {readings}",
        transactionstops.record,
        lambda number: a_stop(number, minute, meter=meter, id_token=tag, station=station, readings=readings),
        session,
    )


@st.composite
def station_201(draw: st.DrawFn, identity: str, *, in_any_order: bool) -> Station:
    """Make a station of OCPP 2.0.1 with some sessions, each on an EVSE of its own.

    Of sessions whose events come `in_any_order` only the first event and the last tell the register at either end, as
    E01 and E06 have them, and all events tell the charging state, or none: what nobody told at the time is not known
    later.
    """
    messages: list[Message] = []
    for session in range(draw(st.integers(1, 2))):
        messages += _session_201(draw, identity, session, in_any_order)
    return Station(identity, messages, free=in_any_order)


def _session_201(draw: st.DrawFn, station: str, session: int, in_any_order: bool) -> Iterator[Message]:
    meter, count = draw(st.integers(0, 5)) * 1000, draw(st.integers(0, 3))
    owner = draw(st.sampled_from([TAG, TAG, STRANGER]))
    shown_at = draw(st.integers(0, count))
    ends, told = draw(st.integers(0, 4)) > 0, draw(st.booleans())
    for number in range(count + 1 + ends):
        kind = "Started" if number == 0 else "Ended" if number == count + 1 else "Updated"
        meter += draw(st.integers(0, 300)) if number else 0
        placed = number == 0 or draw(st.booleans())
        members: dict[str, Any] = {"evse_id": session + 1 if placed else 0, "connector_id": 1 if placed else 0}
        if number == shown_at or (kind == "Ended" and draw(st.booleans())):
            members["id_token"] = owner
        if told if in_any_order else draw(st.booleans()):
            members["charging_state"] = draw(st.sampled_from(["EVConnected", "Charging", "SuspendedEV"]))
        reads = (in_any_order and kind != "Updated") or draw(st.booleans())
        yield _event(kind, number, 5 * number, [meter] if reads else [], station, session, members)


def _event(
    kind: str, number: int, minute: int, meter: Sequence[float], station: str, session: int, members: dict[str, Any]
) -> Message:
    event = an_event(kind, number, minute, *meter, station=station, uuid=f"{station} {session}", **members)
    return Message(
        f"{kind} {number} {minute} {meter} {members}", transactionevents.record, lambda number: event, session
    )


@st.composite
def fleets(draw: st.DrawFn) -> list[Station]:
    """Make some stations: of 1.6, and of 2.0.1 that tell in order and in any order."""
    kinds = [
        station_16,
        lambda identity: station_201(identity, in_any_order=False),
        lambda identity: station_201(identity, in_any_order=True),
    ]
    return [draw(draw(st.sampled_from(kinds))(f"CP{index}")) for index in range(draw(st.integers(1, 3)))]


# What becomes of a batch.
STORED, LOST, KILLED, POISONED, DEADLOCKED, AWAY = "stored", "lost", "killed", "poisoned", "deadlocked", "away"
FATES = (STORED, STORED, STORED, LOST, KILLED, POISONED, DEADLOCKED, AWAY)


def tell_in_order(fleet: Sequence[Station]) -> None:
    """Tell everything as it should be: one message after the other, each stored and answered."""
    writer = Writer()
    for station in fleet:
        station.numbers.clear()
        for message in station.messages:
            (answer,) = writer.store([station.work(message)])
            assert not isinstance(answer, Exception), answer
            station.hear(message, answer)


def tell_somehow(fleet: Sequence[Station], draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Tell the same in batches of any size and order, with repeats, and with writers that die or fail on the way."""
    writer = Writer()
    left: dict[str, list[Message]] = {}
    heard: dict[str, list[Message]] = {station.identity: [] for station in fleet}
    tries: dict[int, int] = {}
    faults = 6
    for station in fleet:
        station.numbers.clear()
        left[station.identity] = draw(st.permutations(station.messages)) if station.free else list(station.messages)
    while any(left.values()):
        sent: list[tuple[Station, Message]] = []
        for station in fleet:
            waiting = left[station.identity]
            count = draw(st.integers(0, min(len(waiting), 3 if station.free else 1))) if waiting else 0
            sent += [(station, message) for message in waiting[:count]]
        if not sent:
            sent = [next((station, left[station.identity][0]) for station in fleet if left[station.identity])]
        again = [(station, message) for station in fleet for message in heard[station.identity]]
        if faults and again and draw(st.integers(0, 3)) == 3:
            # Whatever was sent before, once more.
            sent.append(draw(st.sampled_from(again)))
            faults -= 1
        sent = draw(st.permutations(sent)) if len(sent) > 1 else sent
        fate = draw(st.sampled_from(FATES)) if faults else STORED
        faults -= fate != STORED
        batch = [station.work(message, tries.get(id(message), 0)) for station, message in sent]
        for _, message in sent:
            tries[id(message)] = tries.get(id(message), 0) + 1
        answers = _meet(writer, batch, fate)
        for (station, message), answer in zip(sent, answers, strict=True):
            if answer is None or isinstance(answer, Exception):
                continue
            station.hear(message, answer[0])
            if message in left[station.identity]:
                left[station.identity].remove(message)
                heard[station.identity].append(message)


def _meet(writer: Writer, batch: list[Work], fate: str) -> list[Any]:
    """Let a batch meet its fate; return what each is answered in a tuple, None or an exception where it is not."""
    nobody = [None] * len(batch)
    match fate:
        case "killed":
            writer.die_before_commit(batch)
            return nobody
        case "lost":
            writer.store(batch)
            return nobody
        case "poisoned":
            answers = writer.store([*batch, (poison, None)])[:-1]
        case "deadlocked":
            answers = writer.store([*batch, (Deadlock(1), None)])[:-1]
        case "away":
            # As often as it is tried, together and alone.
            deadlock = Deadlock(100)
            answers = writer.store([*batch, (deadlock, None)])[:-1]
        case _:
            answers = writer.store(batch)
            assert not any(isinstance(answer, Exception) for answer in answers), answers
    return [answer if isinstance(answer, Exception) else (answer,) for answer in answers]


# What is left.


def rows() -> dict[str, list[Any]]:
    """Return the rows of all stations in a normal form: without keys of ours and times of receipt."""
    names = {
        row.pk: f"{row.chargepoint_id} {row.uuid or row.start_transaction_timestamp}"
        for row in Transaction.objects.all()
    }
    return {
        "transactions": _told(Transaction, names, "transaction_id", "received_at", "connector", "fingerprint"),
        "events": _told(TransactionEvent, names, "id", "received_at"),
        "meter values": _told(MeterValue, names, "id", "received_at", "fingerprint"),
        "statuses": _told(StatusNotification, names, "id", "received_at"),
        "connectors": _told(Connector, names, "uuid"),
    }


def _told(model: Any, names: dict[Any, str], *without: str) -> list[Any]:
    found = []
    for row in model.objects.all():
        members = {each.name: getattr(row, each.attname) for each in model._meta.concrete_fields}
        if "transaction" in members:
            members["transaction"] = names.get(members["transaction"])
        found.append({name: value for name, value in members.items() if name not in without})
    return sorted(found, key=repr)
