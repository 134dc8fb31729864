"""What is wrong with a query is said in GraphQL's own words; what asks for too much is refused before or while it is carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from voisin.index import IndexSettings, run_index
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
GRAPHQL = "application/graphql-response+json"


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an index with narrow limits and a hundred accounts."""
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    ledger = TwinLedger(DOMAIN, PLACES)
    ledger.blocks = [TwinBlock(Hash32("0x" + "ab" * 32), UnixSeconds(1))]
    async with open_store(url, DOMAIN, 0) as store, store.write() as write:
        account = {"balance": 5, "frozen": 0, "score": 1}
        await write.keep([Version(Key("Account", f"0x{number:02x}"), 0, dict(account)) for number in range(100)])
    settings = IndexSettings(hub=HUB, database_url=url, max_entities=60, max_depth=3, max_selections=5, max_tokens=200, max_skip=50)
    async with (
        run_index(settings, ledger) as index,
        httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as client,
    ):
        yield client


async def ask(http: httpx.AsyncClient, query: str, **variables: object) -> dict[str, Any]:
    """Ask as most clients do."""
    answer = await http.post("/", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


REFUSED = {
    "{ accounts { id": "Syntax Error",
    "{ nothing { id } }": "Cannot query field",
    "{ accounts }": "must have a selection",
    "{ account { id } }": "required",
    "mutation { x }": "mutation",
    "query A { __typename } query B { __typename }": "there are several",
    "{ accounts(first: 1001) { id } }": "between 0 and 1000",
    "{ accounts(first: -1) { id } }": "between 0 and 1000",
    "{ accounts(skip: 51) { id } }": "between 0 and 50",
    "{ accounts(orderBy: nothing) { id } }": "does not exist",
    "{ accounts(where: {nothing: 1}) { id } }": "unknown field",
    "{ apps { owner { apps { owner { id } } } } }": "at most 3 levels",
    "{ a: apps {id} b: apps {id} c: apps {id} d: apps {id} e: apps {id} f: apps {id} }": "more than 5 lists",
    "{ " + "accounts { id } " * 60 + "}": "200 tokens",
    "{ " + "accounts { id } " * 6 + "}": "more than 5 lists",
}


@pytest.mark.parametrize("query", REFUSED)
async def test_what_is_refused_beforehand(http: httpx.AsyncClient, query: str) -> None:
    """There is no data; a client that knows the newer media type gets 400, others 200."""
    answer = await ask(http, query)
    assert "data" not in answer
    assert REFUSED[query] in answer["errors"][0]["message"], answer
    newer = await http.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL})
    assert (newer.status_code, newer.headers["content-type"]) == (400, GRAPHQL)
    assert newer.json() == answer


FAILED = {
    "{ accounts(first: 61) { id } }": "too large",
    "{ accounts(first: 40) { id } b: accounts(first: 40) { id } }": "too large",
    '{ accounts(where: {balance_gt: "x"}) { id } }': "not a value of `balance`",
    '{ accounts(where: {balance: "1e999999999"}) { id } }': "not a value of `balance`",
    "{ accounts(where: {score: true}) { id } }": "not a value of `score`",
    '{ apps(where: {name: "a\\u0000b"}) { id } }': "not a value of `name`",
    "{ apps(where: {checksum: 5}) { id } }": "not a value of `checksum`",
    "{ accounts(block: {number: 99}) { id } }": "only indexed up to block number 0",
    '{ accounts(block: {hash: "0x12"}) { id } }': "no block with the hash",
    "{ accounts(where: " + "{or: [" * 12 + "{}" + "]}" * 12 + ") { id } }": "levels deep",
}


@pytest.mark.parametrize("query", FAILED)
async def test_what_fails_on_the_way(http: httpx.AsyncClient, query: str) -> None:
    """The data are null, and the error says why."""
    answer = await ask(http, query)
    assert answer["data"] is None
    assert FAILED[query] in answer["errors"][0]["message"], answer


async def test_many_conditions_in_variables_are_refused(http: httpx.AsyncClient) -> None:
    query = "query ($where: Account_filter) { accounts(where: $where) { id } }"
    answer = await ask(http, query, where={"or": [{"score": "1"}] * 300})
    assert "200 conditions at most" in answer["errors"][0]["message"]
    answer = await ask(http, query, where={"nothing": 1})
    assert "nothing" in answer["errors"][0]["message"]


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"query": 1}', b'{"query": "{a}", "variables": []}', b"[" * 5000, b"\xff"])
async def test_bodies_that_are_no_query(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/", content=body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["errors"]
    assert answer.json()["errors"][0]["message"]


async def test_a_link_asks_too(http: httpx.AsyncClient) -> None:
    """GET with the query in the address; without one it says what is missing."""
    link = {"query": "query ($n: Int) { accounts(first: $n) { id } }", "variables": '{"n": 1}'}
    for path in ("/", "/graphql", "/subgraphs/name/iexec/poco"):
        answer = await http.get(path, params=link)
        assert answer.json() == {"data": {"accounts": [{"id": "0x00"}]}}
    assert (await http.get("/")).status_code == 400
    assert (await http.get("/", params=link | {"variables": "x"})).status_code == 400


async def test_protected_data_have_a_schema_of_their_own(http: httpx.AsyncClient) -> None:
    asked = {"query": "{ protectedDatas { id } }"}
    assert (await http.post("/subgraphs/name/iexec/dataprotector-v2", json=asked)).json() == {"data": {"protectedDatas": []}}
    assert "Cannot query field" in (await http.post("/subgraphs/name/iexec/poco", json=asked)).json()["errors"][0]["message"]


async def test_a_long_body_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/", content=b" " * 70_000)
    assert answer.status_code == 413
