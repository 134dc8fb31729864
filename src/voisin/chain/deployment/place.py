"""Where a market stands, the file that says so, and the quick way to bring one up: all at once, on a chain that nobody disturbs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from voisin.chain.deployment.plan import HUB, REGISTRIES, TOKEN, DeploymentPlan, contract_address
from voisin.chain.rpc import Rpc
from voisin.chain.sender import Sender
from voisin.errors import InputError, StateError
from voisin.protocol.codec import decode
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, as_address, from_hex, hash32_of

_HINT = "make the plan with the account's next nonce, and let nobody else use the account meanwhile"


class Deployment(msgspec.Struct, frozen=True):
    """
    Where a market's contracts are.

    Attributes:
        chain_id: The chain (EIP-155).
        block: The first block that holds anything of it: followers start here.
        owner: Who brought it up; zero if that is not known.
        facets: Address of each facet by name.
        code_hashes: Keccak-256 of the code of each contract by name, as it was then; empty if that is not known.
    """

    chain_id: int
    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    block: int
    owner: Address = ZERO_ADDRESS
    facets: dict[str, Address] = {}
    code_hashes: dict[str, Hash32] = {}

    @property
    def contracts(self) -> dict[str, Address]:
        """Every contract by name, the token included where money is one."""
        registries = zip(REGISTRIES, (self.app_registry, self.dataset_registry, self.workerpool_registry), strict=True)
        token = {TOKEN: self.token} if self.token != ZERO_ADDRESS else {}
        return {**token, **self.facets, HUB: self.hub, **dict(registries)}

    @property
    def is_native(self) -> bool:
        """Whether money is the chain's own coin."""
        return self.token == ZERO_ADDRESS


def read_deployment(path: Path) -> Deployment:
    """
    Read a deployment file.

    Raises:
        InputError: There is none, or it is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the deployment file {path} cannot be read: {error.strerror}", hint="check the path, or deploy first") from None
    found = decode(data, Deployment, f"the deployment file {path}")
    places = ("hub", "token", "app_registry", "dataset_registry", "workerpool_registry", "owner")
    canonical = {place: as_address(getattr(found, place)) for place in places}
    facets = {name: as_address(address) for name, address in found.facets.items()}
    return msgspec.structs.replace(found, **canonical, facets=facets)


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Write a deployment file, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(deployment), indent=2) + b"\n")
    partial.replace(path)


async def code_hashes(rpc: Rpc, deployment: Deployment) -> dict[str, Hash32]:
    """
    Hash the code of every contract.

    Args:
        rpc: The node.
        deployment: Where the contracts are.

    Raises:
        UnavailableError: The node does not answer.
    """
    places = deployment.contracts
    answers = await rpc.ask([("eth_getCode", (address, "latest")) for address in places.values()])
    return {name: hash32_of(from_hex(answer.read(str))) for name, answer in zip(places, answers, strict=True)}


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
        owner=sender.address,
        facets=plan.facets,
    )


async def _check_nonce(sender: Sender, plan: DeploymentPlan) -> None:
    """Every plan begins with a creation: where it would lie tells the plan's nonce and owner."""
    nonce = await sender.next_nonce()
    if contract_address(sender.address, nonce) not in (plan.token, *plan.facets.values()):
        raise StateError(f"the plan was made for another account than {sender.address}, or for another nonce than {nonce}", hint=_HINT)
