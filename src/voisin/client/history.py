"""The past of a deal, read from the chain: its first block, its events, the transactions that logged them, its invoice."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from voisin.chain import Chain, events_of
from voisin.chain.bags import posted_bag, settles_bags
from voisin.client.bags.invoice import build_bag_invoice
from voisin.client.bags.leaves import fetch_leaves
from voisin.client.bags.story import BagStory, deal_window
from voisin.client.invoice import UNKNOWN_ENCLAVE, Invoice, MinedTransaction, build_invoice, concerns
from voisin.client.services import OrderBook
from voisin.errors import VoisinError
from voisin.protocol.bag_settlement import Leaf, PostedBag
from voisin.protocol.events import BagClaimed, BagPosted, BagSettled, BagSlashed, Logged, TaskClaimed, TaskFinalized
from voisin.protocol.ids import ZERO_HASH, DealId, Hash32, TaskId, as_address, task_id
from voisin.protocol.records import Deal
from voisin.protocol.tags import is_simulated
from voisin.storage import StorageClient
from voisin.units import UnixSeconds, Wei

SPAN = 5_000
_ENDS_OF_BAGS = (BagSettled, BagSlashed, BagClaimed)


class _Header(msgspec.Struct, frozen=True):
    """The part of a block that is asked for here."""

    timestamp: str


class _RawReceipt(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a receipt that is asked for here."""

    sender: str = msgspec.field(name="from")
    gas_used: str
    effective_gas_price: str


async def block_at(chain: Chain, moment: UnixSeconds) -> int:
    """
    Find the first block that is not older than a moment.

    Args:
        chain: The chain.
        moment: The time of a block [Unix s].
    """
    low, high = 0, await chain.block_number()
    while low < high:
        middle = (low + high) // 2
        if await _time_of(chain, middle) < moment:
            low = middle + 1
        else:
            high = middle
    return low


async def deal_events(chain: Chain, deal_id: DealId, deal: Deal, *, first_block: int | None = None) -> list[Logged]:
    """
    Collect the hub's events since a deal was matched, until all its tasks are over or the chain ends.

    Args:
        chain: The chain.
        deal_id: The deal's id.
        deal: The deal.
        first_block: Block of the match; searched for by time when it is not known.
    """
    ids = task_ids(deal_id, deal)
    start = first_block if first_block is not None else await block_at(chain, deal.start_time)
    last = await chain.block_number()
    found: list[Logged] = []
    is_open = set(ids)
    for first in range(start, last + 1, SPAN):
        span = await events_of(chain, first, min(first + SPAN - 1, last), height=last)
        found += span
        is_open -= {logged.event.task_id for logged in span if isinstance(logged.event, TaskFinalized | TaskClaimed)}
        if not is_open or any(isinstance(logged.event, _ENDS_OF_BAGS) and logged.event.deal_id == deal_id for logged in span):
            break
    return found


async def deal_invoice(chain: Chain, storage: StorageClient, deal_id: DealId, *, first_block: int | None = None) -> Invoice:
    """
    Write a deal's invoice from the chain, and the leaves of a bag.

    Args:
        chain: The chain.
        storage: Where leaves lie.
        deal_id: The deal's id.
        first_block: Block of the match, when it is known.

    Raises:
        StateError: There is no such deal.
        TrustError: The sums do not add up.
    """
    deal = await chain.hub.deal(deal_id)
    logs = await deal_events(chain, deal_id, deal, first_block=first_block)
    ids = task_ids(deal_id, deal)
    ours = dict.fromkeys(logged.tx_hash for logged in logs if concerns(logged.event, deal_id, ids))
    mined = await mined_transactions(chain, list(ours))
    window_s = deal_window(deal)
    if window_s is None or not await settles_bags(chain.rpc, chain.hub_address):
        return build_invoice(deal_id, deal, logs, mined)
    story = BagStory(deal_id, window_s)
    posted = [logged.event for logged in logs if isinstance(logged.event, BagPosted) and logged.event.deal_id == deal_id]
    leaves = await _leaves(storage, posted_bag(posted[0], window_s)) if posted else None
    return build_bag_invoice(story, deal, logs, mined, leaves)


async def _leaves(storage: StorageClient, bag: PostedBag) -> Sequence[Leaf] | None:
    if bag.root == ZERO_HASH:
        return None
    try:
        return await fetch_leaves(storage, bag)
    except VoisinError:
        return None


async def with_enclave(book: OrderBook, invoice: Invoice) -> Invoice:
    """Say in an invoice what kind of enclave the workerpool's order promised, if the deal asked for one and the market knows the order."""
    if invoice.enclave != UNKNOWN_ENCLAVE:
        return invoice
    try:
        order = (await book.find((await book.deal(invoice.deal_id)).workerpool_order)).order
    except VoisinError:
        return invoice
    return replace(invoice, enclave="simulated" if is_simulated(order.tag) else "hardware")


def task_ids(deal_id: DealId, deal: Deal) -> dict[TaskId, int]:
    """Name a deal's tasks, with the index of each."""
    return {task_id(deal_id, index): index for index in range(deal.bot_first, deal.bot_first + deal.bot_size)}


async def mined_transactions(chain: Chain, hashes: Sequence[Hash32]) -> dict[Hash32, MinedTransaction]:
    """Fetch who sent transactions, and their gas."""
    answers = await chain.rpc.ask([("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes])
    return {tx_hash: _mined(tx_hash, answer.read(_RawReceipt)) for tx_hash, answer in zip(hashes, answers, strict=True)}


def _mined(tx_hash: Hash32, raw: _RawReceipt) -> MinedTransaction:
    return MinedTransaction(
        tx_hash=tx_hash,
        sender=as_address(raw.sender),
        gas_used=int(raw.gas_used, 16),
        gas_price=Wei(int(raw.effective_gas_price, 16)),
    )


async def _time_of(chain: Chain, block: int) -> UnixSeconds:
    header = await chain.rpc.fetch(_Header, "eth_getBlockByNumber", hex(block), False)
    return UnixSeconds(int(header.timestamp, 16))
