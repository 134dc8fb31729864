"""
What a worker was paid and fined, read from the hub's events.

Paid task by task it is a `Reward` or `Seize` that names the task. A bag pays all its workers in the transaction that settles it, with a
`Transfer` to each and no further word (contracts/SPEC.md 18.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voisin.chain.connection import Chain
from voisin.chain.functions import events_by_topic
from voisin.chain.logs import decode_logs
from voisin.chain.node_values import RawLog
from voisin.chain.rpc import Json, NodeError
from voisin.errors import UnavailableError
from voisin.protocol.events import BagSettled, Logged, Rewarded, Seized, Transferred
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.units import NRLC, UnixSeconds

SPAN_BLOCKS: Final = 10_000
"""Blocks that are asked for at a time; a node that finds it too much is asked for fewer."""


@dataclass(frozen=True, slots=True)
class Payment:
    """
    Money that a deal brought a worker, or cost it.

    Attributes:
        deal_id: The deal.
        workerpool: The workerpool that organised it.
        task_id: The task; None for a deal that was settled as a bag.
        amount: How much [nRLC]; negative for a fine.
        paid_at: When [Unix s].
        tx_hash: The transaction.
    """

    deal_id: DealId
    workerpool: Address
    task_id: TaskId | None
    amount: NRLC
    paid_at: UnixSeconds
    tx_hash: Hash32


async def payments_of(chain: Chain, worker: Address, first_block: int) -> list[Payment]:
    """
    List what a worker was paid and fined, oldest first.

    Args:
        chain: The chain.
        worker: The worker's wallet.
        first_block: Where to begin.

    Raises:
        UnavailableError: The node does not answer, or not with logs.
    """
    own, settled = await _events(chain, worker, first_block)
    reader = _Reader(chain)
    found = []
    for logged in own:
        event = logged.event
        match event:
            case Rewarded(amount=amount, task_id=task_id) if amount:
                found.append(await reader.of_task(logged, task_id, amount))
            case Seized(amount=amount, task_id=task_id) if amount:
                found.append(await reader.of_task(logged, task_id, NRLC(-amount)))
            case Transferred(amount=amount) if amount and logged.tx_hash in settled:
                found.append(await reader.of_bag(logged, settled[logged.tx_hash], amount))
            case _:
                pass
    return found


class _Reader:
    """Completes events by what the hub knows of their deals; asks for each deal, task and block once."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._pools: dict[DealId, Address] = {}
        self._deals: dict[TaskId, DealId] = {}
        self._times: dict[int, UnixSeconds] = {}

    async def of_task(self, logged: Logged, task_id: TaskId, amount: NRLC) -> Payment:
        if task_id not in self._deals:
            self._deals[task_id] = (await self._chain.hub.task(task_id)).deal_id
        return await self._payment(logged, self._deals[task_id], task_id, amount)

    async def of_bag(self, logged: Logged, deal_id: DealId, amount: NRLC) -> Payment:
        return await self._payment(logged, deal_id, None, amount)

    async def _payment(self, logged: Logged, deal_id: DealId, task_id: TaskId | None, amount: NRLC) -> Payment:
        if deal_id not in self._pools:
            self._pools[deal_id] = (await self._chain.hub.deal(deal_id)).workerpool.pointer
        if logged.block not in self._times:
            self._times[logged.block] = await self._chain.block_time(logged.block)
        return Payment(deal_id, self._pools[deal_id], task_id, amount, self._times[logged.block], logged.tx_hash)


async def _events(chain: Chain, worker: Address, first_block: int) -> tuple[list[Logged], dict[Hash32, DealId]]:
    """Read the events that name a worker, and which deal each transaction settled as a bag."""
    word = f"0x{worker[2:].lower().rjust(64, '0')}"
    named: list[Json] = [[_topic("Reward"), _topic("Seize"), _topic("BagSettled")]]  # whom they name, nodes cannot search for
    moved: list[Json] = [[_topic("Transfer")], None, word]
    own: list[Logged] = []
    settled: dict[Hash32, DealId] = {}
    first, last, span = first_block, await chain.block_number(), SPAN_BLOCKS
    while first <= last:
        end = min(last, first + span - 1)
        try:
            found = [*await _logs(chain, named, first, end), *await _logs(chain, moved, first, end)]
        except NodeError as error:
            if end == first:
                raise UnavailableError(error.message) from None
            span = max(1, (end - first + 1) // 2)
            continue
        own += sorted((logged for logged in found if _is_of(logged, worker)), key=lambda logged: (logged.block, logged.log_index))
        settled |= {logged.tx_hash: logged.event.deal_id for logged in found if isinstance(logged.event, BagSettled)}
        first = end + 1
    return own, settled


def _is_of(logged: Logged, worker: Address) -> bool:
    match logged.event:
        case Rewarded(owner=owner) | Seized(owner=owner) | Transferred(recipient=owner):
            return owner == worker
        case _:
            return False


async def _logs(chain: Chain, topics: Sequence[Json], first: int, last: int) -> list[Logged]:
    asked: dict[str, Json] = {"fromBlock": hex(first), "toBlock": hex(last), "address": chain.hub_address, "topics": topics}
    (answer,) = await chain.rpc.ask([("eth_getLogs", (asked,))])
    return decode_logs(answer.read(tuple[RawLog, ...]), sources=(chain.hub_address,))


def _topic(name: str) -> str:
    topics = [topic for topic, entries in events_by_topic("Hub").items() if entries[0].name == name]
    return f"0x{topics[0].hex()}"
