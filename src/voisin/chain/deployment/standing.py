"""
What stands of a market that is being brought up: what has become of the transactions in the journal.

The chain has the last word: a contract counts when its code is at the address that its transaction gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.journal import Heading, Journal, Sent
from voisin.chain.deployment.plan import HUB, REGISTRIES, DeploymentPlan, contract_address, deployment_plan, initialization
from voisin.chain.functions import function
from voisin.chain.node_values import RawReceipt, quantity
from voisin.chain.reading import Read, read_many
from voisin.chain.rpc import Backoff, Rpc
from voisin.errors import UnavailableError
from voisin.protocol.ids import Address, from_hex

_LOOKS = 8


@dataclass(frozen=True)
class Standing:
    """
    How far a market has come.

    Attributes:
        heading: The market.
        next_nonce: The owner's next nonce, what is on its way included.
        made: Steps that are done or on their way, with the contract of each.
        pending: Transactions on their way, all versions of each, in the order of their nonces.
        receipts: What became of the steps that are done; the node may have forgotten some.
    """

    heading: Heading
    next_nonce: int
    made: Mapping[str, Address]
    pending: Sequence[Sequence[Sent]]
    receipts: Sequence[RawReceipt]

    def plan(self) -> DeploymentPlan:
        """Plan what is left to do once all that is on its way has arrived."""
        own = self.heading
        return deployment_plan(own.owner, own.chain_id, nonce=self.next_nonce, terms=own.terms, done=self.made)


async def survey(rpc: Rpc, journal: Journal) -> Standing:
    """
    Look at what stands.

    Args:
        rpc: The node.
        journal: What was sent.

    Raises:
        UnavailableError: The node does not answer, or contradicts itself.
    """
    owner, versions = journal.heading.owner, journal.versions()
    counts = await rpc.ask([("eth_getTransactionCount", (owner, block)) for block in ("latest", "pending")])
    mined, counted = (quantity(count.read(str)) for count in counts)
    receipts = await _receipts(rpc, journal.sent)
    pending = [sent for nonce, sent in versions.items() if nonce >= mined and nonce not in receipts]
    arrived = [sent[-1] for nonce, sent in versions.items() if nonce < mined or nonce in receipts]
    failed = {nonce for nonce, receipt in receipts.items() if not receipt.is_success}
    done = await _done(rpc, owner, [sent for sent in arrived if sent.nonce not in failed], {*receipts})
    next_nonce = max([counted, mined, *(nonce + 1 for nonce in versions)])
    made = _in_one_piece({sent.step: sent.nonce for sent in [*done, *(sent[-1] for sent in pending)]}, next_nonce)
    return Standing(
        heading=journal.heading,
        next_nonce=next_nonce,
        made={step: contract_address(owner, nonce) for step, nonce in made.items()},
        pending=pending,
        receipts=[receipts[nonce] for nonce in made.values() if nonce in receipts],
    )


async def _receipts(rpc: Rpc, sent: Sequence[Sent]) -> dict[int, RawReceipt]:
    """Find the receipts, by nonce; one version of a transaction has one at most."""
    answers = await rpc.ask([("eth_getTransactionReceipt", (each.hash,)) for each in sent])
    found = [(each.nonce, answer.read_optional(RawReceipt)) for each, answer in zip(sent, answers, strict=True)]
    return {nonce: receipt for nonce, receipt in found if receipt is not None}


async def _done(rpc: Rpc, owner: Address, arrived: Sequence[Sent], proven: set[int]) -> list[Sent]:
    """
    Tell which steps the chain shows to be done.

    Args:
        rpc: The node.
        owner: Who sent them.
        arrived: Transactions whose nonces the chain has counted: if they are not done, others took their place.
        proven: Nonces of those that have a receipt.
    """
    creations = [sent for sent in arrived if sent.to is None]
    codes = await _codes(rpc, {sent.nonce: contract_address(owner, sent.nonce) for sent in creations}, proven)
    made = [sent for sent in creations if load_artifact(sent.step).is_code(codes[sent.nonce])]
    # other calls, as those of an upgrade, show in what is planned after them
    calls = [(sent, sent.to) for sent in arrived if sent.to is not None and sent.step in map(initialization, REGISTRIES)]
    # it is the same function in all three registries
    asked = [Read(registry, function("AppRegistry", "initialized"), (), bool) for _, registry in calls]
    answers = await read_many(rpc, asked)
    return [*made, *(sent for (sent, _), is_done in zip(calls, answers, strict=True) if is_done)]


async def _codes(rpc: Rpc, addresses: Mapping[int, Address], proven: set[int]) -> dict[int, bytes]:
    """Read the codes, by nonce; what has a receipt has one, though of several nodes behind one address not all may know it yet."""
    pause = Backoff()
    for _ in range(_LOOKS):
        answers = await rpc.ask([("eth_getCode", (address, "latest")) for address in addresses.values()])
        codes = {nonce: from_hex(answer.read(str)) for nonce, answer in zip(addresses, answers, strict=True)}
        if all(codes[nonce] for nonce in proven & codes.keys()):
            return codes
        await anyio.sleep(pause.next_s())
    raise UnavailableError("the node says that contracts were created, and that there are none", hint="try again, or use another node")


def _in_one_piece(made: dict[str, int], next_nonce: int) -> dict[str, int]:
    """
    Leave a hub out whose registries cannot get the addresses any more that it knows: somebody else used the account meanwhile.

    Args:
        made: Nonces of the steps.
        next_nonce: The nonce that what is missing gets first.
    """
    if HUB not in made:
        return made
    missing = [name for name in REGISTRIES if name not in made]
    nonces = {**made, **{name: next_nonce + place for place, name in enumerate(missing)}}
    if all(nonces[name] == made[HUB] + place for place, name in enumerate(REGISTRIES, 1)):
        return made
    return {step: nonce for step, nonce in made.items() if step not in {HUB, *REGISTRIES, *map(initialization, REGISTRIES)}}
