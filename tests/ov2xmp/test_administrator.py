import io
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from ov2xmp import administrator

PASSWORD = "OV2XMP_ADMIN_PASSWORD"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)


def createadmin() -> str:
    """Run the command of the containers; return what it tells."""
    output = io.StringIO()
    call_command("createadmin", stdout=output)
    return output.getvalue()


def test_the_first_start_creates_an_administrator_with_a_random_password(data_dir: Path) -> None:
    made = administrator.create()

    file = data_dir / "admin-password"
    admin = get_user_model().objects.get()
    assert made == administrator.Administrator(True, f"kept in {file}", file.read_text(encoding="utf-8").strip())
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(made.password) == 20
    assert made.password.isalnum()
    assert admin.is_superuser
    assert admin.check_password(made.password)


def test_a_later_start_leaves_the_administrator_alone(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    administrator.create()
    before = get_user_model().objects.get().password
    monkeypatch.setenv(PASSWORD, "another one")

    assert administrator.create() == administrator.Administrator(False, f"in {data_dir}/admin-password")
    assert get_user_model().objects.get().password == before


def test_a_given_password_is_used_and_not_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "correct horse battery")

    assert createadmin() == f"user admin created, password as in {PASSWORD}\n"
    assert get_user_model().objects.get().check_password("correct horse battery")
    assert not (data_dir / "admin-password").exists()


def test_the_log_of_a_container_does_not_get_the_password(data_dir: Path) -> None:
    told = createadmin()

    assert told == f"user admin created, password kept in {data_dir}/admin-password\n"
    assert createadmin() == f"user admin there already, password in {data_dir}/admin-password\n"


def test_an_administrator_by_another_name_is_enough(data_dir: Path) -> None:
    get_user_model().objects.create_superuser("chief", password="x")

    administrator.create()

    assert not get_user_model().objects.filter(username="admin").exists()


def test_the_password_survives_the_loss_of_the_database(data_dir: Path) -> None:
    password = administrator.create().password
    get_user_model().objects.all().delete()

    administrator.create()

    assert get_user_model().objects.get().check_password(password)
