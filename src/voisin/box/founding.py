"""
Founding a market on a fresh chain: contracts, money for every role, and the entry of the box's workerpool.

Every step looks at the chain first and does only what is missing, so a start that was interrupted is simply repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from voisin.box.keys import client_account
from voisin.box.settings import BoxSettings
from voisin.box.wallets import BROKER, REQUESTER, SCHEDULER, Wallets
from voisin.chain import Call, Chain, Deployment, DeploymentTerms, Rpc, Sender, calls, deployment_plan, execute_plan
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address
from voisin.protocol.records import Account
from voisin.protocol.signatures import KeySigner
from voisin.service.together import each
from voisin.units import NRLC, Wei

DEPLOYMENT_FILE = "deployment.json"
POOL_DESCRIPTION = "voisin-box"
GAS_MONEY = Wei(1_000 * 10**18)
"""Native coin that each role gets for its gas."""

GAS_OF_COINS = 21_000
GAS_OF_TOKENS = 100_000
GAS_OF_DEPOSIT = 200_000
"""
Gas limits of what the founding sends [gas]. The box's own contracts use at most 53k for a transfer and 85k for a deposit, whoever else
is on the chain; with a limit of their own, many transactions of one wallet can be under way.
"""


async def deployed(rpc_url: str, founder: KeySigner, settings: BoxSettings) -> Deployment:
    """
    Put the contracts on the chain unless they are there.

    Args:
        rpc_url: The chain's node.
        founder: Account that will own the contracts and hold all RLC.
        settings: The box's settings; its categories are created.

    Returns:
        Where everything is; also kept in the box's folder.
    """
    path = settings.folder / DEPLOYMENT_FILE
    if path.exists():
        return decode(path.read_bytes(), Deployment, f"the deployment file {path}")
    async with Rpc(rpc_url) as rpc:
        nonce = int(str(await rpc.call("eth_getTransactionCount", founder.address, "latest")), 16)
        plan = deployment_plan(founder.address, settings.chain_id, nonce=nonce, terms=DeploymentTerms(categories=settings.categories))
        deployment = await execute_plan(Sender(rpc, founder), plan)
    _write(path, msgspec.json.format(msgspec.json.encode(deployment), indent=2))
    return deployment


@dataclass(frozen=True)
class Founder:
    """
    Hands out the first money.

    Attributes:
        chain: The chain.
        purse: Sends transactions of the account that holds the RLC.
    """

    chain: Chain
    purse: Sender

    async def endow(self, owner: KeySigner, amount: NRLC) -> None:
        """Give an owner that never had anything RLC and native coin for gas; each of the two only if it is missing."""
        chain, address = self.chain, owner.address
        if await chain.native_balance(address) == 0:
            await self.purse.send(Call(address, b"", "gas money", value=GAS_MONEY, gas=GAS_OF_COINS))
        if amount and await self._never_had_rlc(address):
            await self.purse.send(replace(calls.transfer(chain.token_address, address, amount), gas=GAS_OF_TOKENS))

    async def _never_had_rlc(self, address: Address) -> bool:
        """Who has sent nothing yet has spent nothing either: what it was given is still there."""
        if await self.chain.nonce(address) > 0 or await self.chain.token.balance(address) > 0:
            return False
        return await self.chain.hub.account(address) == Account(stake=NRLC(0), locked=NRLC(0))


async def deposit_all(chain: Chain, wallet: Sender) -> None:
    """Move all RLC of an owner's wallet into its account inside the hub, where it can be staked."""
    held = await chain.token.balance(wallet.address)
    if held > 0:
        call = calls.approve_and_call(chain.token_address, chain.hub_address, held, b"")
        await wallet.send(replace(call, gas=GAS_OF_DEPOSIT))


async def pool_entry(chain: Chain, scheduler: Sender) -> Address:
    """Create the entry of the box's workerpool unless it is there; answers its address."""
    entry = await chain.registries.predict_workerpool(scheduler.address, POOL_DESCRIPTION)
    if not await chain.registries.is_workerpool(entry):
        await scheduler.send(calls.create_workerpool(chain.workerpool_registry, scheduler.address, POOL_DESCRIPTION))
    return entry


async def found_market(chain: Chain, founder: KeySigner, wallets: Wallets, settings: BoxSettings) -> Address:
    """
    Give every role its money, the pool its entry, and clients of other makers an account with money in it.

    Returns:
        The workerpool's address.
    """
    bank = Founder(chain, Sender(chain, founder))
    purses = {role: Sender(chain, signer) for role, signer in wallets.signers.items()}

    async def furnish(role: str) -> None:
        first = {REQUESTER: settings.requester_rlc, SCHEDULER: settings.scheduler_rlc, BROKER: NRLC(0)}.get(role, settings.worker_rlc)
        await bank.endow(wallets.signers[role], first)
        if role != REQUESTER:
            await deposit_all(chain, purses[role])
        if role == SCHEDULER:
            await pool_entry(chain, purses[role])

    await each(purses, furnish)
    await bank.endow(client_account(), settings.client_rlc)
    return await chain.registries.predict_workerpool(purses[SCHEDULER].address, POOL_DESCRIPTION)


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
