from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filestore import environment

NAME = "OV2XMP_TEST_VALUE"


def test_a_generated_secret_is_kept_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret-key"

    secret = environment.read_or_create_secret(path)

    assert len(secret) >= 50
    assert environment.read_or_create_secret(path) == secret
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"

    with ThreadPoolExecutor(16) as pool:
        read = set(pool.map(lambda _: environment.read_or_create_secret(path), range(64)))

    assert len(read) == 1


@pytest.mark.parametrize("value", ["inf", "nan", "0.5"])
def test_a_whole_number_is_asked_for_where_only_one_makes_sense(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(environment.SettingError, match=f"{NAME} must be a whole number, not {value}"):
        environment.env_int(NAME, 1)


def test_a_secret_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    with pytest.raises(environment.SettingError, match=f"{NAME}_FILE: {tmp_path}/secret is not UTF-8 text"):
        environment.env(NAME)
