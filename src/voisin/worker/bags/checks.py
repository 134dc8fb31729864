"""What a worker makes sure of before it works on a bag; as for other tasks, it believes the chain and not the pool."""

from __future__ import annotations

from typing import Final

from voisin.chain.bags import BagStatus
from voisin.errors import InputError, StateError, UnavailableError
from voisin.policy.taking import objection, offer_of
from voisin.protocol.bag_settlement import MAX_VOTES, window_of
from voisin.protocol.ids import Address, DealId
from voisin.protocol.records import Deal
from voisin.protocol.tags import as_tag, missing_bits
from voisin.protocol.wire import Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds
from voisin.worker.bags.words import BagTerms
from voisin.worker.checks import Terms, terms_of
from voisin.worker.ports import BagLedger, Ledger
from voisin.worker.refusal import RefusalError
from voisin.worker.settings import WorkerSettings

FINAL_DEADLINE: Final = 10
"""Reference times of its category that a deal has from its start to its end (poco-protocol.md 7)."""
CONTRIBUTION_DEADLINE: Final = 7
SPARE_VOTES: Final = 3
"""Workers beyond the fewest that a deal's trust needs, among whom its pool may still share a task's price."""


async def check_bag(
    deal_id: DealId, ledger: Ledger, chain: BagLedger, settings: WorkerSettings, takes: Takes, *, workerpool: Address
) -> tuple[BagTerms, Terms]:
    """
    Find out from the chain whether a deal is settled as a bag, open, its pool's, and worth it.

    Args:
        deal_id: The deal.
        ledger: The chain.
        chain: The chain's part for bags.
        settings: What this worker can do.
        takes: What its owner wants it to do.
        workerpool: The workerpool that it joined.

    Returns:
        What the worker needs to know for its money, and for its work.

    Raises:
        RefusalError: It is not; says why.
    """
    try:
        deal = await ledger.deal(deal_id)
        window_s = _check_window(deal, settings.bag_window_s)
        if deal.workerpool.pointer != workerpool:
            raise RefusalError(MachineFailure.CHAIN_REFUSED, f"the deal belongs to workerpool {deal.workerpool.pointer}, not {workerpool}")
        missing = missing_bits(deal.tag, as_tag(settings.tag))
        if missing:
            raise RefusalError(MachineFailure.NO_RESOURCES, f"the tasks need {', '.join(missing)}, which this worker does not have")
        since_block, time_ref_s = await chain.block(), await chain.category_s(deal.category)
        if (await chain.bag_state(deal_id)).status is not BagStatus.NONE:
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, "the deal's bag is posted already")
        deadlines = _deadline(deal, CONTRIBUTION_DEADLINE, time_ref_s), _deadline(deal, FINAL_DEADLINE, time_ref_s)
        left_s = deadlines[1] - await ledger.now()
        if left_s <= settings.margin_s:
            detail = f"the deal ends in {max(left_s, 0)} s, and {settings.margin_s:g} s are wanted at least"
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, detail)
        app = await ledger.app(deal.app.pointer)
        if problem := objection(takes, offer_of(deal, time_ref_s, app.checksum)):
            raise RefusalError(MachineFailure.NOT_WANTED, problem)
        terms = terms_of(deal, app, settings, takes, time_ref_s=time_ref_s, deadlines=deadlines)
    except StateError as error:
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, error.message) from None
    except UnavailableError as error:
        raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
    money = BagTerms(
        deal_id=deal_id,
        app=deal.app.pointer,
        scheduler=deal.workerpool.owner,
        first_index=deal.bot_first,
        volume=deal.bot_size,
        least_share=least_share(deal),
        window_s=window_s,
        final_deadline=deadlines[1],
        since_block=since_block,
    )
    return money, terms


def least_share(deal: Deal) -> NRLC:
    """
    Say what a result earns a worker at least [nRLC], before anybody knows how many agree on it.

    The scheduler shares the workers' part of the price among those who agree; it may ask a few more than the trust needs.
    """
    fewest = next(count for count in range(1, MAX_VOTES + 1) if count == MAX_VOTES or (1 << count) > deal.trust - 1)
    most = min(MAX_VOTES, fewest + SPARE_VOTES)
    return NRLC(deal.workerpool.price * (100 - deal.scheduler_reward_ratio) // (100 * most))


def _check_window(deal: Deal, least_s: int) -> int:
    try:
        window_s = window_of(deal.params, deal.tag)
    except InputError as error:
        raise RefusalError(MachineFailure.CHAIN_REFUSED, error.message) from None
    if window_s is None:
        raise RefusalError(MachineFailure.CHAIN_REFUSED, "the deal is not settled as a bag")
    if window_s < least_s:
        detail = f"the bag could be challenged for {window_s} s, and this worker wants {least_s} s at least"
        raise RefusalError(MachineFailure.NO_RESOURCES, detail, hint="lower bag_window_s, if the worker is never away for long")
    return window_s


def _deadline(deal: Deal, times: int, time_ref_s: int) -> UnixSeconds:
    return UnixSeconds(deal.start_time + times * time_ref_s)
