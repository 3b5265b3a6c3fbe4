import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from ov2xmp import settings

NAME = "OV2XMP_TEST_VALUE"
KEY = "a-secret-key-of-so-many-characters"
READ_SETTINGS = "from django.conf import settings; print(settings.{})"

Load = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that reads one setting in a new process, under the variables given."""

    def load(setting: str, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OV2XMP_")}
        environment = inherited | {"DJANGO_SETTINGS_MODULE": "ov2xmp.settings"} | variables
        return subprocess.run(
            [sys.executable, "-c", READ_SETTINGS.format(setting)],
            cwd=Path(settings.__file__).parent.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    return load


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("TRUE", True), (" on ", True), ("0", False), ("no", False), ("", True)]
)
def test_a_switch_is_read(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv(NAME, value)

    assert settings.env_bool(NAME, default=True) is expected


@pytest.mark.parametrize(
    ("read", "value", "reason"),
    [
        (settings.env_bool, "maybe", "must be 0 or 1, not 'maybe'"),
        (lambda name: settings.env_number(name, 1), "soon", "must be a number, not 'soon'"),
        (lambda name: settings.env_number(name, 1, minimum=0.1), "0", "must be at least 0.1, not 0"),
        (lambda name: settings.env_int(name, 1), "1.5", "must be a whole number, not 1.5"),
        (lambda name: settings.env_choice(name, "a", ("a", "b")), "c", "must be one of a, b, not 'c'"),
        (settings.env_networks, "10.0.0.1, proxy", "must list addresses and networks: 'proxy' does not appear"),
        (settings.env_networks, "10.0.0.1/8", "must list addresses and networks: 10.0.0.1/8 has host bits set"),
        (settings.env_networks, "0.0.0.0/0", "must name certain addresses, and 0.0.0.0/0 is every one"),
        (settings.env_networks, "::/0", "must name certain addresses, and ::/0 is every one"),
        (settings.env_networks, "::ffff:10.0.0.1", "must have ::ffff:10.0.0.1 as the IPv4 address that it is"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], value: str, reason: str
) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} {reason}"):
        read(NAME)


def test_an_empty_number_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "")

    assert settings.env_int(NAME, 9000) == 9000


def test_a_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "localhost, 127.0.0.1,,")

    assert settings.env_list(NAME) == ["localhost", "127.0.0.1"]


def test_networks_of_both_kinds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "172.20.0.5, 10.0.0.0/8,fd00::/8 ,::1,")

    assert list(map(str, settings.env_networks(NAME))) == ["172.20.0.5/32", "10.0.0.0/8", "fd00::/8", "::1/128"]


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
    monkeypatch.setenv(NAME, "from the environment")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    assert settings.env(NAME) == "from a file"


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "missing"))

    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE: cannot read {tmp_path}/missing"):
        settings.env(NAME)


def test_redis_listens_in_the_data_dir(tmp_path: Path) -> None:
    assert settings.embedded_redis_socket(Path("/srv/my platform")) == Path("/srv/my platform/redis.sock")


@pytest.mark.parametrize("name", ["x" * 120, "é" * 60, "100%", "a#b", "a?b"])
def test_redis_listens_elsewhere_if_the_data_dir_cannot_be_part_of_its_url(name: str) -> None:
    socket = settings.embedded_redis_socket(Path("/srv") / name)

    assert socket.parent.parent == Path(tempfile.gettempdir())
    assert settings.embedded_redis_socket(Path("/srv") / name) == socket
    assert settings.embedded_redis_socket(Path("/srv") / f"{name}2") != socket


def test_without_a_key_or_a_data_dir_it_refuses_to_start(load: Load) -> None:
    refused = load("SECRET_KEY")

    assert refused.returncode == 1
    assert "Set OV2XMP_SECRET_KEY or OV2XMP_SECRET_KEY_FILE" in refused.stderr


def test_a_key_that_could_be_guessed_is_refused(load: Load) -> None:
    refused = load("SECRET_KEY", OV2XMP_SECRET_KEY="x" * 31)

    assert refused.returncode == 1
    assert "OV2XMP_SECRET_KEY must have at least 32 characters" in refused.stderr
    assert "xxx" not in refused.stderr.replace("must", "")


def test_a_data_dir_is_enough_to_start(load: Load, tmp_path: Path) -> None:
    loaded = load("SECRET_KEY", OV2XMP_DATA_DIR=str(tmp_path))

    assert loaded.stdout.strip() == (tmp_path / "secret-key").read_text(encoding="utf-8")


def test_the_defaults_serve_this_machine_only(load: Load, tmp_path: Path) -> None:
    assert load("BIND", OV2XMP_SECRET_KEY=KEY).stdout.strip() == "127.0.0.1"
    assert load("DEBUG", OV2XMP_SECRET_KEY=KEY).stdout.strip() == "False"
    assert load("ALLOWED_HOSTS", OV2XMP_SECRET_KEY=KEY).stdout.strip() == "['localhost', '127.0.0.1']"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OV2XMP_CSMS_TLS_CERTIFICATE": "a.pem"}, "OV2XMP_CSMS_TLS_KEY must name one file for each"),
        ({"OV2XMP_CSMS_TLS_CERTIFICATE": "a.pem, b.pem", "OV2XMP_CSMS_TLS_KEY": "a.key"}, "OV2XMP_CSMS_TLS_KEY must"),
        ({"OV2XMP_CSMS_TLS_KEY": "a.key"}, "OV2XMP_CSMS_TLS_KEY must name one file for each"),
        ({"OV2XMP_OCPP_MIN_SECURITY_PROFILE": "2"}, "demands TLS: set OV2XMP_CSMS_TLS_CERTIFICATE"),
        ({"OV2XMP_OCPP_MIN_SECURITY_PROFILE": "3"}, "or OV2XMP_TRUSTED_PROXIES where a proxy ends it"),
        ({"OV2XMP_OCPP_MIN_SECURITY_PROFILE": "4"}, "OV2XMP_OCPP_MIN_SECURITY_PROFILE must be one of 0, 1, 2, 3"),
    ],
)
def test_settings_of_tls_that_do_not_fit_together_are_refused(
    load: Load, variables: dict[str, str], reason: str
) -> None:
    refused = load("CSMS_TLS_PORT", OV2XMP_SECRET_KEY=KEY, **variables)

    assert refused.returncode == 1
    assert reason in refused.stderr


def test_tls_may_be_demanded_where_a_proxy_ends_it(load: Load) -> None:
    variables = {"OV2XMP_OCPP_MIN_SECURITY_PROFILE": "2", "OV2XMP_TRUSTED_PROXIES": "172.20.0.5"}

    assert load("OCPP_MIN_SECURITY_PROFILE", OV2XMP_SECRET_KEY=KEY, **variables).stdout.strip() == "2"


def test_sqlite_lies_in_the_data_dir(load: Load, tmp_path: Path) -> None:
    odd = tmp_path / "100% odd? #1"

    loaded = load("DATABASES['default']['NAME']", OV2XMP_DATA_DIR=str(odd))

    assert loaded.stdout.strip() == str(odd / "db.sqlite3")


def test_postgres_may_be_named_in_parts(load: Load) -> None:
    loaded = load(
        "DATABASES['default']",
        OV2XMP_SECRET_KEY=KEY,
        OV2XMP_POSTGRES_DB="ov2xmp",
        OV2XMP_POSTGRES_USER="operator",
        OV2XMP_POSTGRES_PASSWORD="p@ss:w/rd%",
        OV2XMP_POSTGRES_HOST="db",
    )

    config = eval(loaded.stdout)
    assert (config["NAME"], config["USER"], config["PASSWORD"]) == ("ov2xmp", "operator", "p@ss:w/rd%")
    assert (config["HOST"], config["PORT"]) == ("db", 5432)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OV2XMP_LOG_LEVEL": "loud"}, "OV2XMP_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ({"OV2XMP_LOG_FORMAT": "xml"}, "OV2XMP_LOG_FORMAT must be one of plain, json, not 'xml'"),
        ({"OV2XMP_LOGSTASH_ENABLE": "1", "OV2XMP_LOGSTASH_HOST": " "}, "name the host in OV2XMP_LOGSTASH_HOST"),
        ({"OV2XMP_LOGSTASH_PORT": "0"}, "OV2XMP_LOGSTASH_PORT must be at least 1, not 0"),
        ({"OV2XMP_LOGSTASH_QUEUE_SIZE": "17"}, "OV2XMP_LOGSTASH_QUEUE_SIZE must be at least 1024, not 17"),
    ],
)
def test_settings_of_logs_that_cannot_be_followed_are_refused(
    load: Load, variables: dict[str, str], reason: str
) -> None:
    refused = load("LOGGING", OV2XMP_SECRET_KEY=KEY, **variables)

    assert refused.returncode == 1
    assert reason in refused.stderr


def test_the_log_level_may_be_written_in_lower_case(load: Load) -> None:
    assert load("LOG_LEVEL", OV2XMP_SECRET_KEY=KEY, OV2XMP_LOG_LEVEL="debug").stdout.strip() == "DEBUG"


def test_another_database_is_refused(load: Load) -> None:
    refused = load("DATABASES", OV2XMP_SECRET_KEY=KEY, OV2XMP_DATABASE_URL="mysql://root@localhost/ov2xmp")

    assert "OV2XMP_DATABASE_URL must name PostgreSQL or SQLite" in refused.stderr


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "unix://{data_dir}/redis.sock"),
        ({"OV2XMP_REDIS_URL": "redis://cache:6380/2"}, "redis://cache:6380/2"),
        ({"OV2XMP_REDIS_BROKER_HOST": "cache"}, "redis://cache:6379/0"),
        ({"OV2XMP_REDIS_BROKER_HOST": "cache", "OV2XMP_REDIS_BROKER_PORT": "6380"}, "redis://cache:6380/0"),
        ({"OV2XMP_REDIS_BROKER_HOST": "cache", "OV2XMP_REDIS_BROKER_PASSWORD": "p@s"}, "redis://:p%40s@cache:6379/0"),
    ],
)
def test_redis_is_the_embedded_one_unless_named(
    load: Load, tmp_path: Path, variables: dict[str, str], url: str
) -> None:
    loaded = load("REDIS_URL", OV2XMP_DATA_DIR=str(tmp_path), **variables)

    assert loaded.stdout.strip() == url.format(data_dir=tmp_path)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "ftp://ov2xmp:pw@127.0.0.1:2121/files"),
        ({"OV2XMP_BIND": "10.0.0.7"}, "ftp://ov2xmp:pw@10.0.0.7:2121/files"),
        ({"OV2XMP_BIND": "0.0.0.0"}, "ftp://ov2xmp:pw@127.0.0.1:2121/files"),
        ({"OV2XMP_BIND": "::"}, "ftp://ov2xmp:pw@127.0.0.1:2121/files"),
        ({"OV2XMP_BIND": "fd00::7"}, "ftp://ov2xmp:pw@[fd00::7]:2121/files"),
        (
            {"OV2XMP_BIND": "0.0.0.0", "OV2XMP_PUBLIC_HOST": "csms.example", "OV2XMP_FTP_PORT": "21"},
            "ftp://ov2xmp:pw@csms.example:21/files",
        ),
        ({"OV2XMP_FTP_TLS_CERTIFICATE": "/etc/ftp.pem"}, "ftps://ov2xmp:pw@127.0.0.1:2121/files"),
        ({"OV2XMP_FTP_URL": "ftps://csms.example/"}, "ftps://ov2xmp:pw@csms.example/"),
        ({"OV2XMP_FTP_URL": "ftp://me:other@csms.example/"}, "ftp://me:other@csms.example/"),
        (
            {"OV2XMP_FTP_USERNAME": "a b", "OV2XMP_FTP_PASSWORD": "p@ss:/"},
            "ftp://a%20b:p%40ss%3A%2F@127.0.0.1:2121/files",
        ),
        ({"OV2XMP_FTP_USERNAME": ""}, "ftp://127.0.0.1:2121/files"),
    ],
)
def test_stations_are_sent_to_the_file_server_with_an_account(
    load: Load, tmp_path: Path, variables: dict[str, str], url: str
) -> None:
    given = {"OV2XMP_DATA_DIR": str(tmp_path), "OV2XMP_FTP_PASSWORD": "pw", **variables}
    assert load("FTP_URL", **given).stdout.strip() == url


def test_files_over_http_have_a_url_for_each_direction(load: Load, tmp_path: Path) -> None:
    given = {"OV2XMP_DATA_DIR": str(tmp_path), "OV2XMP_HTTP_PASSWORD": "pw", "OV2XMP_FILES_PORT": "81"}
    urls = load("HTTP_UPLOAD_URL, settings.HTTP_FILES_URL", **given)
    assert urls.stdout.split() == [
        "http://ov2xmp:pw@127.0.0.1:81/http/upload",
        "http://ov2xmp:pw@127.0.0.1:81/http/files",
    ]


def test_the_passwords_of_the_file_servers_are_made_in_the_data_dir(load: Load, tmp_path: Path) -> None:
    made = load("FTP_ACCOUNT.password, settings.HTTP_ACCOUNT.password", OV2XMP_DATA_DIR=str(tmp_path)).stdout.split()
    kept = [(tmp_path / name).read_text(encoding="utf-8") for name in ("ftp-password", "http-password")]
    assert made == kept
    assert len(set(kept)) == 2
    assert all(20 <= len(password) <= 40 for password in kept)


def test_files_lie_in_the_data_dir_unless_said_otherwise(load: Load, tmp_path: Path) -> None:
    assert load("FILES_DIR", OV2XMP_DATA_DIR=str(tmp_path)).stdout.strip() == f"{tmp_path}/files"
    elsewhere = load("FILES_DIR", OV2XMP_DATA_DIR=str(tmp_path), OV2XMP_FILES_DIR="/srv/files")
    assert elsewhere.stdout.strip() == "/srv/files"


def test_without_a_data_dir_no_password_is_made(load: Load) -> None:
    assert load("FTP_URL", OV2XMP_SECRET_KEY=KEY).stdout.strip() == "ftp://127.0.0.1:2121/files"


@pytest.mark.parametrize(
    "url",
    ["csms.example", "http://csms.example", "ftp://", "ftp://user:hunter2@", "ftp://h:0/", "ftp://h/?q", "ftp://h/ x"],
)
def test_a_file_server_that_cannot_be_reached_is_refused_without_its_password(load: Load, url: str) -> None:
    refused = load("FTP_URL", OV2XMP_SECRET_KEY=KEY, OV2XMP_FTP_URL=url)

    assert "OV2XMP_FTP_URL must be a URL that begins with ftp or ftps and names a host" in refused.stderr
    assert "hunter2" not in refused.stderr
