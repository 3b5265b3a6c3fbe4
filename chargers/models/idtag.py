import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from chargers.choices import REFUSALS, AuthorizationStatus, TokenType

_SEPARATORS = re.compile(r"[\s:.\-]")


def tag_key(id_token: str) -> str:
    """Fold a tag for comparison: readers differ in case and in separators (ID-02)."""
    return (_SEPARATORS.sub("", id_token) or id_token).casefold()


class IdTag(models.Model):
    """What a driver presents to charge: a card, a key fob, an app's token."""

    id_token = models.CharField(max_length=255, primary_key=True, verbose_name="id token")
    lookup_key = models.CharField(max_length=765, unique=True, editable=False)
    friendly_name = models.CharField(max_length=255, blank=True)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    expiry_date = models.DateTimeField(null=True, blank=True)
    revoked = models.BooleanField(default=False, help_text="a revoked tag is answered Blocked")
    refusal = models.CharField(
        max_length=20,
        choices=[(each.value, each.label) for each in REFUSALS],
        blank=True,
        help_text="why the driver may not charge for the time being; 1.6 stations are told Blocked",
    )
    token_type = models.CharField(
        max_length=20,
        choices=TokenType.choices,
        blank=True,
        help_text="the only type that a 2.x station may present it as; empty means any",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="idtags"
    )
    max_active_transactions = models.PositiveIntegerField(
        null=True, blank=True, default=1, help_text="how many may run at once; empty means any number"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id_token"]
        verbose_name = "id tag"

    def __str__(self) -> str:
        return self.friendly_name or self.id_token

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.lookup_key = tag_key(self.id_token)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse a tag that differs from another only in case or separators, and a parent loop."""
        twin = IdTag.objects.filter(lookup_key=tag_key(self.id_token)).exclude(pk=self.pk).first()
        if twin:
            raise ValidationError({"id_token": f"is the same tag as {twin.id_token}"})
        if self.parent_id and self.parent_id == self.pk:
            raise ValidationError({"parent": "a tag cannot be its own parent"})

    @property
    def spoken_type(self) -> str:
        """The type that a 2.x station is told: its own, else that of a card."""
        return self.token_type or TokenType.ISO14443.value

    def own_status(self, now: datetime) -> AuthorizationStatus:
        """Judge this tag alone, its parent and its running transactions left aside."""
        if self.revoked:
            return AuthorizationStatus.BLOCKED
        if self.expiry_date and self.expiry_date <= now:
            return AuthorizationStatus.EXPIRED
        return AuthorizationStatus(self.refusal) if self.refusal else AuthorizationStatus.ACCEPTED
