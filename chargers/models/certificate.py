from django.db import models
from django.db.models import Q

from chargers.choices import CertificateStatus, CertificateUse
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint


class Certificate(models.Model):
    """A certificate that a station is believed to hold, or that it wants signed.

    Of a root that the station told of by itself only the hashes and the serial number are known,
    spelt as the station does. `pem` is the chain where the certificate is the station's own.
    """

    chargepoint = HistoryKey(ChargePoint, related_name="certificates")
    use = models.CharField(max_length=40, choices=CertificateUse.choices)
    status = models.CharField(max_length=10, choices=CertificateStatus.choices)
    reason = models.TextField(blank=True, help_text="why it was rejected, or what went wrong last")
    csr = models.TextField(blank=True, verbose_name="signing request")
    pem = models.TextField(blank=True, verbose_name="PEM")
    subject = models.TextField(blank=True)
    hash_algorithm = models.TextField(blank=True)
    issuer_name_hash = models.TextField(blank=True)
    issuer_key_hash = models.TextField(blank=True)
    serial_number = models.TextField(blank=True, help_text="hexadecimal")
    children = models.JSONField(
        default=list, blank=True, help_text="the certificates between it and its root, as the station names them"
    )
    not_after = models.DateTimeField(null=True, blank=True, verbose_name="expires")
    command_id = models.UUIDField(null=True, blank=True, help_text="the command that brought it to the station last")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="to sign it, or to bring it to the station")
    # When the worker looks at it next; never where nothing is left to be done.
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="certificate_due")]

    def __str__(self) -> str:
        return f"{self.get_use_display()} {self.subject or self.serial_number}".rstrip()
