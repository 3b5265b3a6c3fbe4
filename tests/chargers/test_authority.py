"""The embedded authority: its root is made once, and what it signs is what stations and servers verify."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509 import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from chargers import authority, pem
from chargers.authority import EmbeddedAuthority
from ov2xmp.settings import BASE_DIR
from tests import pki

OPENSSL = shutil.which("openssl")
KEYS = {"RSA": pki.rsa_key, "EC": pki.ec_key}


pytestmark = pytest.mark.usefixtures("data_dir")


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest) -> CertificateIssuerPrivateKeyTypes:
    return KEYS[request.param]()


def signed(text: str) -> x509.Certificate:
    return pem.read_certificate(EmbeddedAuthority().sign(text, "CP1"))


def test_the_root_is_kept(data_dir: Path) -> None:
    root = EmbeddedAuthority().root()

    assert EmbeddedAuthority().root() == root
    assert root.issuer == root.subject
    assert root.not_valid_after_utc - datetime.now(UTC) > timedelta(days=20 * 365 - 1)
    assert sorted(path.name for path in data_dir.rglob("*")) == ["ca", "root.key", "root.pem"]


def test_the_root_is_open_to_others_and_its_key_is_not(data_dir: Path) -> None:
    EmbeddedAuthority().root()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.rglob("*")}
    assert modes == {"ca": 0o755, "root.pem": 0o644, "root.key": 0o600}


def make_authority(data_dir: Path) -> subprocess.Popen[str]:
    """Run the command in a process of its own, as a deployment does before its proxy starts."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "makeauthority"],
        cwd=BASE_DIR,
        env={**os.environ, "OV2XMP_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        umask=0o077,
    )


def test_processes_that_make_the_authority_at_once_make_one(data_dir: Path) -> None:
    outcomes = [process.communicate(timeout=60) for process in [make_authority(data_dir) for _ in range(3)]]

    assert all(f"{data_dir}/ca/root.pem" in output and not error for output, error in outcomes), outcomes
    assert [path.name for path in data_dir.iterdir() if path.is_dir()] == ["ca"]
    assert sorted(path.name for path in (data_dir / "ca").iterdir()) == ["root.key", "root.pem"]
    assert stat.S_IMODE(authority.root_file().stat().st_mode) == 0o644
    root = EmbeddedAuthority().root()
    (data_dir / "ca" / "root.key").unlink()
    call_command("makeauthority")
    assert pem.read_certificate(authority.root_file().read_text(encoding="ascii")) == root


def test_an_authority_that_cannot_be_made_is_an_error_that_names_its_file(settings: Settings) -> None:
    settings.DATA_DIR = Path("/dev/null/data")

    with pytest.raises(CommandError, match=r"/dev/null/data/ca/root\.pem cannot be made: .*Not a directory"):
        call_command("makeauthority")


def test_the_root_bears_the_operators_name(settings: Settings) -> None:
    settings.CPO_NAME = "Example Power"

    assert EmbeddedAuthority().root().subject.rfc4514_string().endswith("O=Example Power")


def test_threads_that_start_together_agree_on_the_root(data_dir: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        roots = set(pool.map(lambda _: EmbeddedAuthority().root(), range(64)))

    assert len(roots) == 1
    assert [path.name for path in data_dir.iterdir()] == ["ca"]


def test_a_directory_that_was_made_ready_is_used(data_dir: Path) -> None:
    (data_dir / "ca").mkdir(parents=True)

    assert EmbeddedAuthority().root() == EmbeddedAuthority().root()


def test_a_root_that_lost_its_key_is_not_replaced(data_dir: Path) -> None:
    root = EmbeddedAuthority().root()
    (data_dir / "ca" / "root.key").unlink()

    with pytest.raises(FileNotFoundError, match=r"root\.key"):
        EmbeddedAuthority().sign(pki.request_pem("CP1"), "CP1")
    assert pem.read_certificate((data_dir / "ca" / "root.pem").read_text()) == root


def test_what_it_signs_leads_to_the_root(key: CertificateIssuerPrivateKeyTypes) -> None:
    leaf = signed(pki.request_pem("CP1", organization="Example Power", key=key))

    verifier = (
        PolicyBuilder()
        .store(Store([EmbeddedAuthority().root()]))
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            # The web wants alternative names, which stations should not have (A00.FR.511).
            ee_policy=ExtensionPolicy.permit_all().require_present(
                x509.BasicConstraints, x509.verification.Criticality.CRITICAL, None
            ),
        )
        .build_client_verifier()
    )
    assert len(verifier.verify(leaf, []).chain) == 2


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not on the PATH")
def test_openssl_takes_what_it_signs_for_a_client(
    key: CertificateIssuerPrivateKeyTypes, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "leaf.pem").write_text(EmbeddedAuthority().sign(pki.request_pem("CP1", key=key), "CP1"))

    def verify(purpose: str) -> int:
        command = [OPENSSL, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", data_dir / "ca/root.pem"]
        return subprocess.run([*command, tmp_path / "leaf.pem"], capture_output=True, check=False).returncode

    assert verify("sslclient") == 0
    assert verify("sslserver") != 0


def test_a_certificate_has_the_stations_name_and_key(key: CertificateIssuerPrivateKeyTypes) -> None:
    leaf = signed(pki.request_pem("SN-1", organization="Example Power", key=key))

    assert leaf.subject == pki.name("SN-1", organization="Example Power")
    assert leaf.public_key() == key.public_key()


def test_a_certificate_is_good_for_a_client_and_nothing_else(key: CertificateIssuerPrivateKeyTypes) -> None:
    extensions = signed(pki.request_pem("CP1", key=key)).extensions

    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_agreement == (key is pki.ec_key())
    assert not usage.key_cert_sign
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_certificate_lasts_as_long_as_set(settings: Settings) -> None:
    settings.CERTIFICATE_DAYS = 30
    before = datetime.now(UTC).replace(microsecond=0)

    leaf = signed(pki.request_pem("CP1"))

    assert timedelta(0) <= leaf.not_valid_after_utc - before - timedelta(days=30) < timedelta(minutes=1)
    assert before - leaf.not_valid_before_utc > timedelta(minutes=5)


def test_a_certificate_never_outlives_the_root(settings: Settings) -> None:
    settings.CERTIFICATE_DAYS = 100 * 365

    assert signed(pki.request_pem("CP1")).not_valid_after_utc == EmbeddedAuthority().root().not_valid_after_utc


def test_each_certificate_has_a_number_of_its_own() -> None:
    text = pki.request_pem("CP1")

    assert signed(text).serial_number != signed(text).serial_number


class Outsider:
    def sign(self, csr_pem: str, station: str) -> str:
        return f"chain of {station}"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("chargers.authority.EmbeddedAuthority", EmbeddedAuthority),
        (f"{__name__}.Outsider", Outsider),
        ("", type(None)),
    ],
)
def test_the_signer_is_the_one_that_is_set(settings: Settings, path: str, kind: Callable[[], object]) -> None:
    settings.CERTIFICATE_SIGNER = path

    assert type(authority.signer()) is kind
