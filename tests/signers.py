"""Certificate authorities of operators, as OV2XMP_CERTIFICATE_SIGNER names them."""

from chargers import pem
from chargers.authority import EmbeddedAuthority
from tests import pki


class Broken:
    """An authority that is away."""

    def sign(self, csr_pem: str, station: str) -> str:
        raise ConnectionError("the authority is away")


class Confused:
    """An authority that signs another key than it was asked to."""

    def sign(self, csr_pem: str, station: str) -> str:
        return pem.write(pki.certificate(station, key=pki.rsa_key()))


class Talkative:
    """An authority with more intermediates than a message holds."""

    def sign(self, csr_pem: str, station: str) -> str:
        return EmbeddedAuthority().sign(csr_pem, station) + pem.write(pki.root()) * 30


class Chained:
    """An authority with an intermediate."""

    def sign(self, csr_pem: str, station: str) -> str:
        return "some words\r\n" + EmbeddedAuthority().sign(csr_pem, station) + pem.write(EmbeddedAuthority().root())


def path(signer: type) -> str:
    return f"{signer.__module__}.{signer.__qualname__}"
