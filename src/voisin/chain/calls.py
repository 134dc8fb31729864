"""
Every transaction the market needs, as a value: which contract, which calldata, and a label for people.

The functions are pure; a `Sender` carries their answers out. The first argument is the address of the contract that is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voisin.chain.abi_codec import AbiArgument
from voisin.chain.functions import function
from voisin.protocol.eip712 import Operation
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId
from voisin.protocol.orders import (
    FIELDS,
    AppOrder,
    DatasetOrder,
    Order,
    OrderKind,
    RequestOrder,
    WorkerpoolOrder,
    no_dataset_order,
    order_kind,
    resource_of,
)
from voisin.protocol.records import AppInfo, DatasetInfo
from voisin.units import NRLC, Wei


@dataclass(frozen=True, slots=True)
class Call:
    """
    A transaction before it has a sender, a nonce and a price.

    Attributes:
        to: The contract; None creates one, and `data` is then its creation code.
        data: Calldata.
        label: What it does, in words for people and logs.
        value: Native coin sent along [wei].
        gas: Gas limit; None asks the node for an estimate, which also refuses a call that would fail before anything is spent.
    """

    to: Address | None
    data: bytes
    label: str
    value: Wei = Wei(0)
    gas: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """
    What lets a worker contribute to a task.

    Attributes:
        authorization: The scheduler's (or the broker's) signature for worker, task and enclave, as hex.
        enclave: Address of the enclave's key; zero without enclave.
        enclave_sign: The enclave's signature over result hash and seal, as hex.

    Source: poco-protocol.md 4.2.
    """

    authorization: str
    enclave: Address = ZERO_ADDRESS
    enclave_sign: str = "0x"


# --- the token -------------------------------------------------------------------------------------------------------


def transfer(token: Address, recipient: Address, amount: NRLC) -> Call:
    """Give `amount` [nRLC] of the sender's tokens to somebody."""
    return Call(token, function("Rlc", "transfer").encode(recipient, amount), f"transfer {amount} nRLC to {recipient}")


def approve(token: Address, spender: Address, amount: NRLC) -> Call:
    """Let `spender` take up to `amount` [nRLC] of the sender's tokens."""
    return Call(token, function("Rlc", "approve").encode(spender, amount), f"let {spender} take {amount} nRLC")


def approve_and_call(token: Address, spender: Address, amount: NRLC, data: bytes = b"") -> Call:
    """
    Approve and have the spender take the tokens at once.

    Args:
        token: The token.
        spender: Who takes them: the hub, which deposits them for the sender.
        amount: How much [nRLC].
        data: Empty, or the calldata of a match that the deposit pays for.

    Source: poco-protocol.md 7.2.
    """
    return Call(token, function("Rlc", "approveAndCall").encode(spender, amount, data), f"deposit {amount} nRLC")


# --- the hub: money --------------------------------------------------------------------------------------------------


def deposit(hub: Address, amount: NRLC) -> Call:
    """Move `amount` [nRLC] of approved tokens into the sender's account at the hub."""
    return Call(hub, function("Hub", "deposit").encode(amount), f"deposit {amount} nRLC")


def withdraw(hub: Address, amount: NRLC) -> Call:
    """Take `amount` [nRLC] out of the sender's account at the hub."""
    return Call(hub, function("Hub", "withdraw").encode(amount), f"withdraw {amount} nRLC")


# --- the hub: orders -------------------------------------------------------------------------------------------------


def match_orders(hub: Address, app: AppOrder, dataset: DatasetOrder | None, workerpool: WorkerpoolOrder, request: RequestOrder) -> Call:
    """Make a deal that the requester pays; no dataset is `None`."""
    return _match("matchOrders", hub, (app, dataset or no_dataset_order(), workerpool, request))


def sponsor_match_orders(
    hub: Address, app: AppOrder, dataset: DatasetOrder | None, workerpool: WorkerpoolOrder, request: RequestOrder
) -> Call:
    """Make a deal that the sender pays in the requester's place; no dataset is `None`."""
    return _match("sponsorMatchOrders", hub, (app, dataset or no_dataset_order(), workerpool, request))


_MANAGE = {
    OrderKind.APP: "manageAppOrder",
    OrderKind.DATASET: "manageDatasetOrder",
    OrderKind.WORKERPOOL: "manageWorkerpoolOrder",
    OrderKind.REQUEST: "manageRequestOrder",
}


def manage_order(hub: Address, order: Order, operation: Operation, sign: str = "0x") -> Call:
    """
    Sign an order on the chain, or close it for good.

    Args:
        hub: The hub.
        order: The order.
        operation: Which of the two.
        sign: The owner's signature over the operation when somebody else sends it.
    """
    data = function("Hub", _MANAGE[order_kind(order)]).encode((order_tuple(order), int(operation), sign))
    return Call(hub, data, f"{operation.name.lower()} the {order_kind(order)} order of {resource_of(order)}")


def order_tuple(order: Order) -> tuple[AbiArgument, ...]:
    """List an order's fields in ABI order, with its signature."""
    return (*(getattr(order, name) for name, _ in FIELDS[type(order)]), order.sign)


# --- the hub: tasks --------------------------------------------------------------------------------------------------


def initialize(hub: Address, deal: DealId, index: int) -> Call:
    """Open task `index` of a deal for contributions."""
    return Call(hub, function("Hub", "initialize").encode(deal, index), f"initialize task {index} of deal {deal}")


def initialize_array(hub: Address, tasks: Sequence[tuple[DealId, int]]) -> Call:
    """Open several tasks for contributions, given as deal and index."""
    data = function("Hub", "initializeArray").encode([deal for deal, _ in tasks], [index for _, index in tasks])
    return Call(hub, data, f"initialize {len(tasks)} tasks")


def contribute(hub: Address, task: TaskId, *, result_hash: Hash32, result_seal: Hash32, admission: Admission) -> Call:
    """Commit the sending worker to a result."""
    given = (result_hash, result_seal, admission.enclave, admission.enclave_sign, admission.authorization)
    return Call(hub, function("Hub", "contribute").encode(task, *given), f"contribute to task {task}")


def reveal(hub: Address, task: TaskId, digest: Hash32) -> Call:
    """Show the digest that the sending worker committed to."""
    return Call(hub, function("Hub", "reveal").encode(task, digest), f"reveal task {task}")


def finalize(hub: Address, task: TaskId, results: bytes, callback: bytes = b"") -> Call:
    """
    Complete a task and pay everybody.

    Args:
        hub: The hub.
        task: The task.
        results: Where the result lies (`protocol.results.encode_link`).
        callback: Data for the deal's callback contract; empty without one.
    """
    return Call(hub, function("Hub", "finalize").encode(task, results, callback), f"finalize task {task}")


def contribute_and_finalize(
    hub: Address, task: TaskId, *, digest: Hash32, results: bytes, admission: Admission, callback: bytes = b""
) -> Call:
    """Contribute to a task of trust 1 and complete it at once; `results` and `callback` as in `finalize`."""
    given = (digest, results, callback, admission.enclave, admission.enclave_sign, admission.authorization)
    return Call(hub, function("Hub", "contributeAndFinalize").encode(task, *given), f"contribute to and finalize task {task}")


def reopen(hub: Address, task: TaskId) -> Call:
    """Take contributions again for a task whose winners did not reveal in time."""
    return Call(hub, function("Hub", "reopen").encode(task), f"reopen task {task}")


def claim(hub: Address, task: TaskId) -> Call:
    """Give the requester's money back for a task past its final deadline."""
    return Call(hub, function("Hub", "claim").encode(task), f"claim task {task}")


def claim_array(hub: Address, tasks: Sequence[TaskId]) -> Call:
    """Claim several tasks; all must be past their final deadline."""
    return Call(hub, function("Hub", "claimArray").encode(list(tasks)), f"claim {len(tasks)} tasks")


def initialize_and_claim_array(hub: Address, tasks: Sequence[tuple[DealId, int]]) -> Call:
    """Claim several tasks that were never initialized, given as deal and index."""
    data = function("Hub", "initializeAndClaimArray").encode([deal for deal, _ in tasks], [index for _, index in tasks])
    return Call(hub, data, f"initialize and claim {len(tasks)} tasks")


def give_back(hub: Address, deal: DealId, indexes: Sequence[int], *, most: NRLC, gas: int | None = None) -> Call:
    """
    End tasks of a deal that have no result, as its scheduler, so that the payer is refunded at once; only our own hubs can (SPEC 8.7).

    Args:
        hub: The hub.
        deal: The deal.
        indexes: Indexes of its tasks.
        most: What it may cost of the scheduler's stake [nRLC].
        gas: As in `Call`.
    """
    data = function("Hub", "giveBack").encode(deal, list(indexes), most)
    return Call(hub, data, f"give back {len(indexes)} tasks of deal {deal}", gas=gas)


def retry_callback(hub: Address, task: TaskId, gas: int | None = None) -> Call:
    """Hand a completed task's result again to the contract that failed to take it; `gas` as in `Call`."""
    return Call(hub, function("Hub", "retryCallback").encode(task), f"retry the callback of task {task}", gas=gas)


# --- the registries --------------------------------------------------------------------------------------------------


def create_app(registry: Address, app: AppInfo) -> Call:
    """Enter an app into the app registry for `app.owner`."""
    data = function("AppRegistry", "createApp").encode(app.owner, app.name, app.type, app.multiaddr, app.checksum, app.mrenclave)
    return Call(registry, data, f"create app {app.name!r}")


def create_dataset(registry: Address, dataset: DatasetInfo) -> Call:
    """Enter a dataset into the dataset registry for `dataset.owner`."""
    data = function("DatasetRegistry", "createDataset").encode(dataset.owner, dataset.name, dataset.multiaddr, dataset.checksum)
    return Call(registry, data, f"create dataset {dataset.name!r}")


def create_workerpool(registry: Address, owner: Address, description: str) -> Call:
    """Enter a workerpool into the workerpool registry."""
    data = function("WorkerpoolRegistry", "createWorkerpool").encode(owner, description)
    return Call(registry, data, f"create workerpool {description!r}")


def change_policy(workerpool: Address, worker_stake_ratio: int, scheduler_reward_ratio: int) -> Call:
    """Set what a workerpool's workers stake and what its scheduler earns, for later deals [percent of its price]."""
    data = function("Workerpool", "changePolicy").encode(worker_stake_ratio, scheduler_reward_ratio)
    return Call(workerpool, data, f"change the policy of workerpool {workerpool}")


def transfer_entry(registry: Address, entry: Address, *, owner: Address, recipient: Address) -> Call:
    """Give an app, dataset or workerpool to another owner."""
    transfer_from = function("AppRegistry", "safeTransferFrom(address,address,uint256)")
    return Call(registry, transfer_from.encode(owner, recipient, int(entry, 16)), f"transfer {entry} to {recipient}")


def _match(name: str, hub: Address, orders: tuple[AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder]) -> Call:
    app, _, workerpool, _ = orders
    data = function("Hub", name).encode(*(order_tuple(order) for order in orders))
    return Call(hub, data, f"match app {app.app} with workerpool {workerpool.workerpool}")
