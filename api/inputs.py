"""What clients may set. Whatever else a body holds is refused by name, never ignored."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as InvalidRow
from django.db.models import Model
from rest_framework import serializers

from api import identities
from chargers import models, representation
from chargers.choices import ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, FileKind, RecurrencyKind
from chargers.profiles import MAX_NUMBER
from tasks.v2 import charging as v2
from tasks.v16 import charging as v16


def refuse_others(data: Any, allowed: Collection[str]) -> None:
    """Refuse the members of a body that cannot be set."""
    if isinstance(data, Mapping) and (refused := data.keys() - allowed):
        raise serializers.ValidationError({str(name): ["Cannot be set here."] for name in refused})


# No docstring: it would be every body's description.
# Checks a body against a model; `fixed` names what can be set at creation only.
class Input(serializers.ModelSerializer):
    fixed: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> Any:
        refuse_others(data, self.fields.keys() - (self.fixed if self.instance else ()))
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
            "refusal",
            "token_type",
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


class LimitField(serializers.FloatField):
    """A limit; one without a fraction goes over the wire as a whole number."""

    def to_internal_value(self, data: Any) -> int | float:
        limit = super().to_internal_value(data)
        return int(limit) if limit.is_integer() else limit


class PeriodInput(serializers.Serializer):
    start_period = serializers.IntegerField(
        min_value=0, max_value=MAX_NUMBER, help_text="seconds from the start of the schedule"
    )
    limit = LimitField(help_text="in the charging rate unit, with one decimal at most")
    number_phases = serializers.IntegerField(
        min_value=1, max_value=3, required=False, allow_null=True, help_text="3 unless told"
    )

    def to_internal_value(self, data: Any) -> Any:
        refuse_others(data, self.fields.keys())
        return {name: value for name, value in super().to_internal_value(data).items() if value is not None}


class PeriodInput2(PeriodInput):
    phase_to_use = serializers.IntegerField(
        min_value=1, max_value=3, required=False, allow_null=True, help_text="where number_phases is 1"
    )


class ScheduleInput(serializers.Serializer):
    id = serializers.IntegerField(required=False, allow_null=True, help_text="numbered from 1 unless told")
    duration = serializers.IntegerField(
        max_value=MAX_NUMBER, required=False, allow_null=True, help_text="seconds; without it the last limit stays"
    )
    start_schedule = serializers.DateTimeField(required=False, allow_null=True)
    charging_rate_unit = serializers.ChoiceField(
        choices=ChargingRateUnit.choices, help_text="A is per phase, W the total"
    )
    charging_schedule_period = PeriodInput2(many=True, allow_empty=False)
    min_charging_rate = LimitField(required=False, allow_null=True)
    sales_tariff = serializers.DictField(
        required=False, allow_null=True, help_text="as OCPP 2.0.1 has it, in snake_case"
    )

    def to_internal_value(self, data: Any) -> Any:
        refuse_others(data, self.fields.keys())
        told = super().to_internal_value(data)
        if start := told.get("start_schedule"):
            told["start_schedule"] = representation.time(start)
        return {name: value for name, value in told.items() if value is not None}


class PurposeField(serializers.ChoiceField):
    """A purpose in the words of OCPP 1.6."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=list(v16.PURPOSES), **options)

    def to_internal_value(self, data: Any) -> str:
        return v16.PURPOSES[super().to_internal_value(data)].value


class ChargingProfile16Input(Input):
    """A charging profile as OCPP 1.6 has it, its schedule laid out flat. Members that are null are absent."""

    schedule = ("duration", "start_schedule", "charging_rate_unit", "chargingschedule_period", "min_charging_rate")

    chargingprofile_purpose = PurposeField(source="purpose")
    chargingprofile_kind = serializers.ChoiceField(choices=ChargingProfileKind.choices, source="kind")
    recurrency_kind = serializers.ChoiceField(
        choices=RecurrencyKind.choices, required=False, allow_blank=True, allow_null=True
    )
    duration = serializers.IntegerField(
        max_value=MAX_NUMBER, required=False, allow_null=True, help_text="seconds; without it the last limit stays"
    )
    start_schedule = serializers.DateTimeField(required=False, allow_null=True)
    charging_rate_unit = serializers.ChoiceField(
        choices=ChargingRateUnit.choices, help_text="A is per phase, W the total"
    )
    chargingschedule_period = PeriodInput(many=True, allow_empty=False)
    min_charging_rate = LimitField(required=False, allow_null=True)

    class Meta:
        model = models.ChargingProfile
        fields = (
            "stack_level",
            "chargingprofile_purpose",
            "chargingprofile_kind",
            "recurrency_kind",
            "valid_from",
            "valid_to",
            "duration",
            "start_schedule",
            "charging_rate_unit",
            "chargingschedule_period",
            "min_charging_rate",
            "transaction_id",
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        told = {name: attrs.pop(name) for name in self.schedule if name in attrs}
        if "recurrency_kind" in attrs:
            attrs["recurrency_kind"] = attrs["recurrency_kind"] or ""
        if start := told.get("start_schedule"):
            told["start_schedule"] = representation.time(start)
        if "chargingschedule_period" in told:
            told["charging_schedule_period"] = told.pop("chargingschedule_period")
        before = self.instance.schedules[0] if self.instance else {}
        schedule = {name: value for name, value in {**before, **told}.items() if value is not None}
        attrs["schedules"] = [schedule]
        row = copy.copy(self.instance) if self.instance else models.ChargingProfile()
        for name, value in attrs.items():
            setattr(row, name, value)
        if problems := row.problems():
            raise serializers.ValidationError(v16.flat(problems))
        return attrs


class ChargingProfile201Input(Input):
    """A charging profile as OCPP 2.0.1 has it. Members that are null are absent."""

    chargingprofile_purpose = serializers.ChoiceField(
        source="purpose",
        choices=[each for each in ChargingProfilePurpose.choices if each[0] != ChargingProfilePurpose.STATION_EXTERNAL],
    )
    chargingprofile_kind = serializers.ChoiceField(choices=ChargingProfileKind.choices, source="kind")
    recurrency_kind = serializers.ChoiceField(
        choices=RecurrencyKind.choices, required=False, allow_blank=True, allow_null=True
    )
    charging_schedule = ScheduleInput(many=True, allow_empty=False, source="schedules")

    class Meta:
        model = models.ChargingProfile
        fields = (
            "stack_level",
            "chargingprofile_purpose",
            "chargingprofile_kind",
            "recurrency_kind",
            "valid_from",
            "valid_to",
            "transaction_id",
            "charging_schedule",
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "recurrency_kind" in attrs:
            attrs["recurrency_kind"] = attrs["recurrency_kind"] or ""
        if "schedules" in attrs:
            attrs["schedules"] = [dict(each) for each in attrs["schedules"]]
        row = copy.copy(self.instance) if self.instance else models.ChargingProfile()
        for name, value in attrs.items():
            setattr(row, name, value)
        if problems := v2.problems(row.profile(), row.problems()):
            raise serializers.ValidationError(problems)
        return attrs


class FileQuery(serializers.Serializer):
    """What a list of files can be narrowed to and sorted by."""

    chargepoint_id = serializers.CharField(source="station", required=False, trim_whitespace=False)
    kind = serializers.ChoiceField(choices=FileKind.choices, required=False)
    job = serializers.IntegerField(
        min_value=1, max_value=MAX_NUMBER, required=False, help_text="number of a log upload or firmware update"
    )
    ordering = serializers.ChoiceField(choices=["path", "-path"], required=False, help_text="`path` unless told")

    def validate_chargepoint_id(self, given: str) -> str:
        return identities.station(given)

    def validate_kind(self, given: str) -> FileKind:
        return FileKind(given)
