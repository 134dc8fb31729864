"""A box's market is founded in one go, and a founding that was interrupted anywhere is gone on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from voisin.box.founding import GAS_MONEY, deployed, found_market
from voisin.box.settings import BoxSettings
from voisin.box.wallets import REQUESTER, SCHEDULER, Wallets, open_wallets, worker_role
from voisin.chain import Call, Chain, Sender, calls, open_chain
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.errors import RevertError
from voisin.protocol.records import Account
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio

FOUNDER = development_keys(1)[0]


@asynccontextmanager
async def contracts(tmp_path: Path) -> AsyncIterator[tuple[Chain, Wallets, BoxSettings]]:
    """A fresh chain with the contracts, and the wallets of a box."""
    settings = BoxSettings(home=tmp_path, workers=3)
    settings.folder.mkdir(parents=True, exist_ok=True)
    wallets = open_wallets(settings.home, settings.workers)
    async with serve_devnet(DevnetSettings()) as node:
        deployment = await deployed(node.rpc_url, FOUNDER, settings)
        async with open_chain(node.rpc_url, deployment.hub) as chain:
            yield chain, wallets, settings


async def holdings(chain: Chain, signer: KeySigner) -> tuple[NRLC, Account]:
    """What somebody holds outside the hub and in it."""
    return await chain.token.balance(signer.address), await chain.hub.account(signer.address)


def in_hub(amount: NRLC) -> tuple[NRLC, Account]:
    """All of it in the hub."""
    return NRLC(0), Account(stake=amount, locked=NRLC(0))


async def assert_founded(chain: Chain, wallets: Wallets, settings: BoxSettings) -> None:
    """Everybody has what the settings say."""
    nothing = Account(stake=NRLC(0), locked=NRLC(0))
    assert await holdings(chain, wallets.signers[REQUESTER]) == (settings.requester_rlc, nothing)
    assert await holdings(chain, wallets.signers[SCHEDULER]) == in_hub(settings.scheduler_rlc)
    for number in (1, 2, 3):
        assert await holdings(chain, wallets.signers[worker_role(number)]) == in_hub(settings.worker_rlc)


async def test_everybody_gets_money_once(tmp_path: Path) -> None:
    async with contracts(tmp_path) as (chain, wallets, settings):
        pool = await found_market(chain, FOUNDER, wallets, settings)
        await assert_founded(chain, wallets, settings)
        assert await chain.registries.owner_of(pool) == wallets.signers[SCHEDULER].address
        height = await chain.block_number()
        assert await found_market(chain, FOUNDER, wallets, settings) == pool
        assert await chain.block_number() == height, "nothing is sent the second time"


async def test_who_has_spent_everything_gets_nothing_more(tmp_path: Path) -> None:
    async with contracts(tmp_path) as (chain, wallets, settings):
        await found_market(chain, FOUNDER, wallets, settings)
        requester = wallets.signers[REQUESTER]
        await Sender(chain, requester).send(calls.transfer(chain.token_address, FOUNDER.address, settings.requester_rlc))
        await found_market(chain, FOUNDER, wallets, settings)
        assert await chain.token.balance(requester.address) == 0


async def test_founding_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    async with contracts(tmp_path) as (chain, wallets, settings):
        bank = Sender(chain, FOUNDER)
        scheduler, worker = wallets.signers[SCHEDULER].address, wallets.signers[worker_role(1)].address
        await bank.send(Call(worker, b"", "gas money", value=GAS_MONEY))
        await bank.send(calls.transfer(chain.token_address, scheduler, settings.scheduler_rlc))
        await found_market(chain, FOUNDER, wallets, settings)
        await assert_founded(chain, wallets, settings)


async def test_refusal_leaves_as_it_is(tmp_path: Path) -> None:
    async with contracts(tmp_path) as (chain, wallets, settings):
        supply = await chain.token.balance(FOUNDER.address)
        await Sender(chain, FOUNDER).send(calls.transfer(chain.token_address, chain.hub_address, supply))
        with pytest.raises(RevertError):
            await found_market(chain, FOUNDER, wallets, settings)
