from django.db import models

from chargers.models.transaction import Transaction


class TransactionEvent(models.Model):
    """A numbered step of a transaction that a 2.x station told; each number is stored once."""

    transaction = models.ForeignKey(Transaction, on_delete=models.CASCADE, related_name="events")
    seq_no = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    trigger = models.CharField(max_length=40)
    charging_state = models.CharField(max_length=40, blank=True)
    id_token = models.TextField(blank=True, help_text="who was named, if anybody")
    evse_id = models.PositiveIntegerField(default=0, help_text="0 when the event did not say")
    connectorid = models.PositiveIntegerField(default=0)
    number_of_phases_used = models.IntegerField(null=True, blank=True)
    cable_max_current = models.IntegerField(null=True, blank=True, help_text="A")
    timestamp = models.DateTimeField()
    offline = models.BooleanField(default=False)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["transaction", "seq_no"]
        constraints = [
            models.UniqueConstraint(fields=["transaction", "seq_no"], name="transaction_event_once_per_seq_no")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.seq_no} of {self.transaction_id}"
