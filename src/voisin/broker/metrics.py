"""A broker's figures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class BrokerMetrics:
    """
    What a broker counts.

    Attributes:
        count_of_deals: Deals made.
        refused: Matches that the hub refused.
        failures: Failed looks.
        waiting: Open requests.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.count_of_deals = 0
        self._deals = Counter("voisin_broker_deals", "Deals made", registry=self._registry)
        self._tasks = Counter("voisin_broker_tasks", "Tasks in the deals made", registry=self._registry)
        self.refused = Counter("voisin_broker_refused", "Matches that the hub refused", registry=self._registry)
        self.failures = Counter("voisin_broker_failures", "Failed looks", registry=self._registry)
        self.waiting = Gauge("voisin_broker_waiting", "Open requests", registry=self._registry)

    def deal_made(self, volume: int) -> None:
        """Count a deal."""
        self.count_of_deals += 1
        self._deals.inc()
        self._tasks.inc(volume)

    def page(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self._registry)
