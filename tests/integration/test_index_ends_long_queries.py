"""A query that takes longer than an index allows is broken off inside the database, and the next one is answered as ever."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from voisin.errors import UnavailableError
from voisin.index import IndexSettings, run_index
from voisin.index.deadlines import limited
from voisin.index.draft import Key, Version
from voisin.index.facts import Places
from voisin.index.store import open_store
from voisin.index.twin import TwinBlock, TwinLedger
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Hash32, as_address
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

HUB = as_address("0x" + "11" * 20)
DOMAIN = Domain(chain_id=31337, hub=HUB)
PLACES = Places(HUB, *(as_address(f"0x{number:040x}") for number in range(1, 5)))
FOR_EVER = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000000000) SELECT count(*) FROM numbers"
MANY = 4_000
LONG = '{ accounts(first: 1000, orderBy: score, where: {or: [{score_gt: "3"}, {balance_lt: "1"}]}) { id score } }'
SHORT = '{ account(id: "0x0001") { id } }'


async def test_the_database_stops(database_url: str) -> None:
    async with open_store(database_url, DOMAIN, 0) as store:
        with pytest.raises(UnavailableError):
            async with store.read() as connection, limited(connection, 0.05):
                await connection.execute(text(FOR_EVER))
        for number in range(8):
            async with store.read() as connection:
                assert (await connection.execute(text(f"SELECT {number}"))).scalar() == number, "no limit is left behind"


async def ask(url: str, query_s: float, *queries: str) -> list[dict[str, Any]]:
    """Ask an index that has so much time for each query."""
    ledger = TwinLedger(DOMAIN, PLACES)
    ledger.blocks = [TwinBlock(Hash32("0x" + "ab" * 32), UnixSeconds(1))]
    async with (
        run_index(IndexSettings(hub=HUB, database_url=url, query_s=query_s), ledger) as index,
        httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as http,
    ):
        return [(await http.post("/", json={"query": query})).json() for query in queries]


async def test_who_asks_for_less_is_answered(database_url: str) -> None:
    async with open_store(database_url, DOMAIN, 0) as store, store.write() as write:
        account = {"balance": 5, "frozen": 0}
        await write.keep([Version(Key("Account", f"0x{number:04x}"), 0, {**account, "score": number}) for number in range(MANY)])
    (patient,) = await ask(database_url, 600, LONG)
    assert len(patient["data"]["accounts"]) == 1_000
    (hasty,) = await ask(database_url, 0.000_001, LONG)
    assert hasty["data"] is None
    assert "takes too long" in hasty["errors"][0]["message"]
    (short,) = await ask(database_url, 600, SHORT)
    assert short == {"data": {"account": {"id": "0x0001"}}}
