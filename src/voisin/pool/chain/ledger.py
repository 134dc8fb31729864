"""
What a pool needs of a chain: to read deals, tasks and scores, to follow events, and to send its own four steps.

`Ledger` is all that the pool knows of a chain: `ChainLedger` asks a node, `voisin.pool.chain.twin.TwinLedger` keeps a small hub in
memory for tests and simulations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from voisin.chain import Chain, EventRange, Receipt, Sender, calls, follow
from voisin.chain.calls import Call
from voisin.protocol.eip712 import Domain, Operation
from voisin.protocol.events import TaskInitialized
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.records import Deal, Task
from voisin.protocol.signatures import signed_by
from voisin.units import NRLC, UnixSeconds, Wei

BASE_GAS = 60_000
INITIALIZE_GAS = 260_000
FINALIZE_GAS = 500_000
PER_CONTRIBUTOR_GAS = 150_000
PER_BYTE_GAS = 800
CALLBACK_MARGIN_GAS = 200_000
GIVE_BACK_BASE_GAS = 200_000
GIVE_BACK_GAS = 75_000
UNLOCK_GAS = 40_000
"""
Gas limits [gas]: generous bounds over the measured costs of both hubs (findings/gas: at most 243k to initialize, 302k to
finalize with one worker, 22k for each new slot of 32 bytes). A limit of our own saves the node's estimate, which costs a chain
in one process as much as the transaction; what is not used is not paid. Where the node alone can tell the gas, it is asked.
"""


class Ledger(Protocol):
    """
    A chain as a pool sees it.

    Reading raises `UnavailableError` when the node does not answer. Steps return when their transaction is mined, and raise
    `RevertError` when the hub refuses it, `FundsError` when the wallet cannot pay the gas.
    """

    @property
    def domain(self) -> Domain:
        """The hub and the chain that signatures are for."""
        ...

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest: with its key, or as a contract."""
        ...

    async def head(self) -> int:
        """Tell the number of the latest block."""
        ...

    async def block_time(self) -> UnixSeconds:
        """Tell the time of the latest block [Unix s]."""
        ...

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        ...

    async def time_ref(self, category: int) -> int:
        """Read a category's unit of time [s]."""
        ...

    async def tasks(self, task_ids: Sequence[TaskId]) -> list[Task | None]:
        """Read tasks; None for those that are not on the chain."""
        ...

    async def score(self, worker: Address) -> int:
        """Read a worker's score."""
        ...

    async def stake(self, owner: Address) -> NRLC:
        """Read an account's free money in the hub [nRLC]."""
        ...

    async def money(self, owner: Address) -> tuple[NRLC, NRLC]:
        """Read an account's free and locked money in the hub [nRLC]."""
        ...

    async def native_balance(self, owner: Address) -> Wei:
        """Read what an account has to pay gas with [wei]."""
        ...

    @property
    def fees_paid(self) -> Wei:
        """What this process has paid for the scheduler's transactions [wei]."""
        ...

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """
        Follow the hub's events for ever, in ranges without gap or overlap.

        Args:
            start_block: The first block.
            parent_hash: Hash of the block before it, to notice a chain that went back.
        """
        ...

    async def initialize(self, tasks: Sequence[tuple[DealId, int]]) -> list[TaskInitialized]:
        """Open tasks, given as deal and index, for contributions; all or none. Answers the hub's events, which come again in `ranges`."""
        ...

    async def finalize(self, task_id: TaskId, results: bytes, callback: bytes, *, has_callback: bool, contributors: int) -> None:
        """Complete a task and pay everybody."""
        ...

    async def reopen(self, task_id: TaskId) -> None:
        """Take contributions again for a task that nobody revealed."""
        ...

    async def claim(self, task_ids: Sequence[TaskId]) -> None:
        """Refund tasks past their final deadline; all or none."""
        ...

    async def initialize_and_claim(self, tasks: Sequence[tuple[DealId, int]]) -> None:
        """Refund tasks, given as deal and index, that were never opened; all or none."""
        ...

    async def gives_back(self) -> bool:
        """Tell whether the hub lets schedulers give tasks back before their time."""
        ...

    async def give_back(self, deal_id: DealId, indexes: Sequence[int], *, most: NRLC, contributors: int) -> None:
        """
        Give tasks without a result back, so that the requester is refunded at once; all or none.

        Args:
            deal_id: Their deal.
            indexes: Which.
            most: What it may cost of the scheduler's stake [nRLC].
            contributors: How many contributions they have together.
        """
        ...

    async def close_order(self, order: WorkerpoolOrder) -> None:
        """Cancel an order of the scheduler for good."""
        ...


class ChainLedger:
    """A chain behind a node."""

    def __init__(self, chain: Chain, sender: Sender, *, poll_s: float = 0.1) -> None:
        """
        Args:
            chain: The open chain.
            sender: Sends the scheduler's transactions.
            poll_s: Pause between two looks for new blocks when the node does not announce them [s].
        """
        self._chain = chain
        self._sender = sender
        self._poll_s = poll_s
        self._time_refs: dict[int, int] = {}
        self._callback_gas: int | None = None

    @property
    def domain(self) -> Domain:
        """The hub and the chain that signatures are for."""
        return self._chain.domain

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest."""
        return signed_by(owner, digest, signature) or await self._chain.is_signed_by(owner, digest, signature)

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return await self._chain.block_number()

    async def block_time(self) -> UnixSeconds:
        """Tell the time of the latest block [Unix s]."""
        return await self._chain.block_time()

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        return await self._chain.hub.deal(deal_id)

    async def time_ref(self, category: int) -> int:
        """Read a category's unit of time [s]; categories never change, so each is read once."""
        if category not in self._time_refs:
            self._time_refs[category] = (await self._chain.hub.category(category)).time_ref_s
        return self._time_refs[category]

    async def tasks(self, task_ids: Sequence[TaskId]) -> list[Task | None]:
        """Read tasks; None for those that are not on the chain."""
        return await self._chain.hub.tasks(task_ids)

    async def score(self, worker: Address) -> int:
        """Read a worker's score."""
        return await self._chain.hub.score(worker)

    async def stake(self, owner: Address) -> NRLC:
        """Read an account's free money in the hub [nRLC]."""
        return (await self._chain.hub.account(owner)).stake

    async def money(self, owner: Address) -> tuple[NRLC, NRLC]:
        """Read an account's free and locked money in the hub [nRLC]."""
        account = await self._chain.hub.account(owner)
        return account.stake, account.locked

    @property
    def fees_paid(self) -> Wei:
        """What this process has paid for the scheduler's transactions [wei]."""
        return self._sender.fees_paid

    async def native_balance(self, owner: Address) -> Wei:
        """Read what an account has to pay gas with [wei]."""
        return await self._chain.native_balance(owner)

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the hub's events; see `Ledger.ranges`."""
        return follow(self._chain, start_block, poll_s=self._poll_s, parent_hash=parent_hash)

    async def initialize(self, tasks: Sequence[tuple[DealId, int]]) -> list[TaskInitialized]:
        """Open tasks for contributions."""
        receipt = await self._send(calls.initialize_array(self._hub, tasks), BASE_GAS + INITIALIZE_GAS * len(tasks))
        return [logged.event for logged in receipt.events if isinstance(logged.event, TaskInitialized)]

    async def finalize(self, task_id: TaskId, results: bytes, callback: bytes, *, has_callback: bool, contributors: int) -> None:
        """Complete a task and pay everybody."""
        gas = FINALIZE_GAS + PER_CONTRIBUTOR_GAS * contributors + PER_BYTE_GAS * (len(results) + len(callback))
        if has_callback:
            gas += await self._gas_of_callback() + CALLBACK_MARGIN_GAS
        await self._send(calls.finalize(self._hub, task_id, results, callback), gas)

    async def reopen(self, task_id: TaskId) -> None:
        """Take contributions again for a task that nobody revealed."""
        await self._sender.send(calls.reopen(self._hub, task_id))

    async def claim(self, task_ids: Sequence[TaskId]) -> None:
        """Refund tasks past their final deadline."""
        await self._sender.send(calls.claim_array(self._hub, task_ids))

    async def initialize_and_claim(self, tasks: Sequence[tuple[DealId, int]]) -> None:
        """Refund tasks that were never opened."""
        await self._sender.send(calls.initialize_and_claim_array(self._hub, tasks))

    async def gives_back(self) -> bool:
        """Tell whether the hub lets schedulers give tasks back before their time."""
        return await self._chain.hub.gives_back()

    async def give_back(self, deal_id: DealId, indexes: Sequence[int], *, most: NRLC, contributors: int) -> None:
        """Give tasks without a result back."""
        gas = GIVE_BACK_BASE_GAS + GIVE_BACK_GAS * len(indexes) + UNLOCK_GAS * contributors
        await self._send(calls.give_back(self._hub, deal_id, indexes, most=most), gas)

    async def close_order(self, order: WorkerpoolOrder) -> None:
        """Cancel an order of the scheduler for good."""
        await self._sender.send(calls.manage_order(self._hub, order, Operation.CLOSE))

    @property
    def _hub(self) -> Address:
        return self._chain.hub_address

    async def _send(self, call: Call, gas: int) -> Receipt:
        limited = Call(call.to, call.data, call.label, call.value, gas) if self._chain.has_fixed_costs else call
        return await (await self._sender.submit(limited)).receipt()

    async def _gas_of_callback(self) -> int:
        if self._callback_gas is None:
            self._callback_gas = await self._chain.hub.callback_gas()
        return self._callback_gas
