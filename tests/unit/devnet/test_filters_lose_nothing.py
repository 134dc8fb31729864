"""A filter gives everything exactly once, also after an error and after the chain has gone back."""

from __future__ import annotations

import pytest

from voisin.chain.devnet.wire.errors import LimitError, RpcError
from voisin.chain.devnet.wire.filters import IDLE_LIMIT_S, MAX_FILTERS, Filters, Kind
from voisin.chain.devnet.wire.params import Json, LogParams, log_params

pytestmark = pytest.mark.anyio


class Chain:
    """A chain whose block n has the hash "n" and one log "n"."""

    def __init__(self) -> None:
        self.head = 10
        self.time = 0.0
        self.is_broken = False
        self.filters = Filters(find_logs=self.logs, find_hashes=self.hashes, head=lambda: self.head, now=lambda: self.time)

    async def logs(self, first: int, last: int, wanted: LogParams) -> list[Json]:
        if self.is_broken:
            raise LimitError("too many")
        return [f"log {number}" for number in range(first, last + 1)]

    async def hashes(self, first: int, last: int, kind: Kind) -> list[Json]:
        return [f"{kind} {number}" for number in range(first, last + 1)]


async def test_each_block_once() -> None:
    chain = Chain()
    number = chain.filters.add("blocks")
    assert await chain.filters.changes(number) == []
    chain.head = 12
    assert await chain.filters.changes(number) == ["blocks 11", "blocks 12"]
    assert await chain.filters.changes(number) == []


async def test_logs_within_the_heights_that_the_filter_names() -> None:
    chain = Chain()
    number = chain.filters.add(log_params({"fromBlock": "0x8", "toBlock": "0xc"}, "0"))
    chain.head = 14
    assert await chain.filters.changes(number) == ["log 11", "log 12"]
    assert await chain.filters.all_logs(number) == [f"log {n}" for n in (8, 9, 10, 11, 12)]
    everything = chain.filters.add(log_params({"fromBlock": "earliest"}, "0"))
    assert len(await chain.filters.all_logs(everything)) == 15


async def test_after_an_error_the_same_is_given_again() -> None:
    chain = Chain()
    number = chain.filters.add(log_params({}, "0"))
    chain.head, chain.is_broken = 12, True
    with pytest.raises(LimitError):
        await chain.filters.changes(number)
    chain.is_broken = False
    assert await chain.filters.changes(number) == ["log 11", "log 12"]


async def test_chain_that_went_back_is_followed_from_where_it_is() -> None:
    chain = Chain()
    number = chain.filters.add("blocks")
    chain.head = 5
    assert await chain.filters.changes(number) == []
    chain.head = 6
    assert await chain.filters.changes(number) == ["blocks 6"]


async def test_forgotten_and_unknown_filters() -> None:
    chain = Chain()
    number = chain.filters.add("blocks")
    assert chain.filters.remove(number)
    assert not chain.filters.remove(number)
    with pytest.raises(RpcError, match="filter not found"):
        await chain.filters.changes(number)
    with pytest.raises(RpcError, match="filter for blocks"):
        await chain.filters.all_logs(chain.filters.add("blocks"))


async def test_filters_that_nobody_polls_make_room() -> None:
    chain = Chain()
    for _ in range(MAX_FILTERS):
        last = chain.filters.add("blocks")
    with pytest.raises(LimitError):
        chain.filters.add("blocks")
    chain.time = IDLE_LIMIT_S - 1
    await chain.filters.changes(last)
    chain.time = IDLE_LIMIT_S + 1
    chain.filters.add("blocks")
    assert await chain.filters.changes(last) == []
    with pytest.raises(RpcError):
        await chain.filters.changes(last - 1)
