"""The ecosystem's lists are what a naive reading of client-surface.md 3.1 gives, from the database and from memory, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from anyio import from_thread, to_thread
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.ecosystem import Client
from tests.support.nights import examples
from tests.support.order_book import market_settings, put, somewhere
from voisin.market.api import create_front
from voisin.market.book import BookStore
from voisin.market.database import open_database
from voisin.market.machine import Entry
from voisin.market.memory import MemoryStore
from voisin.market.schema import deals, orders
from voisin.market.service import MarketService
from voisin.market.store import store_of
from voisin.market.twin import TWIN_DOMAIN, TwinLedger
from voisin.protocol.api import DealEntry
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, OrderHash, to_hex
from voisin.protocol.orders import ORDER_TYPES, OrderKind
from voisin.protocol.tags import tag_from_bits
from voisin.units import NRLC, UnixSeconds

A, B = somewhere(0xA1), somewhere(0xB2)
MANY = 2**53 - 2
RESTRICTIONS = st.sampled_from([ZERO_ADDRESS, ZERO_ADDRESS, A, B])
ACCOUNTS = st.sampled_from([A, B])
BITS = st.sampled_from([0, 1, 0b1001, 1 << 8, (1 << 8) | 1, 1 << 255])
NUMBERS = st.integers(0, 3)

# the table of client-surface.md 3.1, written down a second time: what a kind is of, whose it is, what it may be restricted to
KINDS: dict[str, dict[str, Any]] = {
    "app": {"resource": "app", "price": "appprice", "only": ("dataset", "workerpool", "requester")},
    "dataset": {"resource": "dataset", "price": "datasetprice", "only": ("app", "workerpool", "requester")},
    "workerpool": {"resource": "workerpool", "price": "workerpoolprice", "only": ("app", "dataset", "requester")},
    "request": {"resource": "requester", "price": "workerpoolmaxprice", "only": ("workerpool",)},
}


@dataclass(frozen=True)
class Line:
    """An order as its client sees it."""

    kind: str
    hash: str
    order: dict[str, Any]
    remaining: int
    status: str
    at: int
    signer: str


@st.composite
def lines(draw: st.DrawFn, number: int) -> tuple[Entry, Line]:
    """Draw an order in the book, and its line."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    shape = KINDS[kind]
    volume = draw(st.sampled_from([1, 5, MANY - 1, MANY, MANY + 1]))
    order: dict[str, Any] = {
        shape["price"]: draw(st.sampled_from([0, 0, 1, 9, 10, 2**53 - 1])),
        "volume": volume,
        "tag": tag_from_bits(draw(BITS)),
        "salt": to_hex(keccak(text=str(number))),
    }
    if kind == "request":
        order |= {name: draw(RESTRICTIONS) for name in ("dataset", "workerpool")}
        order |= {name: draw(ACCOUNTS) for name in ("app", "requester", "beneficiary")}
        order |= {"appmaxprice": 0, "params": ""}
    else:
        order |= {f"{name}restrict": draw(RESTRICTIONS) for name in shape["only"]} | {shape["resource"]: draw(ACCOUNTS)}
    if kind in ("workerpool", "request"):
        order |= {"category": draw(NUMBERS), "trust": draw(NUMBERS)}
    remaining, at = draw(st.sampled_from([0, 1, 2, 3, volume])), draw(NUMBERS)
    remaining = min(remaining, volume)
    is_removed, signer, owner = draw(st.sampled_from([False, False, True])), draw(ACCOUNTS), draw(ACCOUNTS)
    entry = Entry(
        hash=OrderHash(order["salt"]),
        order=msgspec.convert(order, ORDER_TYPES[OrderKind(kind)]),
        signer=signer,
        remaining=remaining,
        published_at=UnixSeconds(at),
        owner=owner,
        stake=NRLC(2**200),
        is_removed=is_removed,
    )
    status = "filled" if remaining == 0 else "removed" if is_removed else "dead" if signer != owner else "open"
    return entry, Line(kind, order["salt"], order, remaining, status, at, signer)


@st.composite
def books(draw: st.DrawFn) -> list[tuple[Entry, Line]]:
    """Draw a book."""
    return [draw(lines(number)) for number in range(draw(st.integers(5, 40)))]


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a question about one kind of orders."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    shape, names, named = KINDS[kind], st.sampled_from([A, B, A.lower(), "any"]), ACCOUNTS
    tags = BITS.map(tag_from_bits)
    possible: dict[str, st.SearchStrategy[Any]] = {shape["resource"]: names, "minTag": tags, "maxTag": tags, "minVolume": st.integers(1, 4)}
    possible |= dict.fromkeys(shape["only"], names)
    possible |= {f"is{name.capitalize()}Strict": st.sampled_from(["true", "false"]) for name in shape["only"]}
    if kind == "request":
        possible |= dict.fromkeys(("app", "dataset", "beneficiary"), names) | {"category": NUMBERS, "maxTrust": NUMBERS}
    else:
        possible |= {f"{shape['resource']}Owner": named}
    if kind == "workerpool":
        possible |= {"category": NUMBERS, "minTrust": NUMBERS}
    if kind == "dataset":
        possible |= {"bulkOnly": st.sampled_from(["true", "false"])}
    asked = draw(st.lists(st.sampled_from(sorted(possible)), max_size=5, unique=True))
    found = {name: draw(possible[name]) for name in asked}
    if kind in ("app", "dataset") and not {kind, f"{kind}Owner"} & set(found):
        found[kind] = "any"
    # most questions leave restricted orders in, or there is little to see
    for name in shape["only"]:
        if name not in found and draw(st.booleans()):
            found[name] = "any"
    return {"kind": kind, **found}


def is_wanted(line: Line, query: dict[str, Any]) -> bool:
    """Read the rules one after another."""
    shape, order = KINDS[query["kind"]], line.order
    if line.kind != query["kind"] or line.status != "open":
        return False
    plain = ["app", "dataset", "requester", "beneficiary"] if line.kind == "request" else [shape["resource"]]
    for name in plain:
        if query.get(name, "any") != "any" and order[name].lower() != query[name].lower():
            return False
    owner = query.get(f"{shape['resource']}Owner")
    if owner is not None and line.signer != owner:
        return False
    for name in shape["only"]:
        restriction = order[name if line.kind == "request" else f"{name}restrict"]
        asked = query.get(name)
        if asked == "any":
            continue
        if asked is None and restriction != ZERO_ADDRESS:
            return False
        is_mine = asked is not None and restriction.lower() == asked.lower()
        is_strict = asked is not None and query.get(f"is{name.capitalize()}Strict") == "true"
        if not is_mine and (is_strict or restriction != ZERO_ADDRESS):
            return False
    bits = int(order["tag"], 16)
    least_bits, most_bits = int(query.get("minTag", "0x0"), 16), int(query.get("maxTag", hex(2**256 - 1)), 16)
    is_bulk = line.kind == "dataset" and order["datasetprice"] == 0 and order["volume"] >= 2**53 - 2
    return all(
        (
            bits & least_bits == least_bits,
            bits | most_bits == most_bits,
            line.remaining >= query.get("minVolume", 0),
            "category" not in query or order["category"] == query["category"],
            query.get("minTrust", 0) <= 1 or order["trust"] >= query["minTrust"],
            "maxTrust" not in query or order["trust"] <= query["maxTrust"],
            query.get("bulkOnly") != "true" or is_bulk,
        )
    )


def best_first(line: Line) -> tuple[int, int, str]:
    """Order lines: cheapest offer or dearest request first, older first, then by hash."""
    price = line.order[KINDS[line.kind]["price"]]
    return (-price if line.kind == "request" else price), line.at, line.hash


async def read_pages(client: Client, path: str, query: dict[str, Any], key: str, size: int) -> tuple[list[dict[str, Any]], set[int]]:
    """Read a list to its end as the client does: as long as there is a next page."""
    found: list[dict[str, Any]] = []
    counts = set()
    index = 0
    while True:
        page = await client.get(path, **query, pageIndex=index, pageSize=size)
        found += page[key]
        counts.add(page["count"])
        assert len(page[key]) <= size
        assert page.get("nextPage") == ((index + 1) * size if len(page[key]) == size else None)
        if "nextPage" not in page:
            return found, counts
        index += 1


async def compare(database: AsyncEngine, book: list[tuple[Entry, Line]], asked: list[dict[str, Any]], size: int) -> None:
    """Put the same questions to a market on a database, to one in memory, and to the naive model."""
    async with database.begin() as connection:
        await connection.execute(delete(orders))
    async with store_of(database) as in_database:
        stores: list[BookStore] = [in_database, MemoryStore()]
        for store in stores:
            async with store.write() as write:
                for entry, _ in book:
                    await put(write, entry)
            async with open_client(store) as client:
                for query in asked:
                    wanted = sorted((line for _, line in book if is_wanted(line, query)), key=best_first)
                    named = {name: value for name, value in query.items() if name != "kind"}
                    shown, counts = await read_pages(client, f"/{query['kind']}orders", named, "orders", size)
                    assert [each["orderHash"] for each in shown] == [line.hash for line in wanted]
                    assert counts == {len(wanted)}
                    assert [each["remaining"] for each in shown] == [line.remaining for line in wanted]
                    if query["kind"] == "dataset":
                        bulk = [line.order["datasetprice"] == 0 and line.order["volume"] >= 2**53 - 2 for line in wanted]
                        assert [each["bulk"] for each in shown] == bulk


def open_client(store: BookStore) -> _Opened:
    """Open a client of a market with these records."""
    config = market_settings()
    app = create_front(MarketService(TwinLedger(), store, config), config)
    return _Opened(httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://market"))  # type: ignore[arg-type]


@dataclass
class _Opened:
    http: httpx.AsyncClient

    async def __aenter__(self) -> Client:
        return Client(await self.http.__aenter__(), TWIN_DOMAIN.chain_id)

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A fresh database."""
    return new_database()


def test_lists_of_orders(database_url: str) -> None:
    async def all_examples() -> None:
        async with open_database(database_url, TWIN_DOMAIN, 0) as database:

            @settings(max_examples=examples(3), deadline=None)
            @given(books(), st.lists(queries(), min_size=5, max_size=10), st.sampled_from([10, 11, 1000]))
            def one_example(book: list[tuple[Entry, Line]], asked: list[dict[str, Any]], size: int) -> None:
                from_thread.run(compare, database, book, asked, size)

            await to_thread.run_sync(one_example)

    anyio.run(all_examples)


DEAL_FILTERS = {
    "requester": "requester",
    "beneficiary": "beneficiary",
    "app": "app",
    "dataset": "dataset",
    "workerpool": "workerpool",
    "appOwner": "app_owner",
    "datasetOwner": "dataset_owner",
    "workerpoolOwner": "workerpool_owner",
    "apporderHash": "app_order",
    "datasetorderHash": "dataset_order",
    "workerpoolorderHash": "workerpool_order",
    "requestorderHash": "request_order",
    "category": "category",
}
HASHES = [Hash32("0x" + f"{byte:02x}" * 32) for byte in (0x1C, 0x2D)]


@st.composite
def some_deals(draw: st.DrawFn) -> list[DealEntry]:
    """Draw deals; often several in a block."""
    addresses = ("app", "dataset", "workerpool", "app_owner", "dataset_owner", "workerpool_owner", "requester", "beneficiary")
    hashes = ("app_order", "dataset_order", "workerpool_order", "request_order")

    def deal(number: int) -> DealEntry:
        accounts: dict[str, Address] = {name: draw(ACCOUNTS) for name in addresses}
        names: dict[str, OrderHash] = {name: OrderHash(draw(st.sampled_from(HASHES))) for name in hashes}
        return DealEntry(
            deal_id=DealId(Hash32(to_hex(keccak(text=f"deal {number}")))),
            **accounts,
            **names,
            callback=ZERO_ADDRESS,
            params="",
            app_price=NRLC(1),
            dataset_price=NRLC(2**60),
            workerpool_price=NRLC(draw(NUMBERS)),
            category=draw(NUMBERS),
            trust=1,
            tag=tag_from_bits(0),
            first_index=0,
            volume=draw(st.integers(1, 9)),
            worker_stake=NRLC(1),
            scheduler_reward_ratio=1,
            start=UnixSeconds(1_000_000),
            block=draw(st.integers(1, 4)),
            tx_hash=HASHES[0],
        )

    return [deal(number) for number in range(draw(st.integers(3, 30)))]


@st.composite
def deal_queries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a question about deals."""
    asked = draw(st.lists(st.sampled_from(sorted(DEAL_FILTERS)), max_size=3, unique=True))
    return {name: draw(NUMBERS if name == "category" else st.sampled_from(HASHES) if name.endswith("Hash") else ACCOUNTS) for name in asked}


async def compare_deals(database: AsyncEngine, made: list[DealEntry], asked: list[dict[str, Any]]) -> None:
    """Put the same questions about deals to both records and to the naive model."""
    async with database.begin() as connection:
        await connection.execute(delete(deals))
    async with store_of(database) as in_database:
        stores: list[BookStore] = [in_database, MemoryStore()]
        for store in stores:
            async with store.write() as write:
                for place, deal in enumerate(made):
                    await write.add_deal(deal, place)
            async with open_client(store) as client:
                for query in asked:
                    wanted = [deal for deal in made if all(getattr(deal, DEAL_FILTERS[name]) == value for name, value in query.items())]
                    wanted.sort(key=lambda deal: deal.deal_id)
                    wanted.sort(key=lambda deal: deal.block, reverse=True)
                    shown, counts = await read_pages(client, "/deals", query, "deals", 10)
                    assert [each["dealid"] for each in shown] == [deal.deal_id for deal in wanted]
                    assert counts == {len(wanted)}
                    assert all(each["dataset"]["price"] == str(2**60) for each in shown), "what is not exact as a number is its digits"
                for category in range(4):
                    of_class = sorted((d for d in made if d.category == category), key=lambda d: (-d.block, d.workerpool_price, d.deal_id))
                    trades = (await client.get("/ohlc", category=category))["ohlc"]
                    assert trades == [["1970-01-12T13:46:40.000Z", deal.workerpool_price, deal.volume] for deal in of_class]


def test_lists_of_deals(database_url: str) -> None:
    async def all_examples() -> None:
        async with open_database(database_url, TWIN_DOMAIN, 0) as database:

            @settings(max_examples=examples(2), deadline=None)
            @given(some_deals(), st.lists(deal_queries(), min_size=4, max_size=8))
            def one_example(made: list[DealEntry], asked: list[dict[str, Any]]) -> None:
                from_thread.run(compare_deals, database, made, asked)

            await to_thread.run_sync(one_example)

    anyio.run(all_examples)
