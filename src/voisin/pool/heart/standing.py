"""
What the pool knows of its workers, as the trust policy wants it: what the chain and others have confirmed, and what they would lose.

Classic tasks and bags ask here alike. On the chain a classic task is decided by the contribution that makes the trust full, whatever the
pool thinks: what is left to it there is whom it lets decide alone. A bag's results are the pool's to believe.
"""

from __future__ import annotations

from voisin.policy.trust import Standing, TrustTerms, is_new
from voisin.pool.heart.book import WorkerState
from voisin.pool.settings import PoolSettings
from voisin.units import NRLC


def terms_of(settings: PoolSettings) -> TrustTerms:
    """Say how careful a pool is."""
    return TrustTerms(probation=settings.probation, floor_ppm=settings.audit_floor_ppm)


def standing_of(worker: WorkerState, unsettled: NRLC = NRLC(0)) -> Standing:
    """
    Say what the pool knows of a worker.

    Args:
        worker: The worker; its score counts what was confirmed on the chain, here or elsewhere.
        unsettled: What it would be paid for results that are not paid yet [nRLC].
    """
    confirmed = worker.record.score + worker.confirmed
    return Standing(confirmed=confirmed, faults=worker.record.faulty, unsettled=unsettled, free_stake=worker.stake)


def known_first(settings: PoolSettings, workers: list[WorkerState]) -> list[WorkerState]:
    """Order workers by whether they are known: those that are before those that are new, each as they were."""
    terms = terms_of(settings)
    return sorted(workers, key=lambda worker: is_new(terms, standing_of(worker)))
