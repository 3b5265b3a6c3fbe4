"""What tests of certificates share, whatever the version: the worker's turn, and what is known afterwards."""

from datetime import UTC, datetime

from cryptography import x509

from chargers import pem
from chargers.changes import Changes
from chargers.models import Certificate
from tasks import signing
from tests.csms.conftest import query_in_thread
from tests.csms.waiting import until
from tests.simulator.station import Payload


async def work() -> None:
    """Let the worker do what is due now."""

    def run() -> None:
        Certificate.objects.filter(due_at__isnull=False).update(due_at=datetime.now(UTC))
        signing.work_on(changes=Changes())

    await query_in_thread(run)


def rows() -> list[tuple[str, str]]:
    return list(Certificate.objects.order_by("id").values_list("status", "reason"))


async def becomes(*statuses: str) -> None:
    await until(lambda: [status for status, _ in rows()] == list(statuses))


def hash_data(root: x509.Certificate, algorithm: str = "SHA256") -> Payload:
    named = pem.hash_data(root, algorithm=algorithm)
    return {
        "hashAlgorithm": named.algorithm,
        "issuerNameHash": named.issuer_name_hash,
        "issuerKeyHash": named.issuer_key_hash,
        "serialNumber": named.serial_number,
    }
