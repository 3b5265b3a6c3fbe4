"""The central system as its operator drives it, for one station."""

import asyncio
from typing import Any, Self

import httpx

from tests.e2e.launcher import Platform

TIMEOUT = 40
# How long what a station has told may take until REST tells it; it is stored before the station is answered.
PATIENCE = 20


class Central:
    """REST for one station, whose identity is `station`; an async context manager.

    `commands` is where the commands of the station's version are: ocpp16 or ocpp201.
    """

    def __init__(self, platform: Platform, station: str, commands: str = "ocpp16") -> None:
        self.commands = commands
        self.platform = platform
        self.station = station
        self._client = httpx.AsyncClient(
            base_url=platform.web,
            headers={"Authorization": platform.client.headers["Authorization"]},
            timeout=TIMEOUT,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self._client.post(f"/api/{path}/", json=body)

    async def patch(self, path: str, **body: Any) -> httpx.Response:
        return await self._client.patch(f"/api/{path}/", json=body)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self._client.get(f"/api/{path}/", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, action: str, **fields: Any) -> Any:
        """Send the station a command and return its answer, in snake_case as REST tells it."""
        answer = await self.post(f"{self.commands}/{action.lower()}", chargepoint_id=self.station, **fields)
        assert answer.status_code == 200, answer.text
        task = await self.get(f"task/{answer.json()['task_id']}")
        assert (task["action"], task["status"]) == (action, "answered")
        return answer.json()["message"]

    async def tag(self, name: str, **fields: Any) -> str:
        """Register an id tag and return it; it is this station's alone, and fits in 20 characters."""
        id_tag = f"{name}{abs(hash(self.station)) % 10**9}"[:20]
        answer = await self.post("idtag", idToken=id_tag, **fields)
        assert answer.status_code == 201, answer.text
        return id_tag

    async def chargepoint(self) -> Any:
        return await self.get(f"chargepoint/{self.station}")

    async def rows(self, resource: str, **query: Any) -> list[Any]:
        """List what a resource holds of the station."""
        found = await self.get(resource, chargepoint_id=self.station, limit=1000, **query)
        return list(found["results"])

    async def connectors(self) -> dict[int, str]:
        """Return the status of each connector."""
        return {row["evse_id"]: row["connector_status"] for row in await self.rows("connector")}

    async def transaction(self, transaction_id: int) -> Any:
        return await self.get(f"transaction/{transaction_id}")

    async def until(self, resource: str, **expected: Any) -> Any:
        """Wait until the station has a row of a resource that is as expected; return it."""
        rows: list[Any] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    rows = await self.rows(resource)
                    for row in rows:
                        if all(row[name] == value for name, value in expected.items()):
                            return row
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no {resource} became {expected}: {rows}") from None
