"""
The embedded chain and anvil on 2,000 transactions from seeds: the same receipts one by one, and in the end the same state, whole.

anvil mines when it is told to, for it would otherwise look for transactions only now and then; so both have one block a transaction.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.anvil import require_anvil
from tests.support.devnet import GWEI
from tests.support.workload import Workload
from voisin.chain.devnet import Devnet, DevnetSettings, EngineName, RpcError, serve_devnet

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SEEDS, TRANSACTIONS = (4_711, 4_712, 4_713, 4_714), 500
DIFFERS = bytes([0x40, 0x44])  # BLOCKHASH and PREVRANDAO: each chain has its own
COMPARED = ("status", "gasUsed", "effectiveGasPrice", "contractAddress", "logsBloom", "type", "from", "to", "blockNumber")
# Contracts that anvil has from the start: beacon roots (EIP-4788), block hashes (EIP-2935), a deployer by CREATE2.
ONLY_ANVILS = {
    "0x000f3df6d732807ef1319fb7b8bb8522d0beac02",
    "0x0000f90827f1c53a10cb7a02335b175320002935",
    "0x4e59b44847b379578588920ca78fbf26c0b4956c",
}
EMPTY = (0, 0, "0x", {})


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


@dataclass
class Wall:
    """The clock of our chain; anvil is told the time with each block."""

    time: int = 2_000_000_000

    def __call__(self) -> float:
        return self.time


@asynccontextmanager
async def both_chains(engine: EngineName, folder: Path, clock: Wall) -> AsyncIterator[tuple[Devnet, Devnet]]:
    """Ours and anvil, gas for free, because anvil's base fee would move."""
    async with (
        serve_devnet(DevnetSettings(engine=engine, base_fee=0, db=folder / "chain.sqlite"), clock=clock) as ours,
        serve_devnet(DevnetSettings(engine="anvil", base_fee=0)) as anvil,
    ):
        await ask(anvil, "evm_setAutomine", False)
        yield ours, anvil


async def receipts_of(ours: Devnet, anvil: Devnet, raw: bytes, time: int) -> list[tuple[dict[str, Any], list[Any]] | None]:
    """Send one transaction to both; give what they say of it, None where it is refused."""
    seen: list[tuple[dict[str, Any], list[Any]] | None] = []
    for chain in (ours, anvil):
        try:
            tx_hash = await ask(chain, "eth_sendRawTransaction", "0x" + raw.hex())
        except RpcError:
            seen.append(None)
            continue
        if chain is anvil:
            await ask(chain, "evm_mine", hex(time))
        receipt = await ask(chain, "eth_getTransactionReceipt", tx_hash)
        logs = [(log["address"], log["topics"], log["data"]) for log in receipt["logs"]]
        seen.append(({key: receipt.get(key) for key in COMPARED}, logs))
    return seen


def our_state(path: Path) -> dict[str, tuple[Any, ...]]:
    """Nonce, balance, code and storage of every account in the chain's file."""
    connection = sqlite3.connect(path)
    codes = {row[0]: "0x" + row[1].hex() for row in connection.execute("SELECT hash, code FROM code")}
    slots: dict[bytes, dict[int, int]] = {}
    for address, slot, value in connection.execute("SELECT address, slot, value FROM slot"):
        if int.from_bytes(value, "big"):
            slots.setdefault(address, {})[int.from_bytes(slot, "big")] = int.from_bytes(value, "big")
    rows = connection.execute("SELECT address, nonce, balance, code_hash FROM account").fetchall()
    connection.close()
    found = {
        "0x" + address.hex(): (nonce, int.from_bytes(balance, "big"), codes.get(code_hash, "0x"), slots.pop(address, {}))
        for address, nonce, balance, code_hash in rows
    }
    assert not slots, "storage without an account"
    return {address: account for address, account in found.items() if account != EMPTY}


async def anvil_state(anvil: Devnet) -> dict[str, tuple[Any, ...]]:
    """The same of anvil, from its dump."""
    dump = json.loads(gzip.decompress(bytes.fromhex((await ask(anvil, "anvil_dumpState"))[2:])))
    found = {}
    for address, account in dump["accounts"].items():
        slots = {int(slot, 16): int(value, 16) for slot, value in account["storage"].items() if int(value, 16)}
        found[address.lower()] = (int(str(account["nonce"]), 0), int(account["balance"], 16), account["code"], slots)
    return {address: account for address, account in found.items() if account != EMPTY and address not in ONLY_ANVILS}


@pytest.mark.parametrize(("engine", "seed"), [*(("jit", seed) for seed in SEEDS), ("pyevm", SEEDS[0])])
async def test_same_receipts_and_same_state(engine: EngineName, seed: int, tmp_path: Path) -> None:
    require_anvil()
    clock = Wall()
    async with both_chains(engine, tmp_path, clock) as (ours, anvil):
        nonces: dict[bytes, int] = {}
        workload = Workload(seed, lambda who: nonces.get(who, 0), without=DIFFERS, tip=2 * GWEI, has_strangers=False)
        endings: dict[str | None, int] = {}
        for number in range(TRANSACTIONS):
            for who in workload.signers:
                nonces[who] = int(await ask(ours, "eth_getTransactionCount", "0x" + who.hex(), "latest"), 16)
            raw, clock.time = workload.next(), clock.time + 7
            mine, theirs = await receipts_of(ours, anvil, raw, clock.time)
            assert mine == theirs, f"transaction {number}: 0x{raw.hex()}"
            receipt = mine[0] if mine else {}
            endings[receipt.get("status")] = endings.get(receipt.get("status"), 0) + 1
            if receipt.get("status") == "0x1" and receipt["contractAddress"]:
                workload.was_created(bytes.fromhex(receipt["contractAddress"][2:]))
        assert await anvil_state(anvil) == our_state(tmp_path / "chain.sqlite")
        assert len(workload.kinds) == 7, workload.kinds
        assert min(endings.get("0x0", 0), endings.get("0x1", 0)) > TRANSACTIONS // 10, f"the workload has lost its bite: {endings}"
