from django.db import models

from chargers.models.transaction import Transaction


class TransactionEvent(models.Model):
    """A numbered step of a transaction that a 2.x station told; each number is stored once."""

    transaction = models.ForeignKey(Transaction, on_delete=models.CASCADE, related_name="events")
    seq_no = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    trigger = models.CharField(max_length=40)
    charging_state = models.CharField(max_length=40, blank=True)
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
