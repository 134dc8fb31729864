"""
The hub and the token, read: accounts, orders, deals, tasks, categories.

Source: poco-protocol.md 3, 7, 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, cast

from voisin.chain.abi_codec import AbiValue
from voisin.chain.calls import order_tuple
from voisin.chain.functions import function
from voisin.chain.node_values import RawBlock, quantity
from voisin.chain.reading import Read, read, read_many, record
from voisin.chain.rpc import Request, Rpc
from voisin.errors import InputError, StateError
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, OrderHash, TaskId, to_hex
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.records import Account, Category, Contribution, Deal, Resource, Task, TaskStatus
from voisin.units import NRLC, UnixSeconds


class Hub:
    """
    Reads the hub.

    Args:
        rpc: The node.
        address: The hub.
    """

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self._rpc = rpc
        self.address = address
        self._categories: dict[int, Category] = {}

    async def account(self, owner: Address) -> Account:
        """Tell how much money an owner has at the hub [nRLC]."""
        return (await self.accounts([owner]))[0]

    async def accounts(self, owners: Sequence[Address]) -> list[Account]:
        """Tell how much money several owners have at the hub [nRLC], in one go."""
        return await read_many(self._rpc, [Read(self.address, function("Hub", "viewAccount"), (owner,), _account) for owner in owners])

    async def deal(self, deal_id: DealId) -> Deal:
        """
        Look a deal up.

        Raises:
            StateError: The hub has no such deal.
        """
        deal = await read(self._rpc, Read(self.address, function("Hub", "viewDeal"), (deal_id,), _deal))
        if deal.app.pointer == ZERO_ADDRESS:
            raise StateError(f"unknown deal {deal_id}", hint="check the id, and that it belongs to this chain and hub")
        return deal

    async def task(self, task_id: TaskId) -> Task:
        """
        Look a task up.

        Raises:
            StateError: The hub has no such task, or nobody has initialized it yet.
        """
        (task,) = await self.tasks([task_id])
        if task is None:
            raise unknown_task(task_id)
        return task

    async def tasks(self, task_ids: Sequence[TaskId]) -> list[Task | None]:
        """Look several tasks up in one go; None stands for one that is not initialized."""
        found = await read_many(self._rpc, [Read(self.address, function("Hub", "viewTask"), (each,), _task) for each in task_ids])
        return [task if task.status is not TaskStatus.UNSET else None for task in found]

    async def contribution(self, task_id: TaskId, worker: Address) -> Contribution:
        """Look one worker's contribution up; its status is UNSET when there is none."""
        return await read(self._rpc, Read(self.address, function("Hub", "viewContribution"), (task_id, worker), _contribution))

    async def glance(self, task_id: TaskId, worker: Address) -> tuple[Task | None, Contribution, UnixSeconds]:
        """Look a task, one worker's contribution to it, and the latest block's time [Unix s] up in one go; None for an unknown task."""
        task = Read(self.address, function("Hub", "viewTask"), (task_id,), _task)
        contribution = Read(self.address, function("Hub", "viewContribution"), (task_id, worker), _contribution)
        latest: Request = ("eth_getBlockByNumber", ("latest", False))
        answers = await self._rpc.ask([task.request(), contribution.request(), latest])
        found = task.answer(answers[0])
        time = UnixSeconds(quantity(answers[2].read(RawBlock).timestamp))
        return found if found.status is not TaskStatus.UNSET else None, contribution.answer(answers[1]), time

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order's volume is used up or closed [tasks]."""
        return (await self.consumptions([order_hash]))[0]

    async def consumptions(self, orders: Sequence[OrderHash]) -> list[int]:
        """Tell how much of the volumes of several orders is used up or closed [tasks], in one go."""
        return await read_many(self._rpc, [Read(self.address, function("Hub", "viewConsumed"), (order,), int) for order in orders])

    async def presigned(self, order_hash: OrderHash) -> Address:
        """Tell who signed an order on the chain; zero for nobody."""
        return await read(self._rpc, Read(self.address, function("Hub", "viewPresigned"), (order_hash,), Address))

    async def score(self, worker: Address) -> int:
        """Tell a worker's score: how many accurate contributions speak for it."""
        return (await self.scores([worker]))[0]

    async def scores(self, workers: Sequence[Address]) -> list[int]:
        """Tell several workers' scores in one go."""
        return await read_many(self._rpc, [Read(self.address, function("Hub", "viewScore"), (worker,), int) for worker in workers])

    async def category(self, number: int) -> Category:
        """
        Look a category up; one that was created never changes.

        Raises:
            InputError: The hub has no such category.
        """
        if number not in self._categories:
            self._categories[number] = await self._read_category(number)
        return self._categories[number]

    async def _read_category(self, number: int) -> Category:

        def _unknown() -> NoReturn:
            raise InputError(f"the hub has no category {number}", hint="categories() lists those it has")

        return await read(self._rpc, Read(self.address, function("Hub", "viewCategory"), (number,), _category, _unknown))

    async def categories(self) -> list[Category]:
        """List the categories; the number of each is its place in the list."""
        count = await read(self._rpc, Read(self.address, function("Hub", "countCategory"), (), int))
        view = function("Hub", "viewCategory")
        return await read_many(self._rpc, [Read(self.address, view, (number,), _category) for number in range(count)])

    async def tee_broker(self) -> Address:
        """Name who signs the authorisations of enclave tasks in place of the schedulers; zero for nobody."""
        return await read(self._rpc, Read(self.address, function("Hub", "teebroker"), (), Address))

    async def may_open(self, dataset_order: DatasetOrder, deal_id: DealId) -> bool:
        """Tell whether a deal without dataset of its own may open the one of a signed order: it is valid, and its restrictions hold."""
        view = function("Hub", "assertDatasetDealCompatibility")
        question = Read(self.address, view, (order_tuple(dataset_order), deal_id), lambda: True, lambda: False)
        return await read(self._rpc, question)

    async def callback_gas(self) -> int:
        """Tell how much gas a callback gets when a task is finalized."""
        return await read(self._rpc, Read(self.address, function("Hub", "callbackgas"), (), int))

    async def gives_back(self) -> bool:
        """Tell whether schedulers may give tasks back on this hub (SPEC 8.7): an original, or ours of an earlier day, does not let them."""
        route = Read(self.address, function("Hub", "facetAddress"), (function("Hub", "giveBack").selector,), Address, lambda: ZERO_ADDRESS)
        try:
            return await read(self._rpc, route) != ZERO_ADDRESS
        except InputError:
            return False

    async def has_failed_callback(self, task_id: TaskId) -> bool | None:
        """Tell whether a contract failed to take a task's result; None where the hub, one of the original's, does not say."""

        def _silent() -> bool | None:
            return None

        question: Read[bool | None] = Read(self.address, function("Hub", "hasFailedCallback"), (task_id,), bool, _silent)
        return await read(self._rpc, question)

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """
        Tell whether an owner signed a digest: with its key, or as a contract (ERC-1271).

        Args:
            owner: The owner; nothing is signed by the zero address.
            digest: 32 bytes.
            signature: The signature as hex.
        """
        if owner == ZERO_ADDRESS:
            return False
        verify = function("Hub", "verifySignature")
        return await read(self._rpc, Read(self.address, verify, (owner, to_hex(digest), signature), bool, lambda: False))


def unknown_task(task_id: TaskId) -> StateError:
    """Say that the hub has no such task."""
    hint = "check the id; a task of a deal exists on the chain once the scheduler has initialized it"
    return StateError(f"unknown task {task_id}", hint=hint)


class Token:
    """
    Reads the token [nRLC].

    Args:
        rpc: The node.
        address: The token.
    """

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self._rpc = rpc
        self.address = address

    async def balance(self, owner: Address) -> NRLC:
        """Tell how much an owner holds outside the hub."""
        return await read(self._rpc, Read(self.address, function("Rlc", "balanceOf"), (owner,), NRLC))

    async def allowance(self, owner: Address, spender: Address) -> NRLC:
        """Tell how much a spender may take from an owner."""
        return await read(self._rpc, Read(self.address, function("Rlc", "allowance"), (owner, spender), NRLC))

    async def total_supply(self) -> NRLC:
        """Tell how much there is in all."""
        return await read(self._rpc, Read(self.address, function("Rlc", "totalSupply"), (), NRLC))


def _account(members: tuple[AbiValue, ...]) -> Account:
    return record(Account, *members)


def _category(members: tuple[AbiValue, ...]) -> Category:
    return record(Category, *members)


def _contribution(members: tuple[AbiValue, ...]) -> Contribution:
    return record(Contribution, *members)


def _deal(members: tuple[AbiValue, ...]) -> Deal:
    app, dataset, workerpool, *rest = members
    resources = [record(Resource, *cast(tuple[AbiValue, ...], members)) for members in (app, dataset, workerpool)]
    return record(Deal, *resources, *rest)


def _task(members: tuple[AbiValue, ...]) -> Task:
    *kept, _results_timestamp, results_callback = members
    return record(Task, *kept, results_callback)
