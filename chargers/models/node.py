from datetime import datetime

from django.db import models


class CsmsNode(models.Model):
    """A running OCPP server process, alive while its lease is fresh."""

    node_id = models.CharField(max_length=36, primary_key=True)
    name = models.CharField(max_length=255, help_text="host and process id")
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-started_at"]
        verbose_name = "CSMS node"

    def __str__(self) -> str:
        return self.name

    def is_alive(self, now: datetime) -> bool:
        return self.lease_until > now
