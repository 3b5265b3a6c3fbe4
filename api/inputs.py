"""What clients may set. Whatever else a body holds is refused by name, never ignored."""

import copy
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as InvalidRow
from django.db.models import Model
from rest_framework import serializers

from api import identities
from chargers import models


# No docstring: it would be every body's description.
# Checks a body against a model; `fixed` names what can be set at creation only.
class Input(serializers.ModelSerializer):
    fixed: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            allowed = self.fields.keys() - (self.fixed if self.instance else ())
            if refused := data.keys() - allowed:
                raise serializers.ValidationError({str(name): ["Cannot be set here."] for name in refused})
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask the model for the rules that span fields."""
        row = copy.copy(self.instance) if self.instance else self.Meta.model()
        for name, value in attrs.items():
            setattr(row, name, value)
        try:
            row.clean()
        except InvalidRow as error:
            names = {field.source: name for name, field in self.fields.items()}
            raise serializers.ValidationError(
                {names.get(field, field): reasons for field, reasons in error.message_dict.items()}
            ) from error
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Model:
        return self.Meta.model._default_manager.create(**validated_data)

    def update(self, instance: Model, validated_data: dict[str, Any]) -> Model:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        # Only these: stations write the same rows, and must not be overwritten with what was read before.
        instance.save(update_fields=list(validated_data))
        return instance


class StationInput(Input):
    fixed = ("chargepoint_id",)

    # Blanks belong to an identity.
    chargepoint_id = serializers.CharField(
        max_length=models.station.IDENTITY_LENGTH,
        trim_whitespace=False,
        help_text="the last part of the URL that the station connects to",
    )

    class Meta:
        model = models.ChargePoint
        fields = ("chargepoint_id", "registration_status", "location", "security_profile")


class ConnectorInput(Input):
    """What stations do not tell of their connectors."""

    class Meta:
        model = models.Connector
        fields = ("standard", "format", "power_type")


class LocalListInput(Input):
    class Meta:
        model = models.LocalList
        fields = ("automatic",)


class TagField(serializers.PrimaryKeyRelatedField):
    """An id tag, as a reader would spell it."""

    def to_internal_value(self, data: Any) -> models.IdTag:
        return super().to_internal_value(identities.tag(data) if isinstance(data, str) else data)


class IdTagInput(Input):
    fixed = ("idToken",)

    idToken = serializers.CharField(source="id_token", max_length=255, trim_whitespace=False)
    parent = TagField(queryset=models.IdTag.objects.all(), required=False, allow_null=True)
    user = serializers.SlugRelatedField(
        queryset=get_user_model().objects.all(),
        slug_field=get_user_model().USERNAME_FIELD,
        required=False,
        allow_null=True,
        help_text="username",
    )

    class Meta:
        model = models.IdTag
        fields = (
            "idToken",
            "friendly_name",
            "parent",
            "expiry_date",
            "revoked",
            "user",
            "max_active_transactions",
        )


class CoordinatesInput(serializers.Serializer):
    latitude = serializers.DecimalField(max_digits=9, decimal_places=6, min_value=-90, max_value=90)
    longitude = serializers.DecimalField(max_digits=9, decimal_places=6, min_value=-180, max_value=180)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is None:
            return {"latitude": None, "longitude": None}
        return super().run_validation(data)


class LocationInput(Input):
    coordinates = CoordinatesInput(source="*", required=False, allow_null=True)

    class Meta:
        model = models.Location
        fields = ("name", "address", "city", "postal_code", "country", "coordinates", "parking_type", "time_zone")
