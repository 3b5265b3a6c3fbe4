"""Lists that follow changes of id tags by themselves."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.transaction import atomic
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import ChargePoint, IdTag, LocalList
from tasks import broker, commands, locallists, tasks
from tasks.actions import BY_NAME
from tasks.errors import ListUpdateRunning
from tasks.models import Command, CommandStatus
from tests.api import rows

pytestmark = pytest.mark.usefixtures("db", "redis_settings")

NOW = timezone.now()
OK = {"status": "Accepted"}


def automatic(identity: str = "CP1", entries: dict[str, Any] | None = None, **fields: Any) -> LocalList:
    return rows.local_list(rows.station(identity, connected=True), entries, automatic=True, **fields)


def run(now: Any = NOW) -> list[str | None]:
    """Synchronise; return the stations that are sent something."""
    stored = locallists.synchronise_automatic(now=now, changes=Changes())
    sent = {row.pk: row.chargepoint_id for row in Command.objects.filter(pk__in=stored)}
    return [sent[each] for each in stored]


def finish(status: CommandStatus, response: Any = None) -> None:
    [command] = Command.objects.filter(status=CommandStatus.QUEUED)
    error = None if response else {"code": status.value, "description": "", "details": {}}
    commands.finish([commands.Outcome(command.pk, status, NOW, response, error)], Changes())


def test_a_station_that_differs_is_sent_the_difference_and_handed_to_its_node() -> None:
    rows.tag("TAG1")
    automatic("CP1", {"TAG1": OK})
    automatic("CP2", {}, version=3)
    rows.local_list(rows.station("MANUAL", connected=True))
    tasks.synchronise_local_lists(of_a_later_version=True)
    command = Command.objects.get()
    assert command.chargepoint_id == "CP2"
    assert command.payload == {
        "listVersion": 4,
        "localAuthorizationList": [{"idTag": "TAG1", "idTagInfo": OK}],
        "updateType": "Differential",
    }
    assert command.requested_by is None
    assert broker.client().lrange(broker.node_list("node-1"), 0, -1) == [str(command.pk).encode()]


def test_a_station_that_is_being_sent_something_is_sent_nothing_more() -> None:
    rows.tag()
    automatic()
    assert run() == ["CP1"]
    assert run() == []
    station = ChargePoint.objects.with_connected(NOW).get()
    with pytest.raises(ListUpdateRunning):
        locallists.synchronise(station, requested_by=None, now=NOW, changes=Changes())


@pytest.mark.parametrize("status", [CommandStatus.TIMEOUT, CommandStatus.ERROR, CommandStatus.OFFLINE])
def test_after_a_failure_it_is_tried_again_later(status: CommandStatus) -> None:
    rows.tag()
    automatic()
    assert run() == ["CP1"]
    finish(status)
    row = LocalList.objects.get()
    assert (row.last_outcome, row.failures, row.last_attempt) == (status.value, 1, NOW)
    assert run(NOW + timedelta(minutes=4)) == []
    again = NOW + timedelta(minutes=5)
    rows.CsmsNode.objects.update(lease_until=again + timedelta(minutes=1))
    assert run(again) == ["CP1"]


def test_a_command_that_the_sweep_ends_counts_as_a_failure() -> None:
    rows.tag()
    automatic()
    assert run() == ["CP1"]
    commands.sweep(now=NOW + timedelta(hours=1), changes=Changes())
    assert LocalList.objects.get().failures == 1


def test_a_station_that_turns_out_unable_is_left_alone() -> None:
    rows.tag()
    row = automatic()
    rows.limitation(row.chargepoint, "local_list", "", certain=True)
    assert run() == []


def test_a_station_that_cannot_keep_more_is_in_sync_with_what_it_can() -> None:
    rows.tag("A")
    rows.tag("B")
    row = automatic("CP1", {"A": OK})
    rows.variable(row.chargepoint, "LocalAuthListMaxLength", "1")
    assert run() == []
    IdTag.objects.filter(pk="A").update(revoked=True)
    assert run() == ["CP1"]
    sent = Command.objects.get().payload["localAuthorizationList"]
    assert sent == [{"idTag": "A"}, {"idTag": "B", "idTagInfo": OK}]


def test_a_run_sends_no_more_than_it_may_and_goes_on_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locallists, "MOST_AT_ONCE", 2)
    rows.tag()
    for number in range(3):
        automatic(f"S{number}")
    assert sorted(filter(None, [*run(), *run()])) == ["S0", "S1", "S2"]


def test_a_station_that_can_no_longer_be_sent_anything_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows.tag()
    automatic("A")
    automatic("B")
    synchronise = locallists.synchronise

    def leave(station: ChargePoint, **options: Any) -> Command | None:
        station.connected = station.pk != "A"
        return synchronise(station, **options)

    monkeypatch.setattr(locallists, "synchronise", leave)
    assert run() == ["B"]


def test_nothing_is_read_where_nothing_is_automatic_and_no_list_where_nothing_changed(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(30):
        rows.tag(f"TAG{number:02}")
    rows.local_list(rows.station("MANUAL", connected=True))
    with django_assert_num_queries(1):
        assert run() == []
    held = {f"TAG{number:02}": OK for number in range(30)}
    for number in range(20):
        automatic(f"S{number:02}", held)
    # The lists without their entries, the tags, the configuration; no station.
    with django_assert_num_queries(3) as statements:
        assert locallists.synchronise_automatic(now=NOW, changes=Changes()) == []
    assert not any('"entries"' in each["sql"] for each in statements)


def test_a_list_of_a_thousand_tags_is_sent_once_and_then_by_its_changes() -> None:
    IdTag.objects.bulk_create(IdTag(id_token=f"TAG{n:04}", lookup_key=f"tag{n:04}") for n in range(1000))
    row = automatic()
    assert run() == ["CP1"]
    command = Command.objects.get()
    assert len(command.payload["localAuthorizationList"]) == 1000
    row.hold(1, {each["idTag"]: each["idTagInfo"] for each in command.payload["localAuthorizationList"]}, NOW)
    row.save()
    finish(CommandStatus.ANSWERED, {"status": "Accepted"})
    assert run() == []
    IdTag.objects.filter(pk="TAG0500").delete()
    IdTag.objects.filter(pk="TAG0501").update(revoked=True)
    assert run() == ["CP1"]
    changes = Command.objects.exclude(pk=command.pk).get()
    assert changes.payload["localAuthorizationList"] == [
        {"idTag": "TAG0500"},
        {"idTag": "TAG0501", "idTagInfo": {"status": "Blocked"}},
    ]


def test_the_run_survives_a_redis_that_is_away(settings: Settings) -> None:
    rows.tag()
    automatic()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    tasks.synchronise_local_lists()
    assert Command.objects.get().status == "queued"


def synchronise(station: ChargePoint) -> None:
    locallists.synchronise(station, requested_by=None, now=NOW, changes=Changes())


def send_by_hand(station: ChargePoint) -> None:
    with atomic():
        commands.create(
            station=station,
            action=BY_NAME["ocpp1.6", "SendLocalList"],
            payload={"updateType": "Full"},
            requested_by=None,
            now=NOW,
            changes=Changes(),
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("send", [synchronise, send_by_hand])
def test_two_who_want_it_at_once_send_one_command(send: Callable[[ChargePoint], None], short_connections: None) -> None:
    rows.tag()
    automatic()
    together = threading.Barrier(4)
    outcomes: list[str] = []

    def want() -> None:
        try:
            station = ChargePoint.objects.with_connected(NOW).get()
            together.wait(5)
            send(station)
            outcomes.append("sent")
        except ListUpdateRunning:
            outcomes.append("running")
        finally:
            connection.close()

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["running"] * 3 + ["sent"]
    assert Command.objects.count() == 1
