"""
Asking the chain: what must be known to judge orders, and to record a stretch of events.

Many orders are asked about in few requests. What is known already of owners, money and accounts is not asked again
(`voisin.market.recall`), and how much of an order is used up is not asked where the records tell that nothing is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import anyio
import anyio.lowlevel

from voisin.market.admission import OrderFacts
from voisin.market.following import Answers, Questions
from voisin.market.ledger import Ledger
from voisin.market.recall import Known
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, from_hex
from voisin.protocol.orders import Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind, resource_of
from voisin.protocol.signatures import signed_by
from voisin.units import NRLC

PARALLEL_ASKS = 8
"""Questions to the chain under way at a time."""

AT_A_STRETCH = 8
"""Signatures that are recovered without giving others a turn."""

KeyT = TypeVar("KeyT", bound=str | int)
ValueT = TypeVar("ValueT")
Named = tuple[OrderHash, Order]
"""An order and its hash."""


async def facts_of(ledger: Ledger, order_hash: OrderHash, order: Order) -> OrderFacts:
    """Ask what the chain says about an order."""
    (facts,), _ = await facts_of_all(ledger, [(order_hash, order)], Known())
    return await with_any_signature(ledger, order_hash, order, facts)


async def with_any_signature(ledger: Ledger, order_hash: OrderHash, order: Order, facts: OrderFacts) -> OrderFacts:
    """Complete the facts about an order that no key signed: it may be presigned on the chain, or signed by a contract."""
    if facts.missing or facts.is_signed:
        return facts
    is_presigned = await ledger.presigner(order_hash) == facts.owner
    return replace(facts, is_signed=is_presigned or await ledger.is_signed_by(facts.owner, Hash32(order_hash), order.sign))


async def facts_of_all(
    ledger: Ledger, orders: Sequence[Named], known: Known, unused: Collection[OrderHash] = ()
) -> tuple[list[OrderFacts], Known]:
    """
    Ask what the chain says about orders.

    Args:
        ledger: The chain.
        orders: The orders.
        known: What need not be asked.
        unused: Orders of which nothing is used, as is known otherwise.

    Returns:
        The facts of each order, and what was needed of owners and money for them. Signed is here what a key signed: the code of
        contracts is run for nobody but who waits for it (`with_any_signature`).
    """
    needed = await _owners(ledger, orders, known)
    missing = [_missing_entry(order, needed) for _, order in orders]
    found = [named for named, entry in zip(orders, missing, strict=True) if not entry]
    signers = {name: _signer(order, needed) for name, order in found}
    await _add_stakes(ledger, signers.values(), known, needed)
    if any(_category(order) >= known.categories for _, order in found):
        needed.categories = await ledger.count_categories()
    doubtful = [name for name in signers if name not in unused]
    used = dict(zip(doubtful, await ledger.consumed(doubtful) if doubtful else (), strict=True))
    await _add_codeless(ledger, signers.values(), known, needed)
    signed = await _signed([named for named in found if signers[named[0]] in needed.codeless], signers)
    categories = max(known.categories, needed.categories)
    facts = [
        OrderFacts(missing=entry, owner=resource_of(order), is_signed=False, has_category=False, consumed=0, stake=NRLC(0))
        if entry
        else OrderFacts(
            owner=signers[name],
            is_signed=name in signed,
            has_category=_category(order) < categories,
            consumed=used.get(name, 0),
            stake=needed.stakes[signers[name]],
        )
        for (name, order), entry in zip(orders, missing, strict=True)
    ]
    return facts, needed


async def answers_to(ledger: Ledger, questions: Questions) -> Answers:
    """Ask all that a stretch of events makes it necessary to know, some questions at a time."""
    answers = Answers()
    orders, accounts = list(questions.orders), list(questions.accounts)
    if orders:
        answers.consumed.update(zip(orders, await ledger.consumed(orders), strict=True))
    if accounts:
        answers.stakes.update(zip(accounts, await ledger.stakes_of(accounts), strict=True))
    limit = anyio.CapacityLimiter(PARALLEL_ASKS)
    async with anyio.create_task_group() as asking:
        _ask_each(asking, limit, questions.entries, ledger.owner_of, answers.owners)
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


async def _owners(ledger: Ledger, orders: Iterable[Named], known: Known) -> Known:
    """Find the owners of all entries that orders name."""
    named = dict.fromkeys(entry for _, order in orders for entry in _entries(order))
    needed = Known(owners={entry: known.owners[entry] for entry in named if entry in known.owners})
    asked = [entry for entry in named if entry not in needed.owners]
    if asked:
        answers = zip(asked, await ledger.owners_of(asked), strict=True)
        needed.owners.update((entry, owner) for entry, owner in answers if owner is not None)
    return needed


async def _add_stakes(ledger: Ledger, accounts: Iterable[Address], known: Known, needed: Known) -> None:
    needed.stakes = {account: known.stakes[account] for account in accounts if account in known.stakes}
    asked = [account for account in dict.fromkeys(accounts) if account not in needed.stakes]
    if asked:
        needed.stakes.update(zip(asked, await ledger.stakes_of(asked), strict=True))


async def _add_codeless(ledger: Ledger, accounts: Iterable[Address], known: Known, needed: Known) -> None:
    named = set(accounts)
    needed.codeless = named & known.codeless
    asked = sorted(named - needed.codeless)
    if asked:
        needed.codeless |= {account for account, has_code in zip(asked, await ledger.have_code(asked), strict=True) if not has_code}


async def _signed(orders: Sequence[Named], signers: Mapping[OrderHash, Address]) -> set[OrderHash]:
    """Tell which orders their signers' keys signed; others have their turn in between, for each takes a tenth of a millisecond."""
    signed = set()
    for number, (name, order) in enumerate(orders, 1):
        if signed_by(signers[name], from_hex(name), order.sign):
            signed.add(name)
        if number % AT_A_STRETCH == 0:
            await anyio.lowlevel.checkpoint()
    return signed


def _entries(order: Order) -> list[tuple[OrderKind, Address]]:
    """Name the entries that must be registered for an order, with their kinds."""
    if not isinstance(order, RequestOrder):
        return [(order_kind(order), resource_of(order))]
    dataset = [(OrderKind.DATASET, order.dataset)] if order.dataset != ZERO_ADDRESS else []
    return [(OrderKind.APP, order.app), *dataset]


def _missing_entry(order: Order, needed: Known) -> str:
    """Name the first entry of an order that is in no registry; empty when there is none."""
    return next((f"{kind} {entry}" for kind, entry in _entries(order) if (kind, entry) not in needed.owners), "")


def _signer(order: Order, needed: Known) -> Address:
    """Name who must have signed an order."""
    return order.requester if isinstance(order, RequestOrder) else needed.owners[order_kind(order), resource_of(order)]


def _category(order: Order) -> int:
    """Number an order's category; one that is below any count for an order without."""
    return order.category if isinstance(order, RequestOrder | WorkerpoolOrder) else -1
