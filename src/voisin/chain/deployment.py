"""Carries out the plan of a market, and remembers where it then stands."""

from __future__ import annotations

import msgspec

from voisin.chain.deploy import DeploymentPlan, contract_address
from voisin.chain.sender import Sender
from voisin.errors import StateError
from voisin.protocol.ids import Address

_HINT = "make the plan with the account's next nonce, and let nobody else use the account meanwhile"


class Deployment(msgspec.Struct, frozen=True):
    """
    Where a market's contracts are.

    Attributes:
        chain_id: The chain (EIP-155).
        block: The first block that holds anything of it: followers start here.
    """

    chain_id: int
    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    block: int


async def execute_plan(sender: Sender, plan: DeploymentPlan) -> Deployment:
    """
    Send the transactions of a plan, all at once, and wait for them.

    Args:
        sender: The owner that the plan was made for, whose next nonce is the plan's first.
        plan: The plan.

    Returns:
        Where the market stands.

    Raises:
        StateError: The sender's next nonce is not the plan's first, or somebody else used the account meanwhile.
        RevertError: A transaction failed.
    """
    await _check_nonce(sender, plan)
    submitted = [await sender.submit(call) for call in plan.transactions]
    receipts = [await each.receipt() for each in submitted]
    made = {receipt.contract for receipt in receipts}
    planned = {plan.hub, plan.app_registry, plan.dataset_registry, plan.workerpool_registry, *plan.facets.values()}
    if not planned <= made:
        raise StateError(f"the contracts are not where the plan says: {', '.join(sorted(planned - made))} were not made", hint=_HINT)
    return Deployment(
        chain_id=await sender.chain_id(),
        hub=plan.hub,
        token=plan.token,
        app_registry=plan.app_registry,
        dataset_registry=plan.dataset_registry,
        workerpool_registry=plan.workerpool_registry,
        block=min(receipt.block for receipt in receipts),
    )


async def _check_nonce(sender: Sender, plan: DeploymentPlan) -> None:
    """Every plan begins with a creation: where it would lie tells the plan's nonce and owner."""
    nonce = await sender.next_nonce()
    if contract_address(sender.address, nonce) not in (plan.token, *plan.facets.values()):
        raise StateError(f"the plan was made for another account than {sender.address}, or for another nonce than {nonce}", hint=_HINT)
