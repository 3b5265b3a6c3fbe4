"""Reading and changing the configuration (sections 5.3 and 5.8)."""

from collections.abc import Callable

from tests.simulator.station import Answer, Payload
from tests.simulator.v16.base import Base16
from tests.simulator.v16.settings import DEFAULTS, fits


class Configuration(Base16):
    def on_get_configuration(self, payload: Payload) -> Answer:
        wanted = payload.get("key") or list(self.configuration)
        known = [name for key in wanted if (name := self.name_of(key))]
        unknown = [key for key in wanted if not self.name_of(key)]
        told = [
            {"key": key, "readonly": self.configuration[key].readonly, "value": self.configuration[key].value}
            for key in known
        ]
        return {"configurationKey": told, **({"unknownKey": unknown} if unknown else {})}

    def on_change_configuration(self, payload: Payload) -> Answer:
        key, value = self.name_of(payload["key"]), payload["value"]
        if key is None:
            return {"status": "NotSupported"}
        default = DEFAULTS.get(key, ("", False))[0]
        if self.configuration[key].readonly or not fits(key, value, default) or not self.may_change(key, value):
            return {"status": "Rejected"}
        self.configuration[key].value = value
        return {"status": "Accepted"}

    def do_change_configuration(self, payload: Payload) -> object:
        """Act on a setting that changes what the station does, if there is something to do."""
        work = self.effects().get(self.name_of(payload["key"]) or "")
        return work() if work else None

    def may_change(self, key: str, value: str) -> bool:
        """Say whether the station is ready for a new value; for the parts."""
        return True

    def effects(self) -> dict[str, Callable[[], object]]:
        """Name what an autonomous station does when a setting has changed; for the parts."""
        return {}

    def name_of(self, key: str) -> str | None:
        """Find a key as the station spells it: keys have no case."""
        return next((name for name in self.configuration if name.casefold() == key.casefold()), None)
