"""OCPP 2.x: local controllers offer firmware to their stations, over real sockets (L03, L04)."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import FirmwarePublication
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

CHECKSUM = "d41d8cd98f00b204e9800998ecf8427e"
LOCATION = "https://maker.example/2.0.bin"
OFFERED = ["https://10.0.0.1/2.0.bin", "ftp://10.0.0.1/2.0.bin"]


@pytest.fixture
def ready(ready: Station201) -> Station201:
    ready.answers["PublishFirmware"] = {"status": "Accepted"}
    return ready


def publication(**members: Any) -> Payload:
    return {"location": LOCATION, "checksum": CHECKSUM, **members}


async def tells(station: Station201, word: str, request_id: int | None, **members: Any) -> None:
    named = {} if request_id is None else {"requestId": request_id}
    payload = {"status": word, **named, **members}
    assert await station.call("PublishFirmwareStatusNotification", payload) == {}


async def test_a_firmware_is_published_and_it_is_told_where(ready: Station201, query: Query) -> None:
    await operator.perform("PublishFirmware", publication(retries=2))
    job = await query(FirmwarePublication.objects.get)
    assert (await ready.expect_call("PublishFirmware")).payload == {
        "location": LOCATION,
        "retries": 2,
        "checksum": CHECKSUM,
        "requestId": job.pk,
    }
    assert (job.status, job.checksum, job.location) == ("Accepted", CHECKSUM, LOCATION)
    for word in ("DownloadScheduled", "Downloading", "DownloadPaused", "Downloaded", "ChecksumVerified"):
        await tells(ready, word, job.pk)
        assert (await query(FirmwarePublication.objects.get)).status == word
    await tells(ready, "Published", job.pk, location=OFFERED)
    await tells(ready, "Idle", None)
    job = await query(FirmwarePublication.objects.get)
    assert (job.status, job.locations) == ("Published", OFFERED)


async def test_a_firmware_is_found_by_its_path_on_the_file_server(
    ready: Station201, settings: Settings, query: Query
) -> None:
    settings.HTTP_FILES_URL = "http://user:hunter2@csms.example:8080/http/files"
    await operator.perform("PublishFirmware", publication(location="acme/2.0.bin"))
    call = await ready.expect_call("PublishFirmware")
    assert call.payload["location"] == "http://user:hunter2@csms.example:8080/http/files/acme/2.0.bin"
    job = await query(FirmwarePublication.objects.get)
    assert (job.path, "hunter2" in job.location) == ("acme/2.0.bin", False)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"checksum": "abc"}, "checksum"),
        ({"checksum": "g" * 32}, "checksum"),
        ({"location": "gopher://host/x"}, "location"),
        ({"retries": -1}, "retries"),
    ],
)
async def test_what_cannot_be_published_is_not_asked_for(ready: Station201, members: Payload, field: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        await operator.perform("PublishFirmware", publication(**members))
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize("word", ["DownloadFailed", "InvalidChecksum", "PublishFailed"])
async def test_a_publication_may_fail(ready: Station201, word: str, query: Query) -> None:
    await operator.perform("PublishFirmware", publication())
    await tells(ready, word, (await query(FirmwarePublication.objects.get)).pk)
    assert (await query(FirmwarePublication.objects.get)).status == word


async def test_a_controller_may_turn_it_down_or_stay_silent(
    ready: Station201, settings: Settings, query: Query
) -> None:
    ready.answers["PublishFirmware"] = {"status": "Rejected"}
    await operator.perform("PublishFirmware", publication())
    settings.OCPP_TIMEOUT = 0.3
    ready.answers["PublishFirmware"] = None
    await operator.perform("PublishFirmware", publication())
    statuses = await query(lambda: list(FirmwarePublication.objects.order_by("pk").values_list("status", flat=True)))
    assert statuses == ["Rejected", "Failed"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [("Unpublished", "Unpublished"), ("NoFirmware", "Unpublished"), ("DownloadOngoing", "Published")],
)
async def test_a_firmware_is_offered_until_it_is_unpublished(
    ready: Station201, answer: str, status: str, query: Query
) -> None:
    await operator.perform("PublishFirmware", publication())
    await tells(ready, "Published", (await query(FirmwarePublication.objects.get)).pk, location=OFFERED)
    ready.answers["UnpublishFirmware"] = {"status": answer}
    await operator.perform("UnpublishFirmware", {"checksum": CHECKSUM.upper()})
    assert (await query(FirmwarePublication.objects.get)).status == status
    with pytest.raises(InvalidBody, match="MD5"):
        await operator.perform("UnpublishFirmware", {"checksum": "abc"})


async def test_a_publication_that_nobody_asked_for_is_kept(ready: Station201, query: Query) -> None:
    await tells(ready, "Published", 77, location=["ftp://user:hunter2@10.0.0.1/2.0.bin"])
    job = await query(FirmwarePublication.objects.get)
    assert (job.request_id, job.status, job.locations) == (77, "Published", ["ftp://user:********@10.0.0.1/2.0.bin"])
