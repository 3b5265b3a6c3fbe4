"""What is kept from everybody who looks at commands."""

from django.utils import timezone
from rest_framework.test import APIClient

from chargers.models import ChargePoint
from tasks.models import Command, CommandStatus


def test_a_stations_key_is_shown_to_nobody(viewer: APIClient) -> None:
    now = timezone.now()
    command = Command.objects.create(
        chargepoint=ChargePoint.objects.create(chargepoint_id="CP1"),
        ocpp_version="ocpp1.6",
        action="ChangeConfiguration",
        payload={"key": "authorizationKey", "value": "0123456789abcdef"},
        status=CommandStatus.ANSWERED,
        response={"configurationKey": [{"key": "AuthorizationKey", "value": "0123456789abcdef", "readonly": False}]},
        created_at=now,
        expires_at=now,
    )
    shown = viewer.get(f"/api/task/{command.pk}/")
    assert shown.json()["payload"] == {"key": "authorizationKey", "value": "********"}
    assert "0123456789abcdef" not in shown.content.decode()
