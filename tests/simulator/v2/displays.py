"""Messages on the display, and what the station holds of customers (block O, N09, N10)."""

from collections.abc import Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.base import Base201


class Displays(Base201):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The messages by their ids, and what is held of the one customer that is known.
        self.messages: dict[int, Payload] = {}
        self.customer: list[str] = []

    async def report_messages(self, request_id: int, messages: Sequence[Payload]) -> None:
        """Report messages, one in each part; the parts have no numbers."""
        for number, message in enumerate(messages):
            more = {"tbc": True} if number + 1 < len(messages) else {}
            await self.call("NotifyDisplayMessages", {"requestId": request_id, "messageInfo": [message], **more})

    async def report_customer(self, request_id: int, data: Sequence[str]) -> None:
        for number, text in enumerate(data):
            more = {"tbc": True} if number + 1 < len(data) else {}
            fields = {"requestId": request_id, "seqNo": number, "generatedAt": timestamp(self.clock())}
            await self.call("NotifyCustomerInformation", {**fields, "data": text, **more})

    # Answers to the CSMS

    def on_set_display_message(self, payload: Payload) -> Answer:
        self.messages[payload["message"]["id"]] = payload["message"]
        return {"status": "Accepted"}

    def on_clear_display_message(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self.messages.pop(payload["id"], None) else "Unknown"}

    def on_get_display_messages(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._shown(payload) else "Unknown"}

    async def do_get_display_messages(self, payload: Payload) -> None:
        await self.report_messages(payload["requestId"], self._shown(payload))

    def _shown(self, payload: Payload) -> list[Payload]:
        return [
            message
            for number, message in self.messages.items()
            if number in payload.get("id", [number])
            and all(message.get(name) == payload[name] for name in ("priority", "state") if name in payload)
        ]

    def on_customer_information(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    async def do_customer_information(self, payload: Payload) -> None:
        data = self.customer if payload["report"] and self.customer else [""]
        if payload["clear"]:
            self.customer = []
        await self.report_customer(payload["requestId"], data)
