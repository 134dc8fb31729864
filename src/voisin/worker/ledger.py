"""The real chain behind the worker's `Ledger`."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from voisin.chain import Admission, Chain, Sender, calls
from voisin.chain.hub import unknown_task
from voisin.protocol.events import ConsensusReached
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.records import Account, AppInfo, Contribution, DatasetInfo, Deal, Task
from voisin.protocol.results import result_hash, result_seal
from voisin.protocol.signatures import signed_by
from voisin.units import NRLC, UnixSeconds
from voisin.worker.ports import Glance

REMEMBERED: Final = 256
"""Deals and apps that need not be read again."""
FRESH_S: Final = 1.0
"""How long a block's time need not be read again [s]."""

K = TypeVar("K")
V = TypeVar("V")


class ChainLedger:
    """
    One worker's view of the chain, and its hand on it.

    Args:
        chain: The chain.
        sender: Sends transactions of the worker's wallet.
        worker: The wallet's address.
    """

    def __init__(self, chain: Chain, sender: Sender, worker: Address) -> None:
        self._chain = chain
        self._sender = sender
        self._worker = worker
        self._block_time, self._read_at = UnixSeconds(0), -math.inf
        self._deals: OrderedDict[DealId, Deal] = OrderedDict()
        self._apps: OrderedDict[Address, AppInfo] = OrderedDict()

    @property
    def chain_id(self) -> int:
        """The chain's number."""
        return self._chain.chain_id

    @property
    def hub(self) -> Address:
        """The market's hub."""
        return self._chain.hub_address

    async def now(self) -> UnixSeconds:
        """
        Tell the chain's time, or this machine's if that is later: a quiet chain may have made no block for hours [Unix s].

        A time that was read a moment ago goes on with this machine's clock.
        """
        if time.monotonic() - self._read_at > FRESH_S:
            self._note_time(await self._chain.block_time())
        return UnixSeconds(max(self._block_time + int(time.monotonic() - self._read_at), int(time.time())))

    def _note_time(self, block_time: UnixSeconds) -> None:
        self._block_time, self._read_at = block_time, time.monotonic()

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up; deals never change."""
        return await _once(self._deals, deal_id, self._chain.hub.deal)

    async def task(self, task_id: TaskId) -> Task:
        """Look a task up."""
        return await self._chain.hub.task(task_id)

    async def app(self, entry: Address) -> AppInfo:
        """Look an app up; what a worker needs of it never changes."""
        return await _once(self._apps, entry, self._chain.registries.app)

    async def dataset(self, entry: Address) -> DatasetInfo:
        """Look a dataset up."""
        return await self._chain.registries.dataset(entry)

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an owner signed a digest: with its key, or, as only the chain can tell, as a contract."""
        return signed_by(owner, digest, signature) or await self._chain.is_signed_by(owner, digest, signature)

    async def own_contribution(self, task_id: TaskId) -> Contribution:
        """Look the own contribution to a task up."""
        return await self._chain.hub.contribution(task_id, self._worker)

    async def glance(self, task_id: TaskId) -> Glance:
        """Look up in one go what a step depends on."""
        task, own, block_time = await self._chain.hub.glance(task_id, self._worker)
        self._note_time(block_time)
        if task is None:
            raise unknown_task(task_id)
        return Glance(task, own, await self.now())

    async def own_account(self) -> Account:
        """Tell the own money at the hub [nRLC]."""
        return await self._chain.hub.account(self._worker)

    async def own_balance(self) -> NRLC:
        """Tell the own money outside the hub [nRLC]."""
        return await self._chain.token.balance(self._worker)

    async def deposit(self, amount: NRLC) -> None:
        """Move money from the wallet into the hub [nRLC]."""
        await self._sender.send(calls.approve_and_call(self._chain.token_address, self.hub, amount))

    async def withdraw(self, amount: NRLC) -> None:
        """Move free money out of the hub into the wallet [nRLC]."""
        await self._sender.send(calls.withdraw(self.hub, amount))

    async def contribute(self, task_id: TaskId, digest: Hash32, admission: Admission) -> bool:
        """Commit to a result; answers whether that made it the agreed one."""
        commitment = result_hash(task_id, digest)
        seal = result_seal(self._worker, task_id, digest)
        call = calls.contribute(self.hub, task_id, result_hash=commitment, result_seal=seal, admission=admission)
        receipt = await self._sender.send(call)
        return any(logged.event == ConsensusReached(task_id, commitment) for logged in receipt.events)

    async def finish(self, task_id: TaskId, digest: Hash32, admission: Admission, *, results: bytes, callback: bytes) -> None:
        """Commit to a result as the only worker, and complete the task at once."""
        call = calls.contribute_and_finalize(self.hub, task_id, digest=digest, results=results, admission=admission, callback=callback)
        await self._sender.send(call)

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        """Show the digest of a result."""
        await self._sender.send(calls.reveal(self.hub, task_id, digest))

    async def claim(self, task_id: TaskId) -> None:
        """End a task whose final deadline has passed."""
        await self._sender.send(calls.claim(self.hub, task_id))


async def _once(known: OrderedDict[K, V], key: K, read: Callable[[K], Awaitable[V]]) -> V:
    """Read what never changes, unless it is known already; what was used longest ago is forgotten first."""
    if key not in known:
        known[key] = await read(key)
        while len(known) > REMEMBERED:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]
