import pytest
from rest_framework.test import APIClient

from tasks import broker
from tasks.models import Command, CommandStatus
from tests.api import rows

pytestmark = pytest.mark.django_db


def test_commands_come_newest_first_and_are_filtered(viewer: APIClient) -> None:
    station = rows.station()
    rows.command(station, "Reset", status="answered")
    rows.command(station, "ClearCache")
    rows.command(rows.station("CP2"), "Reset")

    def found(**query: str) -> list[str]:
        results = viewer.get("/api/task/", query).json()["results"]
        return [f"{row['chargepoint_id']} {row['action']}" for row in results]

    assert found() == ["CP2 Reset", "CP001 ClearCache", "CP001 Reset"]
    assert found(chargepoint_id="CP001") == ["CP001 ClearCache", "CP001 Reset"]
    assert found(status="answered") == ["CP001 Reset"]
    assert found(action="Reset") == ["CP2 Reset", "CP001 Reset"]
    assert viewer.get("/api/task/", {"status": "lost"}).json()["details"].keys() == {"status"}


def test_a_queued_command_is_cancelled(operator: APIClient, redis_settings: str) -> None:
    command = rows.command(rows.station())
    assert operator.delete(f"/api/task/{command.pk}/").status_code == 204
    assert operator.get(f"/api/task/{command.pk}/").json()["status"] == "cancelled"
    assert broker.await_end(command.pk, 1)


@pytest.mark.parametrize("status", [each for each in CommandStatus if each != CommandStatus.QUEUED])
def test_a_command_that_is_no_longer_queued_cannot_be_cancelled(
    status: CommandStatus, operator: APIClient, redis_settings: str
) -> None:
    command = rows.command(rows.station(), status=status)
    refused = operator.delete(f"/api/task/{command.pk}/")
    assert (refused.status_code, refused.json()["code"]) == (409, "COMMAND_NOT_QUEUED")
    assert Command.objects.get().status == status


def test_an_unknown_command_is_not_found(viewer: APIClient) -> None:
    assert viewer.get("/api/task/1/").status_code == 404
