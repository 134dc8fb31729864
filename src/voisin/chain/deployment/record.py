"""
The transactions that bring a market up, as a list that test environments of others can replay.

On a fresh chain with the same id, whose account 0 is that of the usual test mnemonic, the same transactions in the same order give
the same addresses: they follow from the sender and its nonces, which begin at 0.
"""

from __future__ import annotations

import msgspec

from voisin.chain.deployment.check import CheckReport, check_deployment
from voisin.chain.deployment.place import Deployment, execute_plan
from voisin.chain.deployment.plan import DEFAULT_TERMS, DeploymentPlan, DeploymentTerms, contract_address, deployment_plan
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.chain.rpc import Rpc
from voisin.chain.sender import Sender
from voisin.errors import StateError
from voisin.protocol.ids import Address, to_hex

_SEARCHED = 100_000


class RecordedTransaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One transaction, as `eth_sendTransaction` takes it.

    Attributes:
        sender: Who sends it.
        to: Receiver; absent when it creates a contract.
        data: Calldata or creation code.
        value: Native coin sent along [wei], in hex.
        gas: Gas limit, in hex.
    """

    sender: Address = msgspec.field(name="from")
    to: Address | None = None
    data: str
    value: str
    gas: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Where the replayed market will be, and the transactions in their order."""

    hub: Address
    token: Address = msgspec.field(name="RLC")
    app_registry: Address = msgspec.field(name="AppRegistry")
    dataset_registry: Address = msgspec.field(name="DatasetRegistry")
    workerpool_registry: Address = msgspec.field(name="WorkerpoolRegistry")
    txs: tuple[RecordedTransaction, ...]


def record_plan(owner: Address, plan: DeploymentPlan) -> Record:
    """
    Write a plan down.

    Args:
        owner: Who it was made for.
        plan: A whole plan, of which nothing is done.
    """
    return Record(
        hub=plan.hub,
        token=plan.token,
        app_registry=plan.app_registry,
        dataset_registry=plan.dataset_registry,
        workerpool_registry=plan.workerpool_registry,
        txs=tuple(
            RecordedTransaction(sender=owner, to=call.to, data=to_hex(call.data), value=hex(call.value), gas=hex(call.gas or 0))
            for call in plan.transactions
        ),
    )


def record_deployment(deployment: Deployment, terms: DeploymentTerms) -> tuple[Record, int]:
    """
    Write down the transactions that brought a market up.

    Args:
        deployment: Where it stands.
        terms: What is particular about it; which token it has is taken from the deployment.

    Returns:
        The record, and the nonce that its sender must have before the first transaction.

    Raises:
        StateError: Other transactions of the owner came in between, or this version of Voisin would send others.
    """
    first = {deployment.token: None, deployment.facets.get(terms.facets[0]): None if deployment.is_native else deployment.token}
    for nonce in range(_SEARCHED):
        made = contract_address(deployment.owner, nonce)
        if made in first:
            found = msgspec.structs.replace(terms, token=first[made])
            plan = deployment_plan(deployment.owner, deployment.chain_id, nonce=nonce, terms=found)
            if all(deployment.contracts[step.name] == step.creates for step in plan.steps if step.creates):
                return record_plan(deployment.owner, plan), nonce
            break
    raise StateError(
        "this deployment cannot be recorded: other transactions of its owner came in between, or another version made it",
        hint="record one without a node: leave --rpc-url out",
    )


async def record_alone(chain_id: int, terms: DeploymentTerms = DEFAULT_TERMS) -> tuple[Record, Deployment, CheckReport]:
    """
    Bring a market up on a chain in memory, as account 0 of the usual test mnemonic, and write down how.

    Args:
        chain_id: Id of the chain, and of the chains on which the record may be replayed.
        terms: What is particular about the market.

    Returns:
        The record, where the market stands, and what a check of it has shown.
    """
    owner = development_keys(1)[0]
    plan = deployment_plan(owner.address, chain_id, terms=terms)
    async with serve_devnet(DevnetSettings(chain_id=chain_id)) as node, Rpc(node.rpc_url) as rpc:
        deployment = await execute_plan(Sender(rpc, owner), plan)
        report = await check_deployment(rpc, deployment, terms)
    return record_plan(owner.address, plan), deployment, report
