"""The platform as a certification tool meets it: strict, with its real processes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from chargers import pem
from tests import contracts
from tests.certificates import Authority
from tests.conformance.central import Central
from tests.e2e.launcher import Platform, shared_platform
from tests.e2e.storage import Template


@pytest.fixture(scope="package")
def responder() -> Iterator[contracts.Responder]:
    """Yield an OCSP responder that the platform may ask."""
    with contracts.responding(contracts.Authority("Root of contracts")) as running:
        yield running


@pytest.fixture(scope="package")
def strict_platform(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, template: Template, responder: contracts.Responder
) -> Iterator[Platform]:
    """Yield a platform that all scenarios share, each with a station and tags of its own."""
    server = authority.server()
    directory = tmp_path_factory.mktemp("conformance")
    data_dir, contracts_ca = directory / "var", directory / "contracts.pem"
    contracts_ca.write_text(pem.write(responder.authority.certificate), encoding="ascii")
    with template.copied(data_dir) as storage:
        settings = {
            **storage,
            "OV2XMP_OCPP_VALIDATION": "strict",
            "OV2XMP_OCPP_TIMEOUT": "10",
            "OV2XMP_CPO_NAME": "Example CPO",
            "OV2XMP_ISO15118_PROVIDER": contracts.path(contracts.Conforming),
            "OV2XMP_ISO15118_CA": str(contracts_ca),
            "OV2XMP_OCSP_RESPONDERS": responder.host,
            "OV2XMP_CSMS_TLS_CERTIFICATE": server.certificate,
            "OV2XMP_CSMS_TLS_KEY": server.key,
        }
        with shared_platform(data_dir, settings) as platform:
            yield platform


@pytest.fixture
def commands() -> str:
    """Where the commands of the version under test are."""
    return "ocpp16"


@pytest.fixture
async def central(strict_platform: Platform, request: pytest.FixtureRequest, commands: str) -> AsyncIterator[Central]:
    """The central system, driven over REST; its station is named after the test."""
    # An identity has at most 48 characters in 2.x (part 4, section 3.1).
    name = request.node.name.removeprefix("test_").upper()[: 48 if commands == "ocpp201" else 60]
    async with Central(strict_platform, name, commands) as running:
        yield running
