"""Asking the chain: what must be known to judge an order, and to record a stretch of events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from voisin.market.admission import OrderFacts
from voisin.market.following import Answers, Questions
from voisin.market.ledger import Ledger
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash
from voisin.protocol.orders import Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind, resource_of
from voisin.units import NRLC

PARALLEL_ASKS = 8
"""Questions to the chain under way at a time."""

KeyT = TypeVar("KeyT", bound=str | int)
ValueT = TypeVar("ValueT")


async def facts_of(ledger: Ledger, order_hash: OrderHash, order: Order) -> OrderFacts:
    """Ask what the chain says about an order."""
    owner = resource_of(order)
    missing = await _missing_entry(ledger, order)
    if missing:
        return OrderFacts(missing=missing, owner=owner, is_signed=False, has_category=False, consumed=0, stake=NRLC(0))
    if not isinstance(order, RequestOrder):
        owner = await ledger.owner_of(owner)
    has_category = not isinstance(order, RequestOrder | WorkerpoolOrder) or await ledger.has_category(order.category)
    return OrderFacts(
        owner=owner,
        is_signed=await _is_signed(ledger, order_hash, order, owner),
        has_category=has_category,
        consumed=await ledger.consumed(order_hash),
        stake=await ledger.stake_of(owner),
    )


async def answers_to(ledger: Ledger, questions: Questions) -> Answers:
    """Ask all that a stretch of events makes it necessary to know, some questions at a time."""
    answers = Answers()
    limit = anyio.CapacityLimiter(PARALLEL_ASKS)
    async with anyio.create_task_group() as asking:
        _ask_each(asking, limit, questions.orders, ledger.consumed, answers.consumed)
        _ask_each(asking, limit, questions.entries, ledger.owner_of, answers.owners)
        _ask_each(asking, limit, questions.accounts, ledger.stake_of, answers.stakes)
        _ask_each(asking, limit, questions.deals, ledger.deal, answers.deals)
        _ask_each(asking, limit, questions.tasks, ledger.task, answers.tasks)
        _ask_each(asking, limit, questions.blocks, ledger.block_time, answers.times)
    return answers


def _ask_each(
    asking: anyio.abc.TaskGroup,
    limit: anyio.CapacityLimiter,
    keys: Iterable[KeyT],
    ask: Callable[[KeyT], Awaitable[ValueT]],
    into: dict[KeyT, ValueT],
) -> None:
    async def ask_one(key: KeyT) -> None:
        async with limit:
            into[key] = await ask(key)

    for key in keys:
        asking.start_soon(ask_one, key)


async def _missing_entry(ledger: Ledger, order: Order) -> str:
    """Name the first entry of an order that is in no registry; empty when there is none."""
    if isinstance(order, RequestOrder):
        named = [(OrderKind.APP, order.app)]
        named += [(OrderKind.DATASET, order.dataset)] if order.dataset != ZERO_ADDRESS else []
    else:
        named = [(order_kind(order), resource_of(order))]
    for kind, entry in named:
        if not await ledger.is_registered(kind, entry):
            return f"{kind} {entry}"
    return ""


async def _is_signed(ledger: Ledger, order_hash: OrderHash, order: Order, owner: Address) -> bool:
    """Tell whether an order is authentic: presigned on the chain by its owner, or signed by key or contract."""
    if await ledger.presigner(order_hash) == owner:
        return True
    return await ledger.is_signed_by(owner, Hash32(order_hash), order.sign)
