"""A pool's figures, for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voisin.pool.heart.book import Book
from voisin.pool.heart.records import Phase

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is shown of a scheduler's place among others and of its money: `states` by name, `money` by kind [nRLC], `fees` [wei]."""

    deals: int
    bags: int
    lease_left_s: float
    schedulers: int
    states: dict[str, bool]
    money: dict[str, int]
    fees: int


class PoolMetrics:
    """
    What a pool counts. Each pool has its own registry, so several may run in one process.

    Attributes:
        deals: Deals found.
        ended: Tasks that came to an end, by phase.
        steps: Steps sent to the chain, by step and what came of them.
        uploads: Uploads looked at, by whether they were good.
        next_block: First block that is not taken in yet.
        task_s: Time from a deal's start to the completion of each of its tasks [s].
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.deals = Counter("voisin_pool_deals", "Deals found", registry=self._registry)
        self.ended = Counter("voisin_pool_tasks_ended", "Tasks that came to an end", ["phase"], registry=self._registry)
        self.steps = Counter("voisin_pool_steps", "Steps sent to the chain", ["step", "outcome"], registry=self._registry)
        self.uploads = Counter("voisin_pool_uploads", "Uploads looked at", ["outcome"], registry=self._registry)
        self.next_block = Gauge("voisin_pool_next_block", "First block that is not taken in yet", registry=self._registry)
        self.task_s = Histogram(
            "voisin_pool_task_seconds", "Time from deal to completion of a task", buckets=_SECONDS, registry=self._registry
        )
        self._open = Gauge("voisin_pool_open_tasks", "Tasks not at an end", ["phase"], registry=self._registry)
        self._workers = Gauge("voisin_pool_workers_online", "Connected workers", registry=self._registry)
        self._slots = Gauge("voisin_pool_slots", "Slots of connected workers", ["state"], registry=self._registry)
        self._oldest = Gauge("voisin_pool_oldest_task_seconds", "Age of the oldest task of a phase", ["phase"], registry=self._registry)
        self._held = Gauge("voisin_pool_deals_held", "Deals that this scheduler works on", ["kind"], registry=self._registry)
        self._lease = Gauge("voisin_pool_lease_seconds", "Time that the scheduler's lease still lasts", registry=self._registry)
        self._peers = Gauge("voisin_pool_schedulers", "Living schedulers of the pool", registry=self._registry)
        self._states = Gauge("voisin_pool_state", "1 where a scheduler is in a state", ["state"], registry=self._registry)
        self._money = Gauge("voisin_pool_money_nrlc", "Money of the pool in the hub", ["kind"], registry=self._registry)
        self._fees = Gauge("voisin_pool_fees_wei", "Paid by this process for transactions", registry=self._registry)

    def place(self, figures: Figures) -> None:
        """Take in what is known of the scheduler's place among others, and of its money."""
        self._held.labels("bag").set(figures.bags)
        self._held.labels("task by task").set(figures.deals - figures.bags)
        self._lease.set(figures.lease_left_s)
        self._peers.set(figures.schedulers)
        for state, is_so in figures.states.items():
            self._states.labels(state).set(is_so)
        for kind, amount in figures.money.items():
            self._money.labels(kind).set(amount)
        self._fees.set(figures.fees)

    def page(self, book: Book, now_chain: int) -> bytes:
        """
        Write all figures in Prometheus' text format.

        Args:
            book: The tasks and workers.
            now_chain: The chain's time, which ages are counted by [Unix s].
        """
        counts, oldest = dict.fromkeys(Phase, 0), dict.fromkeys(Phase, 0)
        for task in book.tasks.values():
            phase, age_s = task.record.phase, now_chain - task.deal.record.deal.start_time
            counts[phase] += 1
            oldest[phase] = max(oldest[phase], age_s)
        for phase, count in counts.items():
            self._open.labels(phase.value).set(count)
            self._oldest.labels(phase.value).set(oldest[phase])
        online = [worker for worker in book.present.values() if worker.is_online]
        busy = sum(len(worker.computing) for worker in online)
        self._workers.set(len(online))
        self._slots.labels("busy").set(busy)
        self._slots.labels("free").set(sum(worker.record.slots for worker in online) - busy)
        return generate_latest(self._registry)
