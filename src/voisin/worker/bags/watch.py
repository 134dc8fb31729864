"""
Looking after a worker's money while a bag is posted: the file of leaves is read, what is wrong is proven, what is withheld is demanded.

It holds nothing that a restart could lose: everything follows from the chain and from the worker's files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
import structlog

from voisin.chain.bags import BagState, BagStatus, SignedReceipt
from voisin.errors import FundsError, InputError, RevertError, StateError, TrustError, UnavailableError
from voisin.policy.guarding import Window
from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.bag_settlement import Leaf, PostedBag
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import Address, DealId, from_hex
from voisin.units import NRLC, UnixSeconds
from voisin.worker.bags.guard import covers, find_contradiction, find_underpayment, has_leaves, paid_to
from voisin.worker.bags.store import BagStore, GroupCommit, keep_demand
from voisin.worker.bags.words import BagTerms, Kept
from voisin.worker.ports import BagLedger, Storage

MAX_LEAVES_BYTES: Final = 64 << 20
LEAST_FETCH_S: Final = 1.0
"""The file of leaves may take a quarter of the window to come, but at least this [s]."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class End:
    """How a deal ended: what it pays this worker [nRLC], and in a word how."""

    how: str
    amount: NRLC = NRLC(0)


@dataclass
class _Watched:
    bag: PostedBag
    is_read: bool = False
    demanded: UnixSeconds | None = None
    demands: int = 0


class Guard:
    """
    Looks after the bags that a worker has a part in.

    Args:
        chain: The chain's part for bags.
        now: Tells the chain's time [Unix s].
        store: The worker's records of bags.
        commit: Writes to them.
        worker: The worker.
        storage: Opens the storage in which the leaves lie.
    """

    def __init__(
        self,
        chain: BagLedger,
        now: Callable[[], Awaitable[UnixSeconds]],
        *,
        store: BagStore,
        commit: GroupCommit,
        worker: Address,
        storage: Callable[[], Awaitable[Storage]],
    ) -> None:
        self._chain = chain
        self._now = now
        self._store = store
        self._commit = commit
        self._worker = worker
        self._storage = storage
        self._watched: dict[DealId, _Watched] = {}

    def forget(self, deal_id: DealId) -> None:
        """Forget a deal that is over."""
        self._watched.pop(deal_id, None)

    async def look(self, terms: BagTerms) -> BagStatus | End:
        """
        See how far a deal is, and do what is to be done about it now.

        Args:
            terms: The deal.

        Returns:
            Where its bag stands, or how the deal ended.

        Raises:
            UnavailableError: The chain does not answer.
        """
        state = await self._chain.bag_state(terms.deal_id)
        match state.status:
            case BagStatus.NONE:
                is_over = await self._now() >= terms.final_deadline
                return End("not settled") if is_over else state.status
            case BagStatus.POSTED:
                await self._guard(terms, state)
                return state.status
            case BagStatus.SETTLED:
                bag = await self._bag(terms)
                await self._get_bonds_back(terms)
                return End("settled", paid_to(bag, self._worker) if bag is not None else NRLC(0))
            case _:
                await self._get_bonds_back(terms)
                return End("refunded")

    async def _bag(self, terms: BagTerms) -> PostedBag | None:
        watched = self._watched.get(terms.deal_id)
        if watched is not None:
            return watched.bag
        return await self._chain.posted_bag(terms.deal_id, window_s=terms.window_s, since_block=terms.since_block)

    async def _guard(self, terms: BagTerms, state: BagState) -> None:
        bag = await self._bag(terms)
        if bag is None or not state.is_of(bag):
            log.warning("posted_bag_not_found", deal_id=terms.deal_id)
            return
        watched = self._watched.setdefault(terms.deal_id, _Watched(bag))
        try:
            await self._act(terms, watched, state.demands)
        except (RevertError, StateError) as error:
            log.info("bag_act_refused", deal_id=terms.deal_id, reason=error.message)  # somebody was quicker: the next look shows it
        except FundsError as error:
            log.error("bag_not_defended", deal_id=terms.deal_id, reason=error.message)

    async def _act(self, terms: BagTerms, watched: _Watched, demands: int) -> None:
        bag = watched.bag
        statement = await anyio.to_thread.run_sync(self._store.statement, terms.deal_id)
        underpaid = find_underpayment(bag, statement, self._worker)
        if underpaid is not None:
            log.warning("bag_underpays", deal_id=terms.deal_id, owed=underpaid.statement.amount, paid=paid_to(bag, self._worker))
            await self._chain.prove_underpayment(bag, underpaid.statement.amount, underpaid.statement.signature)
            return
        if has_leaves(bag) and not watched.is_read:
            await self._read(terms, watched)
        is_late = await self._now() >= Window(bag.posted, bag.deadline).settle_from
        if is_late and not demands and paid_to(bag, self._worker):
            await self._chain.settle_bag(bag)

    async def _read(self, terms: BagTerms, watched: _Watched) -> None:
        """Hold the leaves against the receipts; demand one if they are not there."""
        leaves = await self._leaves(terms, watched.bag)
        if leaves is None:
            await self._demand(terms, watched)
            return
        after = terms.first_index - 1
        while results := await anyio.to_thread.run_sync(self._store.page, terms.deal_id, after):
            wrong = await anyio.to_thread.run_sync(find_contradiction, leaves, results, terms, self._worker)
            if wrong is not None:
                log.warning("bag_contradicts_receipt", deal_id=terms.deal_id, index=wrong.shown.leaf.index)
                await self._chain.prove_contradiction(watched.bag, wrong.shown, wrong.receipt)
                return
            after = results[-1].index
        watched.is_read = True

    async def _leaves(self, terms: BagTerms, bag: PostedBag) -> tuple[Leaf, ...] | None:
        try:
            with anyio.fail_after(max(terms.window_s / 4, LEAST_FETCH_S)):
                data = await (await self._storage()).get_bytes(cid_from_digest(from_hex(bag.leaves)), max_bytes=MAX_LEAVES_BYTES)
            leaves = await anyio.to_thread.run_sync(decode_leaves, data, terms.deal_id, bag.root)
        except TimeoutError:
            log.info("leaves_not_there", deal_id=terms.deal_id, reason="the storage does not answer")
            return None
        except (UnavailableError, InputError, TrustError, StateError) as error:
            log.info("leaves_not_there", deal_id=terms.deal_id, reason=error.message)
            return None
        return leaves if covers(leaves, terms) else None

    async def _demand(self, terms: BagTerms, watched: _Watched) -> None:
        """Demand a leaf once half of the window has passed, wait for it as long as the hub allows, and end the bag if it does not come."""
        bag, now = watched.bag, await self._now()
        demanded = await anyio.to_thread.run_sync(self._store.demands, terms.deal_id)
        if demanded and watched.demanded is None and not watched.demands:
            watched.demanded = now  # before a restart
        if watched.demanded is not None:
            if now < watched.demanded + terms.window_s:
                return
            for index in demanded:
                await self._expire(bag, index)
            watched.demanded = None
            return
        if not Window(bag.posted, bag.deadline).may_demand(now, watched.demands):
            return
        kept = await self._next_receipt(terms)
        if kept is None:
            return
        await self._commit.write(keep_demand(terms.deal_id, kept.index))
        watched.demands += 1
        await self._chain.demand_leaf(bag, kept.index, SignedReceipt(self._worker, kept.said, kept.receipt))
        watched.demanded = await self._now()
        log.warning("leaf_demanded", deal_id=terms.deal_id, index=kept.index)

    async def _expire(self, bag: PostedBag, index: int) -> None:
        try:
            await self._chain.expire_demand(bag, index)
        except RevertError as error:
            log.info("demand_not_expired", deal_id=bag.deal_id, index=index, reason=error.message)  # it was answered

    async def _next_receipt(self, terms: BagTerms) -> Kept | None:
        """Find a result with a receipt whose leaf was not demanded yet."""
        demanded = set(await anyio.to_thread.run_sync(self._store.demands, terms.deal_id))
        after = terms.first_index - 1
        while results := await anyio.to_thread.run_sync(self._store.page, terms.deal_id, after):
            for kept in results:
                if kept.receipt and kept.index not in demanded:
                    return kept
            after = results[-1].index
        return None

    async def _get_bonds_back(self, terms: BagTerms) -> None:
        for index in await anyio.to_thread.run_sync(self._store.demands, terms.deal_id):
            try:
                await self._chain.release_demand(terms.deal_id, index)
            except (RevertError, StateError, FundsError) as error:
                log.info("no_bond_to_release", deal_id=terms.deal_id, index=index, reason=error.message)
