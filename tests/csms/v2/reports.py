"""Wait for reports that commands have asked for."""

from typing import Any

from tasks.models import Report
from tests.csms.conftest import query_in_thread
from tests.csms.waiting import until


async def report_of(command_id: Any, status: str) -> Report:
    """Wait until the report of a command has a status; return it."""
    rows = Report.objects.filter(command_id=command_id)
    await until(rows.filter(status=status).exists)
    return await query_in_thread(rows.get)  # type: ignore[no-any-return]
