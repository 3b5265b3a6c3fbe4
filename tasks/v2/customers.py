"""What stations hold of customers: what is checked before they are asked for it (N09, N10)."""

from tasks import reports
from tasks.action import Draft, Payload
from tasks.models import ReportKind
from tasks.schemas import InvalidBody

# A customer is named in one of these ways (N09.FR.04, N09.FR.09).
NAMES = ("idToken", "customerCertificate", "customerIdentifier")
ONE_NAME = "Exactly one of id_token, customer_certificate and customer_identifier is required."
NOTHING_ASKED = "Is required, or clear, or both."


def prepare(draft: Draft) -> Payload:
    if len(draft.payload.keys() & set(NAMES)) != 1:
        raise InvalidBody({"id_token": [ONE_NAME]})
    if not (draft.payload["report"] or draft.payload["clear"]):
        # N09.FR.07.
        raise InvalidBody({"report": [NOTHING_ASKED]})
    return reports.request(draft, ReportKind.CUSTOMER_INFORMATION)
