"""The clock of the chain, and going back to a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import ADDRESSES, COIN, KEYS, signed
from tests.support.devnet_contract import Author
from voisin.chain.devnet import Devnet, DevnetSettings, RpcError, serve_devnet

pytestmark = pytest.mark.anyio
START = 1_800_000_000


@dataclass
class Wall:
    """A wall clock that the test sets."""

    time: float = START + 0.5

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def node(wall: Wall) -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings(), clock=wall) as node:
        yield node


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def head_time(node: Devnet) -> int:
    return int((await ask(node, "eth_getBlockByNumber", "latest", False))["timestamp"], 16)


async def test_blocks_follow_the_wall_clock(node: Devnet, wall: Wall) -> None:
    assert await head_time(node) == START
    times = []
    for wall.time in (START + 1.9, START + 1.95, START + 50, START + 20, START + 60):
        await ask(node, "evm_mine")
        times.append(await head_time(node))
    assert times == [START + 1, START + 1, START + 50, START + 50, START + 60]


async def test_call_sees_the_time_that_it_is_now(node: Devnet, wall: Wall) -> None:
    book = await Author(node).deploy()
    wall.time = START + 1000
    assert int.from_bytes((await book.call("moment"))[32:64], "big") == START + 1000
    assert int.from_bytes((await book.call("moment", block="0x1"))[32:64], "big") == START


async def test_time_is_set_ahead(node: Devnet, wall: Wall) -> None:
    assert await ask(node, "evm_increaseTime", 3600) == 3600
    assert await ask(node, "evm_increaseTime", "0x10") == 3616
    await ask(node, "evm_mine")
    assert await head_time(node) == START + 3616
    await ask(node, "evm_setNextBlockTimestamp", START + 10_000)
    await Author(node).send(to=ADDRESSES[1], gas=21_000)
    assert await head_time(node) == START + 10_000
    wall.time += 7
    await ask(node, "evm_mine")
    assert await head_time(node) == START + 10_007
    await ask(node, "evm_mine", START + 20_000)
    assert await head_time(node) == START + 20_000
    with pytest.raises(RpcError, match="lower than the previous block's timestamp"):
        await ask(node, "evm_setNextBlockTimestamp", START)
    with pytest.raises(RpcError, match="not a number"):
        await ask(node, "evm_increaseTime", -5)


async def test_snapshot_takes_everything_back(node: Devnet) -> None:
    author = Author(node)
    book = await author.deploy()
    first = await ask(node, "evm_snapshot")
    before = await ask(node, "eth_getBlockByNumber", "latest", True)
    await book.send("write", 1, (1, "x"))
    second = await ask(node, "evm_snapshot")
    sent = await book.send("write", 2, (1, "y"))
    await ask(node, "evm_increaseTime", 5000)
    await ask(node, "eth_sendRawTransaction", "0x" + signed(KEYS[0], 9, to=ADDRESSES[1]).hex())
    assert await ask(node, "evm_revert", first) is True
    assert await ask(node, "eth_getBlockByNumber", "latest", True) == before
    assert await book.number("written") == 5
    assert await author.nonce() == 1
    assert await ask(node, "eth_getTransactionReceipt", sent["transactionHash"]) is None
    assert await ask(node, "eth_getLogs", {"fromBlock": "0x0"}) == []
    await ask(node, "evm_mine")
    assert await head_time(node) == START
    for used in (first, second, "0x99"):
        assert await ask(node, "evm_revert", used) is False
    again = await book.send("write", 2, (1, "y"))
    assert again["blockNumber"] == "0x3"
    assert await book.number("written") == 6


async def test_balance_is_set_in_a_block_of_its_own(node: Devnet) -> None:
    who = "0x" + "99" * 20
    await ask(node, "anvil_setBalance", who, hex(5 * COIN))
    assert await ask(node, "eth_getBalance", who, "latest") == hex(5 * COIN)
    assert await ask(node, "eth_getBalance", who, "0x0") == "0x0"
    assert await ask(node, "eth_blockNumber") == "0x1"


async def test_clock_and_snapshots_outlive_the_node(tmp_path: Path, wall: Wall) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.sqlite")
    async with serve_devnet(settings, clock=wall) as node:
        snapshot = await ask(node, "evm_snapshot")
        await ask(node, "evm_increaseTime", 100)
        await ask(node, "evm_setNextBlockTimestamp", START + 500)
        await ask(node, "evm_mine")
    async with serve_devnet(settings, clock=wall) as node:
        await ask(node, "evm_mine")
        assert await head_time(node) == START + 500
        assert await ask(node, "evm_revert", snapshot) is True
        await ask(node, "evm_mine")
        assert await head_time(node) == START


async def test_node_for_the_public_has_no_test_methods() -> None:
    async with serve_devnet(DevnetSettings(has_dev_methods=False)) as node:
        for method in ("evm_mine", "evm_snapshot", "evm_revert", "evm_increaseTime", "evm_setNextBlockTimestamp", "anvil_setBalance"):
            with pytest.raises(RpcError, match="does not exist"):
                await ask(node, method)
