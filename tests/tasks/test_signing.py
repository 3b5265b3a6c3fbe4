"""The worker and the certificates of stations: what is signed gets to its station, or it is said why not."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers import pem
from chargers.changes import Changes
from chargers.choices import CertificateStatus, CertificateUse, LimitationKind, OcppVersion, RegistrationStatus
from chargers.models import Certificate, ChargePoint, CsmsNode, Limitation, Variable
from tasks import broker, commands, signing, tasks, updates
from tasks.models import Command, CommandStatus
from tests import pki, signers

NOW = timezone.now()
CHAIN = pem.write(pki.certificate("CP1"))

pytestmark = pytest.mark.usefixtures("db", "redis_settings", "data_dir")


def at(minute: float) -> datetime:
    return NOW + timedelta(minutes=minute)


@pytest.fixture
def station() -> ChargePoint:
    """A connected station."""
    node = CsmsNode.objects.create(node_id="n", name="n", started_at=NOW, lease_until=at(600))
    return ChargePoint.objects.create(chargepoint_id="CP1", node=node, ocpp_version=OcppVersion.V16)


@pytest.fixture
def signed(station: ChargePoint) -> Certificate:
    """A signed chain that is due to be brought to the station."""
    return certificate(status=CertificateStatus.SIGNED, pem=CHAIN)


def certificate(**fields: Any) -> Certificate:
    defaults = {
        "chargepoint_id": "CP1",
        "use": CertificateUse.STATION,
        "created_at": NOW,
        "updated_at": NOW,
        "due_at": NOW,
    }
    return Certificate.objects.create(**{**defaults, **fields})


def deliver(minute: float = 0) -> None:
    signing.deliver(now=at(minute), changes=Changes())


def end_last(status: CommandStatus, *, sent: bool = True, error: dict[str, Any] | None = None) -> None:
    """End the command that was made last."""
    last = Command.objects.latest("created_at")
    last.status, last.error, last.sent_at = status, error, last.created_at if sent else None
    last.save()


def handed_over() -> int:
    return broker.client().llen(broker.node_list("n"))  # type: ignore[return-value]


def state() -> tuple[str, int, str]:
    row = Certificate.objects.get()
    return row.status, row.attempts, row.reason


def test_a_signed_chain_is_sent_to_its_station(signed: Certificate) -> None:
    deliver()

    command = Command.objects.get()
    assert (command.action, command.payload, command.chargepoint_id) == (
        "CertificateSigned",
        {"certificateChain": CHAIN},
        "CP1",
    )
    assert Certificate.objects.get().command_id == command.pk
    assert broker.client().lrange(broker.node_list("n"), 0, -1) == [str(command.pk).encode()]


@pytest.mark.parametrize(
    "fields",
    [
        {"node": None},
        {"registration_status": RegistrationStatus.REJECTED},
    ],
    ids=["offline", "rejected"],
)
def test_a_station_that_cannot_get_it_now_gets_it_later(
    signed: Certificate, station: ChargePoint, fields: dict[str, Any]
) -> None:
    ChargePoint.objects.update(**fields)
    deliver(0)
    assert not Command.objects.exists()
    assert state() == ("Signed", 0, "")

    station.save()
    deliver(100)
    assert Command.objects.count() == 1


def test_chains_that_cannot_be_sent_hold_up_no_other(
    signed: Certificate, station: ChargePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "MOST_AT_ONCE", 2)
    fields: dict[str, Any] = {"node": station.node, "registration_status": RegistrationStatus.REJECTED}
    for number in range(2):
        other = ChargePoint.objects.create(chargepoint_id=f"OTHER{number}", **fields)
        certificate(status=CertificateStatus.SIGNED, pem=CHAIN, chargepoint_id=other.pk, due_at=at(-1))

    deliver(0)
    assert not Command.objects.exists()
    deliver(0)
    assert Command.objects.get().chargepoint_id == "CP1"


def test_while_it_is_on_its_way_it_is_not_sent_again(signed: Certificate) -> None:
    deliver(0)
    deliver(100)

    assert Command.objects.count() == 1


def test_what_was_not_answered_is_sent_again_and_given_up_after_a_while(signed: Certificate) -> None:
    error = {"code": "timeout", "description": "no answer in time", "details": {}}
    minutes = []
    for minute in range(120):
        deliver(minute)
        if Command.objects.count() > len(minutes):
            minutes.append(minute)
            end_last(CommandStatus.TIMEOUT, error=error)

    assert minutes == [0, 1, 3, 7, 15, 31]
    assert state() == ("Failed", 6, "timeout: no answer in time")
    assert Certificate.objects.get().due_at is None


def test_what_never_left_the_platform_is_no_attempt(signed: Certificate) -> None:
    for number in range(10):
        deliver(2 * number)
        end_last(CommandStatus.OFFLINE, sent=False)

    assert Command.objects.count() == 10
    assert state() == ("Signed", 1, "")


def test_a_station_that_does_not_know_the_message_gets_none(signed: Certificate, station: ChargePoint) -> None:
    Limitation.objects.create(
        chargepoint=station,
        kind=LimitationKind.ACTION,
        subject="CertificateSigned",
        reason="NotImplemented",
        certain=True,
        first_seen=NOW,
        last_seen=NOW,
    )
    deliver()

    status, _, reason = state()
    assert status == "Failed"
    assert "CP1 does not do this" in reason


def test_a_chain_that_is_too_long_for_the_station_is_not_sent(signed: Certificate, station: ChargePoint) -> None:
    Variable.objects.create(
        chargepoint=station, variable="CertificateSignedMaxChainSize", value=str(len(CHAIN) - 1), read_at=NOW
    )
    deliver()

    assert not Command.objects.exists()
    assert state()[::2] == (
        "Failed",
        f"certificate_chain: The chain has {len(CHAIN)} characters, and the station takes {len(CHAIN) - 1}.",
    )


def test_a_chain_that_redis_loses_is_sent_again(
    signed: Certificate, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setattr(broker, "hand_to_node", lambda *_: (_ for _ in ()).throw(broker.RedisError("away")))
        deliver(0)
    assert handed_over() == 0
    commands.sweep(now=at(5), changes=Changes())
    assert Command.objects.get().status == "timeout"

    deliver(5)
    assert handed_over() == 1


def test_one_run_of_the_worker_signs_and_sends(station: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Changes] = []
    monkeypatch.setattr(updates, "publish", told.append)
    certificate(status=CertificateStatus.REQUESTED, csr=pki.request_pem("CP1"))

    tasks.sign_certificates(of_a_later_version=True)

    command = Command.objects.get()
    (leaf,) = pem.read_chain(command.payload["certificateChain"])
    assert leaf.public_key() == pki.ec_key().public_key()
    assert told[0].rows == {"tasks": {command.pk: "created"}}


def test_a_slow_authority_keeps_one_worker_busy_only(station: ChargePoint) -> None:
    certificate(status=CertificateStatus.REQUESTED, csr=pki.request_pem("CP1"))

    with broker.alone("certificates", 60) as first:
        tasks.sign_certificates()
        assert first
        assert state() == ("Requested", 0, "")
    tasks.sign_certificates()
    assert state() == ("Signed", 1, "")


def test_an_authority_that_is_away_does_not_keep_others_from_their_chains(
    signed: Certificate, settings: Settings
) -> None:
    settings.CERTIFICATE_SIGNER = signers.path(signers.Broken)
    certificate(status=CertificateStatus.REQUESTED, csr=pki.request_pem("CP1"))

    tasks.sign_certificates()

    assert Command.objects.count() == 1
    assert list(Certificate.objects.order_by("id").values_list("status", flat=True)) == ["Signed", "Requested"]


def test_the_authority_of_a_station_that_was_deleted_is_not_asked(data_dir: Path) -> None:
    certificate(status=CertificateStatus.REQUESTED, csr=pki.request_pem("CP1"))

    tasks.sign_certificates()

    assert state() == ("Requested", 1, "NO_STATION: the station was deleted")
    assert not data_dir.exists()


def test_certificates_that_expire_soon_are_told_in_the_log(
    station: ChargePoint, caplog: pytest.LogCaptureFixture
) -> None:
    certificate(status=CertificateStatus.ACCEPTED, not_after=at(60 * 24 * 20))

    tasks.warn_of_expiring_certificates(of_a_later_version=True)

    assert caplog.messages == [f"CP1: ChargingStationCertificate expires on {at(60 * 24 * 20).date()}"]
