"""
Founding a market on a fresh chain: contracts, money for every role, and the entry of the box's workerpool.

Every step looks at the chain first and does only what is missing, so a start that was interrupted is simply repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from voisin.box.settings import BoxSettings
from voisin.box.wallets import REQUESTER, SCHEDULER, Wallets
from voisin.chain import Call, Chain, Deployment, DeploymentTerms, Rpc, Sender, calls, deployment_plan, execute_plan
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, Wei

DEPLOYMENT_FILE = "deployment.json"
POOL_DESCRIPTION = "voisin-box"
GAS_MONEY = Wei(1_000 * 10**18)
"""Native coin that each role gets for its gas."""


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
        """Give an owner that never had anything RLC and native coin for gas."""
        if await self.chain.native_balance(owner.address) == 0:
            await self.purse.send(Call(owner.address, b"", "gas money", value=GAS_MONEY))
            await self.purse.send(calls.transfer(self.chain.token_address, owner.address, amount))


async def deposit_all(chain: Chain, owner: KeySigner) -> None:
    """Move all RLC of an owner's wallet into its account inside the hub, where it can be staked."""
    held = await chain.token.balance(owner.address)
    if held > 0:
        await Sender(chain, owner).send(calls.approve_and_call(chain.token_address, chain.hub_address, held, b""))


async def pool_entry(chain: Chain, scheduler: KeySigner) -> Address:
    """Create the entry of the box's workerpool unless it is there; answers its address."""
    entry = await chain.registries.predict_workerpool(scheduler.address, POOL_DESCRIPTION)
    if not await chain.registries.is_workerpool(entry):
        await Sender(chain, scheduler).send(calls.create_workerpool(chain.workerpool_registry, scheduler.address, POOL_DESCRIPTION))
    return entry


async def found_market(chain: Chain, founder: KeySigner, wallets: Wallets, settings: BoxSettings) -> Address:
    """
    Give every role its money and the pool its entry.

    Returns:
        The workerpool's address.
    """
    bank = Founder(chain, Sender(chain, founder))
    for role, signer in wallets.signers.items():
        first = {REQUESTER: settings.requester_rlc, SCHEDULER: settings.scheduler_rlc}.get(role, settings.worker_rlc)
        await bank.endow(signer, first)
        if role != REQUESTER:
            await deposit_all(chain, signer)
    return await pool_entry(chain, wallets.signers[SCHEDULER])


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
