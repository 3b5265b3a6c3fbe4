"""Who may charge: the local authorization list, the authorization cache and the CSMS (section 3.5)."""

from collections.abc import Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import moment
from tests.simulator.v16.base import Base16

# A tag with a transaction elsewhere is valid all the same (section 3.5.2).
VALID = {"Accepted", "ConcurrentTx"}


def same(one: str, other: str | None) -> bool:
    """Compare id tags, which have no case."""
    return other is not None and one.casefold() == other.casefold()


class Authorization(Base16):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The idTagInfo of each tag, by the tag in lower case.
        self.local_list: dict[str, Payload] = {}
        self.local_list_version = 0
        self.cache: dict[str, Payload] = {}

    async def authorize(self, id_tag: str) -> Payload:
        """Ask whether a tag may charge; return the idTagInfo."""
        return self.remember(id_tag, (await self.call("Authorize", {"idTag": id_tag}))["idTagInfo"])

    async def ask(self, id_tag: str) -> Payload:
        """Ask as `authorize` does, until there is an answer."""
        return self.remember(id_tag, (await self.deliver_again("Authorize", {"idTag": id_tag}))["idTagInfo"])

    async def admit(self, id_tag: str) -> Payload:
        """Find out whether a tag may charge, from memory where the settings allow it; return the idTagInfo."""
        known = self.known(id_tag)
        if known is not None:
            online = self.online.is_set()
            if online and self.enabled("LocalPreAuthorize") and known["status"] == "Accepted":
                return known
            if not online and self.enabled("LocalAuthorizeOffline"):
                return known
        return await self.ask(id_tag)

    def known(self, id_tag: str) -> Payload | None:
        """Find a tag's idTagInfo in the local list, else in the cache."""
        info = self.local_list.get(id_tag.casefold()) if self._list_enabled else None
        if info is None and self.enabled("AuthorizationCacheEnabled"):
            info = self.cache.get(id_tag.casefold())
        if info is not None and "expiryDate" in info and moment(info["expiryDate"]) <= self.clock():
            return {**info, "status": "Expired"}
        return info

    def remember(self, id_tag: str, info: Payload) -> Payload:
        """Keep what the CSMS said of a tag; report where it contradicts the local list (section 3.5.2)."""
        listed = self.known(id_tag) if self._list_enabled and id_tag.casefold() in self.local_list else None
        if listed is None:
            self.cache[id_tag.casefold()] = info
        elif self.autonomous and (listed["status"] in VALID) != (info["status"] in VALID):
            self.spawn(self.status(0, error_code="LocalListConflict"))
        return info

    # Answers to the CSMS

    def on_clear_cache(self, _: Payload) -> Answer:
        if not self.enabled("AuthorizationCacheEnabled"):
            return {"status": "Rejected"}
        self.cache.clear()
        return {"status": "Accepted"}

    def on_get_local_list_version(self, _: Payload) -> Answer:
        if not self._list_enabled:
            return {"listVersion": -1}
        return {"listVersion": self.local_list_version if self.local_list else 0}

    def on_send_local_list(self, payload: Payload) -> Answer:
        if not self._list_enabled:
            return {"status": "NotSupported"}
        entries = payload.get("localAuthorizationList", [])
        version, full = payload["listVersion"], payload["updateType"] == "Full"
        if not full and version <= self.local_list_version:
            return {"status": "VersionMismatch"}
        tags = [entry["idTag"].casefold() for entry in entries]
        # The versions -1 and 0 have a meaning of their own (errata 3.52).
        if version <= 0 or len(set(tags)) < len(tags) or len(tags) > self.number("SendLocalListMaxLength"):
            return {"status": "Failed"}
        if full and not all("idTagInfo" in entry for entry in entries):
            return {"status": "Failed"}
        updated = self._updated({} if full else self.local_list, entries)
        if len(updated) > self.number("LocalAuthListMaxLength"):
            return {"status": "Failed"}
        self.local_list, self.local_list_version = updated, version
        for tag in updated:
            self.cache.pop(tag, None)
        return {"status": "Accepted"}

    def _updated(self, current: dict[str, Payload], entries: Sequence[Payload]) -> dict[str, Payload]:
        """Apply an update: an entry without idTagInfo takes the tag off the list."""
        updated = dict(current)
        for entry in entries:
            tag = entry["idTag"].casefold()
            if "idTagInfo" in entry:
                updated[tag] = entry["idTagInfo"]
            else:
                updated.pop(tag, None)
        return updated

    @property
    def _list_enabled(self) -> bool:
        return self.supports("LocalAuthListManagement") and self.enabled("LocalAuthListEnabled")
