"""The pool sets its own gas limits where gas follows from what a call does, and asks the node where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chain_rig import open_rig
from voisin.chain.devnet import DevnetSettings
from voisin.pool.chain.ledger import BASE_GAS, INITIALIZE_GAS, ChainLedger

pytestmark = pytest.mark.anyio

ARBITRUM_SEPOLIA = 421_614


@pytest.mark.parametrize("chain_id", [31_337, ARBITRUM_SEPOLIA])
async def test_gas_limit_of_an_initialization(chain_id: int) -> None:
    async with open_rig(DevnetSettings(chain_id=chain_id)) as rig:
        deal = await rig.deal(volume=1)
        ledger = ChainLedger(rig.chain, rig.senders[rig.scheduler.address])
        (opened,) = await ledger.initialize([(deal, 0)])
        assert opened.workerpool == (await rig.chain.hub.deal(deal)).workerpool.pointer
        block: Any = await rig.node.request("eth_getBlockByNumber", ["latest", True])
        limit, used = int(block["transactions"][0]["gas"], 16), int(block["gasUsed"], 16)
        assert used < limit
        assert (limit == BASE_GAS + INITIALIZE_GAS) is (chain_id != ARBITRUM_SEPOLIA)
