"""Who may charge: Authorize, the cache and the local list (blocks C and D)."""

from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.v2.base import Base201


class Authorization(Base201):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What the CSMS said of tokens, by their text; and the local list, with its version.
        self.cache: dict[str, Payload] = {}
        self.local_list: dict[str, Payload] = {}
        self.list_version = 0

    async def authorize(self, id_token: Payload, **more: Any) -> Payload:
        """Ask whether a token may charge and return its idTokenInfo; `more` are certificate and its hash data."""
        answer = await self.call("Authorize", {"idToken": id_token, **more})
        self.cache[id_token["idToken"]] = answer["idTokenInfo"]
        return dict(answer["idTokenInfo"])

    def on_clear_cache(self, _: Payload) -> Answer:
        self.cache.clear()
        return {"status": "Accepted"}

    def on_get_local_list_version(self, _: Payload) -> Answer:
        return {"versionNumber": self.list_version if self.local_list else 0}

    def on_send_local_list(self, payload: Payload) -> Answer:
        entries = payload.get("localAuthorizationList", [])
        if payload["updateType"] == "Full":
            self.local_list = {}
        elif payload["versionNumber"] <= self.list_version:
            return {"status": "VersionMismatch"}
        for each in entries:
            if "idTokenInfo" in each:
                self.local_list[each["idToken"]["idToken"]] = each["idTokenInfo"]
            else:
                self.local_list.pop(each["idToken"]["idToken"], None)
        self.list_version = payload["versionNumber"]
        return {"status": "Accepted"}
