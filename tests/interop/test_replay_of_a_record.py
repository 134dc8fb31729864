"""The recorded transactions, replayed by people who have no key: the same market, at the same addresses, and it works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from tests.interop.test_chain_client_on_anvil import anvil
from tests.support.chain_rig import Rig
from tests.support.patience import a_moment
from voisin.chain import Deployment, Rpc, open_chain
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.check import check_deployment
from voisin.chain.deployment.plan import DEFAULT_TERMS
from voisin.chain.deployment.record import record_alone
from voisin.chain.devnet import DevnetSettings, serve_devnet
from voisin.protocol.ids import Address
from voisin.protocol.records import TaskStatus

pytestmark = pytest.mark.anyio
CHAIN_ID = 31_337
OWNER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
"""Account 0 of "test test ... junk", as anvil's and Hardhat's documentation list it."""
MOST_GAS, MOST_CODE, MOST_INIT_CODE = 30_000_000, 24_576, 49_152
"""Gas of a usual block; bytes of code (EIP-170) and of creation code (EIP-3860)."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def recorded() -> tuple[dict[str, Any], Deployment]:
    """The record as others read it, and the market that it was made from."""
    record, deployment, report = await record_alone(CHAIN_ID)
    assert report.differences == ()
    return msgspec.json.decode(msgspec.json.encode(record)), deployment


@asynccontextmanager
async def embedded() -> AsyncIterator[str]:
    async with serve_devnet(DevnetSettings()) as node:
        yield node.rpc_url


@asynccontextmanager
async def foreign() -> AsyncIterator[str]:
    with anvil() as url:
        yield url


async def status(rpc: Rpc, tx_hash: str) -> str:
    """Wait until a transaction is mined; tell whether it succeeded."""
    with anyio.fail_after(60):
        while True:
            receipt: Any = await rpc.call("eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                return str(receipt["status"])
            await a_moment()


async def test_the_shape_that_was_agreed(recorded: tuple[dict[str, Any], Deployment]) -> None:
    record, deployment = recorded
    assert list(record) == ["hub", "RLC", "AppRegistry", "DatasetRegistry", "WorkerpoolRegistry", "txs"]
    assert (record["hub"], record["RLC"]) == (deployment.hub, deployment.token)
    for transaction in record["txs"]:
        assert transaction.keys() - {"to"} == {"from", "data", "value", "gas"}
        assert transaction["from"] == OWNER
        assert transaction["value"] == "0x0"
        assert 21_000 < int(transaction["gas"], 16) <= MOST_GAS
        assert len(transaction["data"]) // 2 - 1 <= MOST_INIT_CODE
    assert sum("to" not in transaction for transaction in record["txs"]) == len(deployment.contracts)
    assert all(load_artifact(name).deployed_size + 32 <= MOST_CODE for name in deployment.contracts)


@pytest.mark.parametrize("chain_of", [embedded, foreign])
async def test_a_replay_gives_the_same_market(chain_of: Any, recorded: tuple[dict[str, Any], Deployment]) -> None:
    record, deployment = recorded
    async with chain_of() as url, Rpc(url) as rpc:
        await rpc.call("anvil_impersonateAccount", OWNER)
        for transaction in record["txs"]:
            assert await status(rpc, str(await rpc.call("eth_sendTransaction", transaction))) == "0x1"
        await rpc.call("anvil_stopImpersonatingAccount", OWNER)
        assert (await check_deployment(rpc, deployment, DEFAULT_TERMS)).differences == ()
        async with open_chain(url, record["hub"]) as chain:
            assert chain.contracts == tuple(record[name] for name in ("hub", "AppRegistry", "DatasetRegistry", "WorkerpoolRegistry", "RLC"))
            assert await chain.token.balance(OWNER) == 87_000_000 * 10**9
            assert [(each.name, each.description, each.time_ref_s) for each in await chain.hub.categories()] == [
                ("XS", '""', 300), ("S", '""', 1200), ("M", '""', 3600), ("L", '""', 10_800), ("XL", '""', 36_000),
            ]  # fmt: skip
            rig = Rig(None, chain, deployment)  # type: ignore[arg-type]
            task = await rig.complete(await rig.deal(volume=1, trust=3))
            assert (await chain.hub.task(task)).status is TaskStatus.COMPLETED
