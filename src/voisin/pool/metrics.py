"""A pool's figures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voisin.pool.book import Book
from voisin.pool.records import Phase

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)


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

    def page(self, book: Book) -> bytes:
        """Write all figures in Prometheus' text format."""
        counts = dict.fromkeys(Phase, 0)
        for task in book.tasks.values():
            counts[task.record.phase] += 1
        for phase, count in counts.items():
            self._open.labels(phase.value).set(count)
        online = [worker for worker in book.present.values() if worker.is_online]
        busy = sum(len(worker.computing) for worker in online)
        self._workers.set(len(online))
        self._slots.labels("busy").set(busy)
        self._slots.labels("free").set(sum(worker.record.slots for worker in online) - busy)
        return generate_latest(self._registry)
