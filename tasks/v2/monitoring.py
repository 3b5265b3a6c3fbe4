"""Monitors of variables: what is checked before they are set or reported (N02, N04, N05)."""

from tasks import reports
from tasks.action import Draft, Payload
from tasks.models import ReportKind
from tasks.schemas import InvalidBody
from tasks.v2 import variables

# 0 is danger, 9 debug (SetMonitoringDataType).
SEVERITIES = range(10)
OUT_OF_RANGE = "Must lie between 0 and 9."


def prepare_report(draft: Draft) -> Payload:
    variables.check_length(draft)
    return reports.request(draft, ReportKind.MONITORS)


def prepare_setting(draft: Draft) -> Payload:
    problems = {}
    for index, item in enumerate(draft.payload["setMonitoringData"]):
        if item["severity"] not in SEVERITIES:
            problems[f"set_monitoring_data.{index}.severity"] = [OUT_OF_RANGE]
        if item["type"] == "Delta" and item["value"] < 0:
            # N04.FR.14.
            problems[f"set_monitoring_data.{index}.value"] = ["Must not be negative for Delta."]
    if problems:
        raise InvalidBody(problems)
    return draft.payload


def prepare_level(draft: Draft) -> Payload:
    if draft.payload["severity"] not in SEVERITIES:
        raise InvalidBody({"severity": [OUT_OF_RANGE]})
    return draft.payload
