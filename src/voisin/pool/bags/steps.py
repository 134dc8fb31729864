"""Carrying the pool's steps for bags to the chain, each so that doing it twice does no harm; what fails goes back with its reason."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog
from anyio import to_thread
from anyio.abc import TaskGroup

from voisin.chain.bags import show
from voisin.errors import StateError, TrustError, VoisinError
from voisin.pool.bags.archives import cid_at
from voisin.pool.bags.commands import AnswerDemand, BagChainStep, GiveBackBag, PostBag, ProveResults, SettleBag
from voisin.pool.bags.facts import BagFact, BagStep, BagStepFailed, Posted, Proven
from voisin.pool.bags.leaves import Closing, closing_of
from voisin.pool.bags.ledger import BagLedger
from voisin.pool.bags.records import BagRecord
from voisin.pool.bags.store import BagStore
from voisin.pool.running.uploads import ResultStore
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.events import BagSettled, LeafAnswered
from voisin.protocol.ids import DealId, from_hex, task_id

KEPT = 4
"""Bags whose leaves are kept in memory for a while, because more than one of them may be asked for."""

_log = structlog.get_logger()


class BagSteps:
    """Sends steps; what came of them is told before the chain's events tell it again."""

    def __init__(self, ledger: BagLedger, store: BagStore, results: ResultStore, tell: Callable[..., None]) -> None:
        """
        Args:
            ledger: The chain.
            store: The records, of which leaves are made.
            results: Where files of leaves go.
            tell: Takes facts.
        """
        self._ledger = ledger
        self._store = store
        self._results = results
        self._tell: Callable[[BagFact], None] = tell
        self._closings: OrderedDict[DealId, Closing] = OrderedDict()

    def start(self, command: BagChainStep, tasks: TaskGroup) -> None:
        """Begin a step."""
        match command:
            case PostBag():
                tasks.start_soon(self._try, BagStep.POST, command.deal_id, None, self._post, command.deal_id)
            case GiveBackBag():
                tasks.start_soon(self._try, BagStep.GIVE_BACK, command.deal_id, None, self._give_back, command.deal_id)
            case AnswerDemand():
                deal, index = command.bag.deal_id, command.index
                tasks.start_soon(self._try, BagStep.ANSWER, deal, index, self._answer, command.bag, index)
            case SettleBag():
                tasks.start_soon(self._try, BagStep.SETTLE, command.bag.deal_id, None, self._settle, command.bag)
            case ProveResults():
                for index in command.indexes:
                    deal = command.bag.deal_id
                    tasks.start_soon(self._try, BagStep.PROVE, deal, index, self._prove, command.bag, index)

    async def _try(self, step: BagStep, deal: DealId, index: int | None, carry_out: Callable[..., Awaitable[None]], *given: object) -> None:
        try:
            await carry_out(*given)
        except VoisinError as error:
            _log.warning("bag_step_refused", step=step.value, deal_id=deal, index=index, reason=error.message)
            self._tell(BagStepFailed(step, deal, str(error), index))
        else:
            _log.info("bag_step_done", step=step.value, deal_id=deal, index=index)

    async def _post(self, deal: DealId) -> None:
        record, closing = await self._record(deal), await self._closing(deal)
        stored = await self._results.store(closing.file)
        if stored != cid_at(closing.location):
            raise TrustError("the storage stored the file of leaves under another name", hint="use another storage")
        self._tell(Posted(await self._ledger.post(record.terms, closing)))

    async def _give_back(self, deal: DealId) -> None:
        self._tell(Posted(await self._ledger.give_back((await self._record(deal)).terms)))

    async def _answer(self, bag: PostedBag, index: int) -> None:
        record, closing = await self._record(bag.deal_id), await self._closing(bag.deal_id)
        shown = show(closing.leaves, closing.tree, index - record.first)
        signatures = {vote.worker: vote.signature for vote in await self._store.votes(bag.deal_id, index)}
        missing = [worker for worker in shown.leaf.agreed if worker not in signatures]
        if missing:
            raise StateError(f"the records lack what {missing[0]} signed of task {index}")
        await self._ledger.answer(bag, shown, [signatures[worker] for worker in shown.leaf.agreed])
        self._tell(LeafAnswered(bag.deal_id, index))

    async def _settle(self, bag: PostedBag) -> None:
        await self._ledger.settle(bag)
        self._tell(BagSettled(bag.deal_id, bag.done))

    async def _prove(self, bag: PostedBag, index: int) -> None:
        record = await self._record(bag.deal_id)
        if not await self._ledger.is_proven(bag.deal_id, index):
            closing = await self._closing(bag.deal_id)
            shown = show(closing.leaves, closing.tree, index - record.first)
            found = await self._store.ended_task(task_id(bag.deal_id, index))
            await self._ledger.prove(bag, shown, from_hex(found[1].callback_data or "0x") if found else b"")
        self._tell(Proven(bag.deal_id, index))

    async def _record(self, deal: DealId) -> BagRecord:
        record = await self._store.record(deal)
        if record is None:
            raise StateError(f"the records have no deal {deal}")
        return record

    async def _closing(self, deal: DealId) -> Closing:
        """Make what is posted of a bag; its records do not change any more."""
        found = self._closings.get(deal)
        if found is None:
            record, ended, earned = await self._record(deal), await self._store.ended(deal), await self._store.earned(deal)
            found = await to_thread.run_sync(closing_of, record, ended, earned)
            self._closings[deal] = found
            while len(self._closings) > KEPT:
                self._closings.popitem(last=False)
        return found
