"""What stations hold of customers (N09, N10)."""

from collections.abc import Mapping

from chargers.services import locallists
from chargers.values import Forgotten
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.v2 import reports
from csms.versions.v2.members import nothing, token
from tasks.models import ReportKind
from tasks.reports import ReportPart, take


def notify_customer_information(payload: Payload, context: Context) -> ReportPart:
    return reports.part(payload, ReportKind.CUSTOMER_INFORMATION, payload["data"], context)


def keep_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Note whether a report is to come; a customer who is cleared must leave the local list too (N10.FR.02)."""
    work = reports.keep_answer(request, answer, context)
    named = request.get("idToken")
    if answer["status"] == "Accepted" and request["clear"] and named:
        work.append((locallists.forget, Forgotten(context.station, token(named), named["type"])))
    return work


HANDLERS: Mapping[str, Handler] = {
    "NotifyCustomerInformation": Handler(
        notify_customer_information, take, nothing, records=True, optional=("generatedAt", "seqNo")
    ),
}

EFFECTS: Mapping[str, Effect] = {"CustomerInformation": keep_answer}
