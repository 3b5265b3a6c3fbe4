"""What stations hold of customers (N09, N10)."""

from collections.abc import Mapping

from csms.versions.base import Context, Handler, Payload
from csms.versions.v2 import reports
from csms.versions.v2.members import nothing
from tasks.models import ReportKind
from tasks.reports import ReportPart, take


def notify_customer_information(payload: Payload, context: Context) -> ReportPart:
    return reports.part(payload, ReportKind.CUSTOMER_INFORMATION, payload["data"], context)


HANDLERS: Mapping[str, Handler] = {
    "NotifyCustomerInformation": Handler(
        notify_customer_information, take, nothing, records=True, optional=("generatedAt", "seqNo")
    ),
}
