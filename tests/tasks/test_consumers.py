"""Live updates over a WebSocket and a real channel layer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from api.resources import ConnectorResource
from chargers import representation
from chargers.changes import Changes
from chargers.services import installedprofiles
from chargers.values import ProfilesCleared
from ov2xmp.asgi import application
from tasks import updates
from tasks.roles import Role
from tests.api import rows
from tests.conftest import client_of, person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("transactional_db", "redis_settings", "short_connections"),
]

# Seconds that anything may take.
PATIENCE = 2


async def off_loop(work: Callable[[], Any]) -> Any:
    """Work with the database in a thread, and leave no connection behind."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return await asyncio.to_thread(run)


def token(role: Role | None = Role.VIEWER, lifetime: timedelta = timedelta(minutes=5)) -> str:
    access = AccessToken.for_user(person(f"somebody-{role}", role))
    access.set_exp(lifetime=lifetime)
    return str(access)


@asynccontextmanager
async def listening(path: str) -> AsyncIterator[WebsocketCommunicator]:
    socket = WebsocketCommunicator(application, path)
    connected, _ = await socket.connect(PATIENCE)
    assert connected
    try:
        yield socket
    finally:
        await socket.disconnect()


async def close_code(path: str) -> int:
    socket = WebsocketCommunicator(application, path)
    await socket.connect(PATIENCE)
    message = await socket.receive_output(PATIENCE)
    assert message["type"] == "websocket.close"
    await socket.disconnect()
    return message["code"]


def note(topic: str, *keys: Any) -> Changes:
    changes = Changes()
    for key in keys:
        changes.note(topic, key)
    return changes


async def publish(changes: Changes) -> None:
    await updates.send(await off_loop(lambda: updates.render(changes, timezone.now())))


async def test_without_a_valid_token_the_socket_is_closed_with_4401() -> None:
    def tokens() -> list[str]:
        gone = token(Role.OPERATOR)
        User.objects.get(username="somebody-operators").delete()
        expired = token(lifetime=-timedelta(seconds=1))
        nobody = token(None)
        refresh = RefreshToken.for_user(person("refresher", Role.VIEWER))
        return ["", "rubbish", gone, expired, nobody, str(refresh)]

    for each in await off_loop(tokens):
        assert await close_code(f"/ws/updates/all/?token={each}") == 4401
    assert await close_code("/ws/updates/all/") == 4401


async def test_a_token_that_runs_out_ends_the_updates() -> None:
    short = await off_loop(lambda: token(lifetime=timedelta(seconds=1.5)))
    assert await close_code(f"/ws/updates/all/?token={short}") == 4401


@pytest.mark.parametrize("topic", ["nonsense", "x" * 200])
async def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    access = await off_loop(token)
    assert await close_code(f"/ws/updates/{topic}/?token={access}") == 4404


async def test_a_topic_brings_its_own_updates_only() -> None:
    def prepare() -> tuple[str, Any]:
        return token(), rows.connector(rows.station()).pk

    access, connector = await off_loop(prepare)
    async with (
        listening(f"/ws/updates/connector/?token={access}") as one,
        listening(f"/ws/updates/all/?token={access}") as everything,
    ):
        await publish(note("chargepoint", "CP001"))
        await publish(note("connector", connector))
        assert (await one.receive_json_from(PATIENCE))["topic"] == "connector"
        assert await one.receive_nothing()
        assert [(await everything.receive_json_from(PATIENCE))["topic"] for _ in range(2)] == [
            "chargepoint",
            "connector",
        ]


async def test_a_listener_that_comes_while_redis_is_away_is_told_to_come_later(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"unix://{tmp_path / 'nobody.sock'}"]},
        }
    }
    channel_layers.backends = {}
    access = await off_loop(token)
    assert await close_code(f"/ws/updates/all/?token={access}") == 1013
    assert "redis does not answer" in caplog.text
    assert "Traceback" not in caplog.text


async def test_updates_are_narrowed_to_a_station() -> None:
    def prepare() -> str:
        for identity in ("CP/1 ü", "CP2"):
            rows.station(identity)
        return token()

    access = await off_loop(prepare)
    path = f"/ws/updates/chargepoint?token={access}&chargepoint_id={quote('cp/1 Ü', safe='')}"
    async with listening(path) as socket:
        await publish(note("chargepoint", "CP2", "CP/1 ü"))
        assert (await socket.receive_json_from(PATIENCE))["data"]["chargepoint_id"] == "CP/1 ü"
        assert await socket.receive_nothing()


async def test_an_update_carries_the_very_object_that_rest_answers() -> None:
    def prepare() -> tuple[str, dict[str, tuple[Any, str]]]:
        station = rows.station("CP001", connected=True)
        rows.deviation(station)
        connector = rows.connector(station)
        transaction = rows.transaction(station, connector=connector, id_tag=rows.tag())
        command = rows.command(station)
        reservation = rows.reservation(station, connector=connector)
        event = rows.security_event(station)
        update, upload = rows.firmware_update(station), rows.log_upload(station)
        publication = rows.firmware_publication(station)
        profile = rows.installed_profile(station)
        limit, needs, schedule = rows.charging_limit(station), rows.charging_needs(station), rows.ev_schedule(station)
        alarm, monitor, shown = rows.event(station), rows.monitor(station), rows.display_message(station)
        return token(), {
            "chargepoint": ("CP001", "/api/chargepoint/CP001/"),
            "connector": (connector.pk, f"/api/connector/{connector.pk}/"),
            "transaction": (transaction.pk, f"/api/transaction/{transaction.pk}/"),
            "reservation": (reservation.pk, "/api/reservation/CP001/"),
            "chargingprofile": (profile.pk, f"/api/installedprofile/{profile.pk}/"),
            "charginglimit": (limit.pk, f"/api/charginglimit/{limit.pk}/"),
            "chargingneeds": (needs.pk, f"/api/chargingneeds/{needs.pk}/"),
            "evschedule": (schedule.pk, f"/api/evschedule/{schedule.pk}/"),
            "displaymessage": (shown.pk, "/api/displaymessage/"),
            "event": (alarm.pk, f"/api/event/{alarm.pk}/"),
            "variablemonitor": (monitor.pk, "/api/variablemonitor/"),
            "securityevent": (event.pk, f"/api/securityevent/{event.pk}/"),
            "firmwarepublication": (publication.pk, f"/api/firmwarepublication/{publication.pk}/"),
            "firmwareupdate": (update.pk, f"/api/firmwareupdate/{update.pk}/"),
            "logupload": (upload.pk, f"/api/logupload/{upload.pk}/"),
            "tasks": (command.pk, f"/api/task/{command.pk}/"),
        }

    def read(paths: list[str]) -> list[Any]:
        client = client_of(User.objects.get())
        bodies = [client.get(path).json() for path in paths]
        # Some are read in a list only.
        return [body["results"][0] if "results" in body else body for body in bodies]

    access, noted = await off_loop(prepare)
    bodies = await off_loop(lambda: read([path for _, path in noted.values()]))
    async with listening(f"/ws/updates/all/?token={access}") as socket:
        for (topic, (key, _)), body in zip(noted.items(), bodies, strict=True):
            await publish(note(topic, key))
            update = await socket.receive_json_from(PATIENCE)
            assert list(update) == ["topic", "event", "at", "data"]
            assert (update["topic"], update["event"], update["data"]) == (topic, "updated", body)
            assert update["at"].endswith("Z")
    assert noted.keys() | {"metervalues"} == set(updates.TOPICS)
    assert ConnectorResource.topic in updates.TOPICS


async def test_a_listener_that_reads_nothing_is_dropped_and_the_others_get_everything(settings: Settings) -> None:
    settings.LIVE_MAX_WAITING = 5

    async def unread(scope: Any, receive: Any, send: Any) -> None:
        """Serve somebody who reads nothing once the socket is open."""

        async def send_at_last(message: Any) -> None:
            if message["type"] == "websocket.send":
                await asyncio.Event().wait()
            await send(message)

        await application(scope, receive, send_at_last)

    def prepare() -> str:
        rows.station("CP001")
        return token()

    path = f"/ws/updates/chargepoint/?token={await off_loop(prepare)}"
    deaf = WebsocketCommunicator(unread, path)
    assert (await deaf.connect(PATIENCE))[0]
    assert await deaf.receive_nothing(0.2)
    async with listening(path) as reader:
        for _ in range(settings.LIVE_MAX_WAITING + 2):
            await publish(note("chargepoint", "CP001"))
            assert (await reader.receive_json_from(PATIENCE))["data"]["chargepoint_id"] == "CP001"
        message = await deaf.receive_output(PATIENCE)
        assert (message["type"], message["code"]) == ("websocket.close", 4408)
        await publish(note("chargepoint", "CP001"))
        await reader.receive_json_from(PATIENCE)
    await deaf.disconnect()


async def test_a_batch_is_sent_whole_however_many_updates_it_has(settings: Settings) -> None:
    settings.LIVE_MAX_WAITING = 1

    def prepare() -> str:
        for number in range(20):
            rows.station(f"CP{number}")
        return token()

    access = await off_loop(prepare)
    async with listening(f"/ws/updates/chargepoint/?token={access}") as socket:
        await publish(note("chargepoint", *(f"CP{number}" for number in range(20))))
        heard = [(await socket.receive_json_from(PATIENCE))["data"]["chargepoint_id"] for _ in range(20)]
    assert sorted(heard) == sorted(f"CP{number}" for number in range(20))


async def test_a_row_that_was_removed_is_told_as_it_was() -> None:
    def prepare() -> tuple[str, Changes]:
        changes = Changes()
        gone = rows.installed_profile(rows.station("CP001"), 7)
        installedprofiles.clear([ProfilesCleared("CP001", chargingprofile_id=7)], changes)
        assert changes.removed == [("chargingprofile", "CP001", representation.installedprofile(gone))]
        return token(), changes

    access, changes = await off_loop(prepare)
    async with listening(f"/ws/updates/chargingprofile/?token={access}&chargepoint_id=CP001") as socket:
        await publish(changes)
        update = await socket.receive_json_from(PATIENCE)
    assert (update["event"], update["data"]["chargingprofile_id"]) == ("deleted", 7)


async def test_readings_are_told_as_they_are() -> None:
    access = await off_loop(token)
    reading = representation.reading(
        transaction_id=7, station="CP001", evse_id=2, connector_id=1, at=rows.NOON, samples=[{"value": "1"}]
    )
    changes = Changes()
    changes.note_reading(reading)
    async with listening(f"/ws/updates/metervalues/?token={access}") as socket:
        await publish(changes)
        update = await socket.receive_json_from(PATIENCE)
    assert (update["event"], update["data"]) == ("created", reading)
    assert {"transaction_id", "chargepoint_id", "connector_id", "timestamp", "sampled_value"} <= reading.keys()


async def test_publishing_from_synchronous_code_reaches_the_listeners() -> None:
    def prepare() -> str:
        rows.station()
        return token()

    access = await off_loop(prepare)
    async with listening(f"/ws/updates/all/?token={access}") as socket:
        await off_loop(lambda: updates.publish(note("chargepoint", "CP001")))
        assert (await socket.receive_json_from(PATIENCE))["data"]["chargepoint_id"] == "CP001"


async def test_what_a_listener_says_is_passed_over() -> None:
    access = await off_loop(token)
    async with listening(f"/ws/updates/all/?token={access}") as socket:
        await socket.send_to(text_data="hello")
        await socket.send_to(bytes_data=b"\x00")
        assert await socket.receive_nothing()


def test_without_redis_nothing_is_told_and_nothing_fails(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": ["redis://127.0.0.1:1"]}}}
    rows.station()
    updates.publish(note("chargepoint", "CP001"))
    assert "live updates were not sent" in caplog.text


def test_a_frame_is_json_with_the_update() -> None:
    rows.station()
    [(topic, [(station, frame)])] = updates.render(note("chargepoint", "CP001"), rows.NOON)
    assert (topic, station) == ("chargepoint", "CP001")
    assert json.loads(frame)["at"] == "2026-03-01T12:00:00Z"


def test_a_number_that_is_too_large_for_most_is_told_all_the_same() -> None:
    # A station answered 1e20 for a whole number, and PostgreSQL returns it in full.
    row = rows.command(rows.station(), response={"listVersion": 10**20})
    [(_, [(_, frame)])] = updates.render(note("tasks", row.pk), rows.NOON)
    assert json.loads(frame)["data"]["response"] == {"listVersion": 10**20}


@pytest.mark.parametrize("path", ["/ws/ocpp/CP001", "/ws/updates/", "/ws/updates/all/more/", "/"])
async def test_a_path_that_leads_nowhere_is_refused_at_the_handshake(path: str) -> None:
    connected, _ = await WebsocketCommunicator(application, path).connect()
    assert not connected
