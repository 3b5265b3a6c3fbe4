"""Years of history, made up: what stations have told by the time a platform has stored millions of readings.

The rows lie in the tables as they would have come: those of transactions that ran at the same time
are mixed, keys grow with the times of receipt, and some stations are much busier than others. They
go in as fast as the database takes them, by COPY on PostgreSQL, and indexes are made afterwards.
"""

import argparse
import io
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import connection, transaction

READINGS = 50  # of each transaction, a minute apart
MOST_STATIONS = 2000
SPAN = timedelta(days=1000)
# Of the last transactions half are running. They began this long ago, and the oldest a whole SPAN before.
RECENT = timedelta(hours=2)
STATUSES = ("Preparing", "Charging", "SuspendedEV", "Finishing", "Available")
EVENTS = ("Started", "Updated", "Updated", "Updated", "Ended")
ACTIONS = ("Reset", "TriggerMessage", "GetConfiguration", "RemoteStartTransaction", "SetChargingProfile")
SAMPLES = (
    '[{{"value":"{}","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"}},'
    '{{"value":"{}","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"}},'
    '{{"value":"{}","context":"Sample.Periodic","measurand":"SoC","unit":"Percent"}}]'
)
CHUNK = 10_000  # rows
COPY_SIZE = 1 << 20  # characters

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Scale:
    """How much history `readings` meter values are part of."""

    readings: int
    now: datetime

    @property
    def transactions(self) -> int:
        return max(1, self.readings // READINGS)

    @property
    def stations(self) -> int:
        return min(MOST_STATIONS, max(2, self.transactions // 4))

    @property
    def waves(self) -> int:
        """How often each of the places where vehicles charge has had a transaction."""
        return -(-self.transactions // self.stations)

    def station(self, place: int) -> str:
        """Name the station of a place: the first have many, the last less than one."""
        return f"HISTORY-{int(self.stations * ((place + 0.5) / self.stations) ** 2):05d}"

    @cached_property
    def evses(self) -> list[int]:
        """Number the places of each station, by place."""
        numbers: Counter[str] = Counter()
        found = []
        for place in range(self.stations):
            numbers[self.station(place)] += 1
            found.append(numbers[self.station(place)])
        return found

    def begin(self, wave: int) -> datetime:
        last = self.now - RECENT
        return last - SPAN * (self.waves - 1 - wave) / max(1, self.waves - 1)

    def moment(self, wave: int, place: int) -> str:
        """Spell when one thing of a place happened, after that of the place before."""
        return text(self.begin(wave) + timedelta(seconds=place))

    def places(self, wave: int) -> range:
        return range(min(self.stations, self.transactions - wave * self.stations))

    def is_running(self, wave: int, place: int) -> bool:
        return wave == self.waves - 1 and place % 2 == 0

    def transaction(self, wave: int, place: int) -> int:
        return wave * self.stations + place + 1


def text(moment: datetime) -> str:
    """Spell a moment as both databases read it where the session's zone is UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def identifier(kind: int, number: int) -> str:
    return f"{kind:08x}{number:024x}"


def stations(scale: Scale) -> Iterator[Row]:
    for number in range(scale.stations):
        name = f"HISTORY-{number:05d}"
        yield name, name.casefold(), "Bench", "History", "ocpp1.6", "Accepted", 0, text(scale.now)


def connectors(scale: Scale) -> Iterator[Row]:
    for place in range(scale.stations):
        status = "Charging" if scale.is_running(scale.waves - 1, place) else "Available"
        station, evse = scale.station(place), scale.evses[place]
        yield identifier(1, place), station, evse, 1, status, "Operative", "", "", "", ""


def tags(scale: Scale) -> Iterator[Row]:
    for number in range(scale.stations):
        yield f"TAG{number:05d}", f"tag{number:05d}", "", 0, "", "", text(scale.now)


def transactions(scale: Scale) -> Iterator[Row]:
    for wave in range(scale.waves):
        begin = scale.begin(wave)
        start, stop = text(begin), text(begin + timedelta(minutes=READINGS))
        for place in scale.places(wave):
            running = scale.is_running(wave, place)
            yield (
                scale.transaction(wave, place),
                scale.station(place),
                identifier(1, place),
                scale.evses[place],
                1,
                "ocpp1.6",
                f"TAG{place:05d}",
                "",
                "Accepted",
                start,
                None if running else stop,
                0,
                READINGS * 180,
                stop,
                None if running else READINGS * 180,
                "",
                "Started" if running else "Finished",
                "[]",
                "",
                start,
            )


def meter_values(scale: Scale) -> Iterator[Row]:
    places = [(scale.station(place), scale.evses[place], place % 60) for place in range(scale.stations)]
    for wave in range(scale.waves):
        begin = scale.begin(wave)
        first = scale.transaction(wave, 0)
        number = len(scale.places(wave))
        for reading in range(READINGS):
            minute = (begin + timedelta(minutes=reading)).strftime("%Y-%m-%d %H:%M")
            energy = reading * 180
            for place in range(number):
                station, evse, second = places[place]
                at = f"{minute}:{second:02d}"
                power = 7000 + (place * 7 + reading) % 4000
                soc = 20 + (place + reading) % 70
                samples = SAMPLES.format(energy, power, soc)
                yield station, first + place, evse, 1, at, "", at, samples, energy, power, soc


def statuses(scale: Scale) -> Iterator[Row]:
    for wave in range(scale.waves):
        for index, status in enumerate(STATUSES):
            at = text(scale.begin(wave) + timedelta(minutes=index * 10))
            for place in scale.places(wave):
                yield scale.station(place), "ocpp1.6", scale.evses[place], 1, status, "NoError", "", "", "", at, "", at


def transaction_events(scale: Scale) -> Iterator[Row]:
    for wave in range(scale.waves):
        for number, kind in enumerate(EVENTS):
            at = text(scale.begin(wave) + timedelta(minutes=number * 10))
            for place in scale.places(wave):
                key = scale.transaction(wave, place)
                yield key, number, kind, "MeterValuePeriodic", "Charging", "", scale.evses[place], 1, at, 0, at


def commands(scale: Scale) -> Iterator[Row]:
    for wave in range(scale.waves):
        for place in scale.places(wave):
            at = scale.moment(wave, place)
            action = ACTIONS[(wave + place) % len(ACTIONS)]
            key = identifier(2, scale.transaction(wave, place))
            answer = '{"status":"Accepted"}'
            yield key, scale.station(place), "ocpp1.6", action, "{}", "answered", answer, "[]", at, at, at, at


def events(scale: Scale) -> Iterator[Row]:
    for wave in range(scale.waves):
        for place in scale.places(wave):
            at = scale.moment(wave, place)
            key = scale.transaction(wave, place)
            yield (
                *(scale.station(place), key, "Alerting", "CustomMonitor", place % 10, str(key), "", "", ""),
                *(0, at, "", at, "EVSE", "", 1, 0, "Power", ""),
            )


def security_events(scale: Scale) -> Iterator[Row]:
    types = ("StartupOfTheDevice", "SettingSystemTime", "MemoryExhaustion", "TamperDetectionActivated")
    for wave in range(scale.waves):
        for place in scale.places(wave):
            at = scale.moment(wave, place)
            yield scale.station(place), types[place % len(types)], "", at, "", at, 1


# By table: its columns, and what makes its rows.
TABLES = {
    "chargers_chargepoint": (
        "chargepoint_id lookup_key chargepoint_vendor chargepoint_model ocpp_version registration_status "
        "security_profile created_at",
        stations,
    ),
    "chargers_connector": (
        "uuid chargepoint_id evse_id connectorid connector_status availability_status error_code standard format "
        "power_type",
        connectors,
    ),
    "chargers_idtag": ("id_token lookup_key friendly_name revoked refusal token_type created_at", tags),
    "chargers_transaction": (
        "transaction_id chargepoint_id connector_id evse_id connectorid ocpp_version id_tag_id stop_id_tag "
        "authorization_status start_transaction_timestamp stop_transaction_timestamp wh_meter_start wh_meter_last "
        "wh_meter_last_timestamp wh_meter_stop reason_stopped transaction_status flags charging_state received_at",
        transactions,
    ),
    "chargers_metervalue": (
        "chargepoint_id transaction_id evse_id connectorid timestamp timestamp_raw received_at samples energy_wh "
        "power_w soc_percent",
        meter_values,
    ),
    "chargers_statusnotification": (
        "chargepoint_id ocpp_version evse_id connectorid status error_code info vendor_id vendor_error_code timestamp "
        "timestamp_raw received_at",
        statuses,
    ),
    "chargers_transactionevent": (
        "transaction_id seq_no kind trigger charging_state id_token evse_id connectorid timestamp offline received_at",
        transaction_events,
    ),
    "chargers_event": (
        "chargepoint_id event_id trigger notification severity actual_value tech_code tech_info transaction_uuid "
        "cleared timestamp timestamp_raw received_at component component_instance evse_id connectorid variable "
        "variable_instance",
        events,
    ),
    "chargers_securityevent": (
        "chargepoint_id type tech_info timestamp timestamp_raw received_at count",
        security_events,
    ),
    "tasks_command": (
        "task_id chargepoint_id ocpp_version action payload status response calls created_at sent_at finished_at "
        "expires_at",
        commands,
    ),
}


class Lines(io.TextIOBase):
    """Rows as the file that PostgreSQL's COPY reads."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._chunk = io.StringIO()

    def read(self, size: int = -1) -> str:
        if given := self._chunk.read(size):
            return given
        # None of the texts has anything in it that COPY would want escaped.
        rows = itertools.islice(self._rows, CHUNK)
        lines = ["\t".join(["\\N" if value is None else str(value) for value in row]) + "\n" for row in rows]
        self._chunk = io.StringIO("".join(lines))
        return self._chunk.read(size)


def fill(readings: int, *, now: datetime, quickly: bool = False) -> None:
    """Fill a database whose tables are there and empty with history of which `readings` meter values are part.

    `quickly` makes the indexes anew after the rows, for which no transaction may be under way.
    """
    scale = Scale(readings, now)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET maintenance_work_mem = '512MB'")
        for table, (columns, rows) in TABLES.items():
            _fill_table(cursor, table, columns.split(), rows(scale), quickly=quickly)


def _fill_table(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[Row], *, quickly: bool) -> None:
    model = next(each for each in apps.get_models() if each._meta.db_table == table)
    fields = [field for field in model._meta.concrete_fields if not field.null and not field.primary_key]
    # What history says nothing of and must have a value is empty text.
    silent = [field.column for field in fields if field.column not in columns and field.empty_strings_allowed]
    names = ", ".join(f'"{name}"' for name in (*columns, *silent))
    rows = ((*row, *[""] * len(silent)) for row in rows) if silent else rows
    indexes = _drop_indexes(cursor, table) if quickly else []
    if connection.vendor == "postgresql":
        cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", Lines(rows), COPY_SIZE)
    else:
        statement = f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len((*columns, *silent)))})"
        rows = iter(rows)
        while chunk := list(itertools.islice(rows, CHUNK)):
            # Else each row would be committed by itself.
            with transaction.atomic():
                cursor.executemany(statement, chunk)
    for index in indexes:
        cursor.execute(index)
    if connection.vendor == "postgresql" and table == "chargers_transaction":
        sequence = f"pg_get_serial_sequence('{table}', 'transaction_id')"
        cursor.execute(f"SELECT setval({sequence}, max(transaction_id)) FROM {table}")


def _drop_indexes(cursor: Any, table: str) -> list[str]:
    """Drop the indexes that are no constraints; return the statements that make them again."""
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s "
            "AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)",
            [table],
        )
    else:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql IS NOT NULL", [table]
        )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]


def settle() -> None:
    """Let the database gather its statistics, and on PostgreSQL tidy up as it does by itself in quiet hours."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0")
            for table in TABLES:
                cursor.execute(f"VACUUM ANALYZE {table}")
            cursor.execute("CHECKPOINT")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main() -> None:
    """Fill the database of the settings; print one JSON object with the seconds it took and the bytes it has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readings", type=int, help="meter values to store")
    options = parser.parse_args()
    began = time.monotonic()
    fill(options.readings, now=datetime.now(UTC), quickly=True)
    settle()
    seconds = time.monotonic() - began
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        size = cursor.fetchone()[0]
    json.dump({"seconds": seconds, "bytes": size}, sys.stdout)
