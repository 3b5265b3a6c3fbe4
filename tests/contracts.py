"""Those who vouch for the contracts of vehicles: providers as OV2XMP_ISO15118_PROVIDER names them, and OCSP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from chargers.choices import ContractStatus
from chargers.contracts import LocalProvider
from chargers.values import Contract, ContractRequest, StatusRequest
from tests.simulator.authority import Authority

DAY = timedelta(days=1)


class Laboratory:
    """A provider that knows the eMAIDs of the tests."""

    verdicts: dict[str, ContractStatus] = {}

    def issue(self, request: ContractRequest) -> str:
        return f"EXI-{'update' if request.update else 'install'}-{request.exi}"

    def status(self, request: StatusRequest) -> bytes:
        return f"{request.responder} {request.hash.serial_number}".encode()

    def verify(self, contract: Contract) -> ContractStatus:
        return self.verdicts[contract.emaid]


class Conforming(LocalProvider):
    """A provider that issues what the tests expect, and asks responders for the rest."""

    def issue(self, request: ContractRequest) -> str:
        return Laboratory().issue(request)


class Broken(Laboratory):
    """A provider that is away."""

    def issue(self, request: ContractRequest) -> str:
        raise ConnectionError("the pool is away")

    def status(self, request: StatusRequest) -> bytes:
        raise ConnectionError("the responder is away")

    def verify(self, contract: Contract) -> ContractStatus:
        raise ConnectionError("the pool is away")


class Talkative(Laboratory):
    """A provider whose answers no message holds."""

    def issue(self, request: ContractRequest) -> str:
        return "x" * 7501

    def status(self, request: StatusRequest) -> bytes:
        return b"x" * 4126


class Slow(Laboratory):
    """A provider that answers when it is let go."""

    gate = threading.Event()

    def issue(self, request: ContractRequest) -> str:
        self.gate.wait(30)
        return super().issue(request)


def path(provider: type) -> str:
    return f"{provider.__module__}.{provider.__qualname__}"


class Responder(ThreadingHTTPServer):
    """An OCSP responder for what one authority has issued; `revoked` and `asked` hold serial numbers."""

    daemon_threads = True

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.authority = authority
        # Who signs, where that is not the authority itself; and until when the answers are good.
        self.signer: Authority = authority
        self.until = datetime.now(UTC) + DAY
        self.revoked: set[int] = set()
        self.asked: set[int] = set()
        self.status = 200

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/ocsp"

    def answer(self, question: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(question)
        revoked = asked.serial_number in self.revoked
        self.asked.add(asked.serial_number)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=self.until - 2 * DAY,
            next_update=self.until,
            revocation_time=self.until - 3 * DAY if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.signer.certificate)
        signed = builder.sign(self.signer.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)


class _Answer(BaseHTTPRequestHandler):
    server: Responder

    def do_POST(self) -> None:
        content = self.server.answer(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/ocsp-response")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def responding(authority: Authority) -> Iterator[Responder]:
    with Responder(authority) as responder:
        thread = threading.Thread(target=responder.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield responder
        finally:
            responder.shutdown()
            thread.join()
