"""The same signed transactions on the embedded chain and on anvil: the same receipts, storage and balances. And anvil as our engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.anvil import require_anvil
from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, notebook, signed
from tests.support.patience import a_moment
from voisin.chain.devnet import Devnet, DevnetSettings, RpcError, serve_devnet
from voisin.errors import InputError, RevertError, VoisinError

pytestmark = pytest.mark.anyio
DEADLINE_S = 120
PRECOMPILES = [number.to_bytes(20, "big") for number in range(1, 0x12)]
COMPARED = (
    "status",
    "gasUsed",
    "cumulativeGasUsed",
    "effectiveGasPrice",
    "contractAddress",
    "logsBloom",
    "type",
    "from",
    "to",
    "transactionIndex",
)


@pytest.fixture(autouse=True)
def anvil_is_installed() -> None:
    require_anvil()


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def receipt_of(node: Devnet, tx_hash: str) -> dict[str, Any]:
    with anyio.fail_after(DEADLINE_S):
        while (receipt := await ask(node, "eth_getTransactionReceipt", tx_hash)) is None:
            await a_moment()
    assert isinstance(receipt, dict)
    return receipt


@dataclass
class TwoChains:
    """Ours and anvil; every transaction goes to both."""

    chains: tuple[Devnet, Devnet]
    time: int
    nonces: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(4), 0))

    async def send(self, who: int, **fields: Any) -> dict[str, Any]:
        """Send to both; give the receipt on which they agree."""
        fees = {} if "gasPrice" in fields else {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": 2 * GWEI}
        raw = "0x" + signed(KEYS[who], self.nonces[who], **{**fees, **fields}).hex()
        self.nonces[who] += 1
        self.time += 7
        seen = []
        for chain in self.chains:
            await ask(chain, "evm_setNextBlockTimestamp", self.time)
            receipt = await receipt_of(chain, await ask(chain, "eth_sendRawTransaction", raw))
            logs = [(log["address"], log["topics"], log["data"], log["logIndex"]) for log in receipt["logs"]]
            seen.append(({key: receipt.get(key) for key in COMPARED}, logs))
            self.last = receipt
        assert seen[0] == seen[1]
        return self.last

    async def same(self, method: str, *params: object) -> Any:
        """Ask both; give the answer on which they agree, an error's words and data included."""
        answers = []
        for chain in self.chains:
            try:
                answers.append(await ask(chain, method, *params))
            except RevertError as error:
                answers.append(("reverted", error.message, error.data))
        assert answers[0] == answers[1], (method, params)
        return answers[0]


@pytest.fixture
async def both() -> AsyncIterator[TwoChains]:
    settings = {"base_fee": 0}  # anvil's base fee would fall from block to block
    async with serve_devnet(DevnetSettings(**settings)) as ours, serve_devnet(DevnetSettings(engine="anvil", **settings)) as anvil:
        heads = [await ask(chain, "eth_getBlockByNumber", "latest", False) for chain in (ours, anvil)]
        yield TwoChains((ours, anvil), max(int(head["timestamp"], 16) for head in heads) + 1000)


async def test_a_contract_s_life(both: TwoChains) -> None:
    book = notebook()
    address = (await both.send(0, data=book.init_code(5)))["contractAddress"]
    await both.send(0, to=address, data=book.data("write", 1, (7, "hello")))
    await both.send(1, to=address, data=book.data("write", 2, (7, "legacy")), gasPrice=2 * GWEI)
    await both.send(1, to=address, data=book.data("write", 2, (0, "")))
    await both.send(1, to=address, data=book.data("refuse", 42))
    await both.send(2, to=address, data=book.data("pay"), value=COIN)
    await both.send(2, to=address, data=book.data("nest", 9, False), gas=5_000_000)
    await both.send(2, to=address, data=book.data("try_burn", 10_000), gas=300_000)
    await both.send(3, to=ADDRESSES[0], value=COIN, gas=21_000)
    await both.send(3, to="0x" + "77" * 20, value=COIN, gas=30_000)
    await both.send(3, to=ADDRESSES[1], data=b"\1" * 20_000, gas=2_000_000)
    await both.same("eth_getCode", address, "latest")
    for slot in range(6):
        await both.same("eth_getStorageAt", address, hex(slot), "latest")
    for who in (*ADDRESSES, address, "0x" + "77" * 20, "0x" + "00" * 20):
        await both.same("eth_getBalance", who, "latest")
        await both.same("eth_getTransactionCount", who, "latest")
    for data in (book.data("read", 1), book.data("written")):
        await both.same("eth_call", {"to": address, "data": "0x" + data.hex()}, "latest")
    words = await both.same("eth_call", {"to": address, "data": "0x" + book.data("write", 1, (0, "")).hex()}, "latest")
    assert words[1] == "execution reverted: a note has a weight"
    for call in (book.data("write", 9, (1, "x")), book.data("nest", 3, False)):
        ours, anvil = [
            int(await ask(chain, "eth_estimateGas", {"from": ADDRESSES[0], "to": address, "data": "0x" + call.hex()}), 16)
            for chain in both.chains
        ]
        assert abs(ours - anvil) < 0.02 * anvil


async def test_precompiles(both: TwoChains) -> None:
    for precompile in PRECOMPILES:
        for data in (b"", bytes(range(128)), bytes(213)):
            await both.send(0, to=precompile, data=data, gas=700_000)


async def test_what_is_refused_here_is_refused_there(both: TwoChains) -> None:
    for fields in ({"value": 20_000 * COIN}, {"gas": 20_000}, {"chainId": 5}):
        raw = "0x" + signed(KEYS[0], 0, **{"to": ADDRESSES[1], "gas": 21_000, **fields}).hex()
        for chain in both.chains:
            with pytest.raises(RpcError):
                await ask(chain, "eth_sendRawTransaction", raw)


async def test_anvil_as_engine_keeps_its_state(tmp_path: Path) -> None:
    settings = DevnetSettings(engine="anvil", db=tmp_path / "anvil.json", chain_id=77, allocation={"0x" + "11" * 20: 5})  # type: ignore[dict-item]
    async with serve_devnet(settings) as node:
        assert await ask(node, "eth_chainId") == hex(77)
        assert await ask(node, "eth_getBalance", "0x" + "11" * 20, "latest") == "0x5"
        assert await ask(node, "eth_getBalance", ADDRESSES[0], "latest") == hex(10_000 * COIN)
        raw = "0x" + signed(KEYS[0], 0, to=ADDRESSES[1], value=COIN, chainId=77, gas=21_000).hex()
        await receipt_of(node, await ask(node, "eth_sendRawTransaction", raw))
    async with serve_devnet(settings) as node:
        assert await ask(node, "eth_getBalance", ADDRESSES[1], "latest") == hex(10_001 * COIN)
        with pytest.raises(RpcError):
            await ask(node, "eth_sendRawTransaction", raw)


async def start_and_stop(settings: DevnetSettings) -> None:
    async with serve_devnet(settings):
        pass


@pytest.mark.parametrize("change", [{"nonce_settle_ms": 250}, {"is_durable": True}, {"has_dev_methods": False}])
async def test_what_anvil_cannot_do_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="anvil cannot"):
        await start_and_stop(DevnetSettings(engine="anvil", **change))


async def test_engines_do_not_share_a_file(tmp_path: Path) -> None:
    await start_and_stop(DevnetSettings(db=tmp_path / "a"))
    with pytest.raises(InputError, match="holds a chain of the embedded engines"):
        await start_and_stop(DevnetSettings(engine="anvil", db=tmp_path / "a"))
    await start_and_stop(DevnetSettings(engine="anvil", db=tmp_path / "b"))
    with pytest.raises(InputError, match="choose another file"):
        await start_and_stop(DevnetSettings(db=tmp_path / "b"))


async def test_broken_state_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    with pytest.raises(VoisinError, match="anvil did not start"):
        await start_and_stop(DevnetSettings(engine="anvil", db=tmp_path / "broken"))
