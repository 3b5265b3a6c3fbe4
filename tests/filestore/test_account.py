import json
import os
from pathlib import Path

import pytest

from filestore.account import Account, Source, read_account, require_account
from filestore.environment import SettingError

USERNAME, PASSWORD = "OV2XMP_TEST_USERNAME", "OV2XMP_TEST_PASSWORD"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OV2XMP_"):
            monkeypatch.delenv(name)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(USERNAME, PASSWORD, tmp_path / "config.json", "test-password")


def test_the_account_is_read_from_the_file_in_the_servers_folder(source: Source) -> None:
    source.config.write_text('{"username": "stations", "password": "long-enough"}')

    assert require_account(source) == Account("stations", "long-enough")


def test_settings_count_before_the_file(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.config.write_text('{"username": "stations", "password": "long-enough"}')
    monkeypatch.setenv(PASSWORD, "longer-still")

    assert require_account(source) == Account("stations", "longer-still")


def test_the_password_may_be_a_secret_file(source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv(f"{PASSWORD}_FILE", str(tmp_path / "secret"))

    assert require_account(source) == Account("ov2xmp", "from a file")


def test_a_password_is_made_and_kept_in_the_data_directory(
    source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OV2XMP_DATA_DIR", str(tmp_path))

    made = require_account(source)

    assert made.password == (tmp_path / "test-password").read_text()
    assert require_account(source) == made


@pytest.mark.parametrize("password", ["ov2xmp", "OV2XMP", "admin", "password", "stations", "12345678", "changeme"])
def test_a_password_that_everybody_knows_is_refused(source: Source, password: str) -> None:
    source.config.write_text(json.dumps({"username": "Stations", "password": password}))

    with pytest.raises(SettingError, match=rf"{PASSWORD} is the user name or a default.*{PASSWORD}_FILE"):
        require_account(source)


def test_no_password_is_refused(source: Source) -> None:
    with pytest.raises(SettingError, match=rf"{PASSWORD} is not set\. Set {PASSWORD} or .*config\.json"):
        require_account(source)


def test_no_name_is_refused(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USERNAME, "")
    monkeypatch.setenv(PASSWORD, "long-enough")

    with pytest.raises(SettingError, match=f"{USERNAME} is empty"):
        require_account(source)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON"),
        (b'{"password": "hunter2"', "is not JSON"),
        (b"\xff", "is not JSON"),
        (b'["hunter2"]', "must be an object"),
        (b'{"password": 12}', "password must be a string"),
        (b'{"username": null, "password": "hunter2"}', "username must be a string"),
    ],
)
def test_a_file_that_is_no_good_is_named_without_its_password(source: Source, content: bytes, reason: str) -> None:
    source.config.write_bytes(content)

    with pytest.raises(SettingError, match=reason) as refused:
        read_account(source)
    assert str(source.config) in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_account_is_known_in_either_encoding(encoding: str) -> None:
    account = Account("Zoé", "pässwörd")

    assert account.matches("Zoé".encode(encoding), "pässwörd".encode(encoding))


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"zoe", b"password1"), (b"Zoe", b"passwort"), (b"Zoe", b""), (b"", b"password1"), (b"Zoe", b"password1\0")],
)
def test_another_name_or_password_is_not(username: bytes, password: bytes) -> None:
    assert not Account("Zoe", "password1").matches(username, password)


def test_a_character_that_an_encoding_lacks_matches_no_question_mark() -> None:
    assert not Account("zoe", "p€ssword").matches(b"zoe", b"p?ssword")


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Account("me", "hunter2"))
